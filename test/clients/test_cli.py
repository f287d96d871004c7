"""The litellm-proxy command: what its subcommands send, and what they print of the replies.

Left out: login, models, credentials and chat.
"""

import datetime

import pytest

from wire import fresh, fresh_email, only


@pytest.fixture
def cli(admin):
    return admin


def list_keys(cli, **options):
    """A table of objects, which it asks for unless told otherwise."""
    body = cli.get("/key/list", return_full_object="true", include_team_keys="false", **options).ok()
    assert isinstance(body, dict)
    fields = ("token", "key_alias", "user_id", "team_id", "spend")
    return [{field: key[field] for field in fields} for key in body["keys"]], body["total_count"]


def test_keys_list(cli):
    user_id, alias = fresh("user"), fresh("key")
    key = cli.post("/key/generate", {"user_id": user_id, "key_alias": alias}).ok()
    row = {"token": key["token"], "key_alias": alias, "user_id": user_id, "team_id": None, "spend": 0}
    assert list_keys(cli, user_id=user_id) == ([row], 1)


def test_keys_generate_and_delete_by_alias(cli):
    aliases = [fresh("key"), fresh("key")]
    for alias in aliases:
        cli.post("/key/generate", {"models": ["gpt-4o", "gpt-4o-mini"], "duration": "7d", "key_alias": alias}).ok()
    deleted = cli.post("/key/delete", {"keys": None, "key_aliases": aliases}).ok()
    assert deleted == {"deleted_keys": aliases}
    error = cli.post("/key/delete", {"keys": None, "key_aliases": aliases}).refused(404)["error"]
    assert error["code"] == "404"


def test_keys_import(cli):
    """Reads page after page until one is not full, and makes each key again without what it can't read."""
    user_id = fresh("user")
    for _ in range(3):
        wanted = {"user_id": user_id, "key_alias": fresh("key"), "models": ["gpt-4o"], "aliases": {"a": "b"}}
        cli.post("/key/generate", wanted).ok()
    found, page = [], 1
    while True:
        body = cli.get("/key/list", return_full_object="true", user_id=user_id, page=page, size=2).ok()
        found += body["keys"]
        if len(body["keys"]) < 2:
            break
        page += 1
    assert len(found) == 3
    since = datetime.datetime(2024, 1, 1)
    for key in found:
        created = datetime.datetime.fromisoformat(key["created_at"].replace("Z", "+00:00"))
        assert created.replace(tzinfo=None) >= since
        names = ("models", "aliases", "spend", "key_alias", "team_id", "user_id", "budget_id", "config")
        again = {name: key[name] for name in names if key.get(name)} | {"key_alias": fresh("key")}
        assert cli.post("/key/generate", again).ok()["aliases"] == {"a": "b"}


def test_users(cli):
    email = fresh_email()
    user = {"user_email": email, "user_role": "internal_user", "user_alias": "Ada"}
    user_id = cli.post("/user/new", user).ok()["user_id"]
    body = cli.get("/user/list").ok()
    users = body.get("users", body)
    assert all({"user_id", "user_email", "user_role", "teams"} <= user.keys() for user in users)
    cli.get("/user/info", user_id=user_id).ok()
    cli.post("/user/delete", {"user_ids": [user_id]}).ok()


def test_teams(cli, person):
    """Those that one belongs to, and those that one may join."""
    ada = person()
    team_id = cli.post("/team/new", {"team_alias": "research", "models": ["gpt-4o"]}).ok()["team_id"]
    member = {"user_id": ada.user_id, "role": "user"}
    cli.post("/team/member_add", {"team_id": team_id, "member": member}).ok()
    row = only(ada.get("/team/list").ok())
    assert (row["team_alias"], row["team_id"]) == ("research", team_id)
    assert (row["models"], row["max_budget"]) == (["gpt-4o"], None)
    assert ada.get("/team/available").ok() == []


def test_teams_assign_key(cli, team):
    """The command's own key moves into a team."""
    key = cli.post("/key/generate", {"user_id": "default_user_id"}).ok()["key"]
    team_id = team()["team_id"]
    assert cli.post("/key/update", {"key": key, "team_id": team_id}).ok()["team_id"] == team_id


def test_http_request(cli):
    alias = fresh("acme")
    cli.post("/organization/new", {"organization_alias": alias}).ok()
    assert only(cli.get("/organization/list", org_alias=alias).ok())["organization_alias"] == alias
