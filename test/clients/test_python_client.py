"""litellm.proxy.client, the Python package: keys, users and teams.

Left out: models, model groups, credentials, chat and health.
"""

import dataclasses
import typing

import pytest

from wire import by, fresh, fresh_email, only

Object = dict[str, typing.Any]


@dataclasses.dataclass
class Page:
    """Of teams or users."""

    total: int
    page: int
    page_size: int
    total_pages: int


@pytest.fixture
def client(admin):
    return admin


def test_keys(client):
    alias = fresh("key")
    wanted = {"models": ["gpt-4o"], "aliases": {"small": "gpt-4o-mini"}, "duration": "24h", "key_alias": alias}
    created = client.post("/key/generate", wanted | {"user_id": fresh("user"), "config": {"region": "eu"}}).ok()
    assert created["key"].startswith("sk-") and created["aliases"] == wanted["aliases"]

    info = client.get("/key/info", key=created["key"]).ok()
    assert info["key"] == created["key"] and info["info"]["key_alias"] == alias
    assert client.post("/key/update", {"key": created["key"], "max_budget": 5}).ok()["max_budget"] == 5

    # Both lists are sent, of which one is null.
    deleted = client.post("/key/delete", {"keys": [created["key"]], "key_aliases": None}).ok()
    assert deleted["deleted_keys"] == [created["key"]]


def test_key_list(client):
    user_id = fresh("user")
    made = [client.post("/key/generate", {"user_id": user_id, "key_alias": fresh("key")}).ok() for _ in range(3)]
    tokens = {key["token"] for key in made}

    first = client.get("/key/list", user_id=user_id, page=1, size=2).ok()
    second = client.get("/key/list", user_id=user_id, page=2, size=2).ok()
    assert (first["total_count"], first["current_page"], first["total_pages"]) == (3, 1, 2)
    assert (second["total_count"], second["current_page"], second["total_pages"]) == (3, 2, 2)
    assert [len(page["keys"]) for page in (first, second)] == [2, 1]
    assert set(first["keys"] + second["keys"]) == tokens

    full = {"return_full_object": "true", "include_team_keys": "false"}
    one = client.get("/key/list", key_hash=made[0]["token"], **full).ok()
    assert only(one["keys"])["key_alias"] == made[0]["key_alias"]
    one = client.get("/key/list", key_alias=made[1]["key_alias"], **full).ok()
    assert only(one["keys"])["token"] == made[1]["token"]
    # Past the end there is an empty page.
    assert client.get("/key/list", user_id=user_id, page=3, size=2).ok()["keys"] == []


def test_keys_of_teams(client, team):
    """With include_team_keys, those of the teams that the user administers come along."""
    user_id, team_id = fresh("user"), team()["team_id"]
    client.post("/team/member_add", {"team_id": team_id, "member": {"user_id": user_id, "role": "admin"}}).ok()
    token = client.post("/key/generate", {"team_id": team_id}).ok()["token"]
    assert client.get("/key/list", team_id=team_id).ok()["keys"] == [token]
    assert client.get("/key/list", user_id=user_id).ok()["keys"] == []


def test_users(client):
    email = fresh_email()
    created = client.post("/user/new", {"user_email": email, "user_role": "internal_user"}).ok()
    user_id = created["user_id"]
    assert client.get("/user/info", user_id=user_id).ok()["user_id"] == user_id
    user = client.get("/v2/user/info", user_id=user_id).into(Object)
    assert (user["user_id"], user["user_email"]) == (user_id, email)

    reply = client.get("/user/list", user_email=email)
    listed = reply.into(Object)["users"]
    assert only(listed)["user_id"] == user_id
    page = reply.complete(Page)
    assert (page.total, page.page, page.page_size, page.total_pages) == (1, 1, 25, 1)

    client.post("/user/delete", {"user_ids": [user_id]}).ok()
    for path in ("/user/info", "/v2/user/info"):
        client.get(path, user_id=user_id).refused(404)


def test_own_user(client, person):
    """Without an id, it is about the caller."""
    ada = person()
    for path in ("/user/info", "/v2/user/info"):
        assert ada.get(path).ok()["user_id"] == ada.user_id


def test_user_list_in_pages(client):
    prefix = fresh("page")
    emails = [f"{prefix}-{number}@example.com" for number in range(3)]
    for email in emails:
        client.post("/user/new", {"user_email": email, "auto_create_key": False}).ok()
    query = {"user_email": prefix.upper(), "page_size": 2, "sort_by": "user_email", "sort_order": "desc"}
    pages = [client.get("/user/list", page=page, **query).ok() for page in (1, 2)]
    assert [user["user_email"] for page in pages for user in page["users"]] == emails[::-1]
    assert [(page["total"], page["total_pages"]) for page in pages] == [(3, 2)] * 2


def test_teams(client, team):
    made = team()
    assert made["team_id"] in by("team_id", client.get("/team/list").into(list[Object]))
    assert client.get("/team/available").into(list[Object]) == []


def test_team_list_v2(client, team):
    alias = fresh("Team")
    made = [team(team_alias=f"{alias} {number}")["team_id"] for number in range(3)]
    query = {"team_alias": alias.lower(), "page_size": 2, "sort_by": "team_alias", "sort_order": "asc"}
    replies = [client.get("/v2/team/list", page=page, **query) for page in (1, 2)]
    assert [team["team_id"] for reply in replies for team in reply.ok()["teams"]] == made
    first = replies[0].complete(Page)
    assert (first.total, first.page, first.page_size, first.total_pages) == (3, 1, 2, 2)
    found = client.get("/v2/team/list", page=1, page_size=10, sort_order="asc", team_id=made[1]).ok()
    assert only(found["teams"])["team_alias"] == f"{alias} 1"


def test_teams_of_a_user_and_of_an_organization(client, team):
    organization_id = client.post("/organization/new", {"organization_alias": "acme"}).ok()["organization_id"]
    inside, outside, user_id = team(organization_id=organization_id), team(), fresh("user")
    member = {"user_id": user_id, "role": "user"}
    client.post("/team/member_add", {"team_id": outside["team_id"], "member": member}).ok()
    for path, field in (("/team/list", None), ("/v2/team/list", "teams")):
        for query, found in (({"organization_id": organization_id}, inside), ({"user_id": user_id}, outside)):
            body = client.get(path, **query).ok()
            assert only(body[field] if field else body)["team_id"] == found["team_id"]


def test_bad_key(connect):
    """It raises an error of its own for 401."""
    for path in ("/key/list", "/user/list", "/team/list", "/v2/team/list", "/v2/user/info"):
        connect("sk-unknown").get(path).refused(401)
