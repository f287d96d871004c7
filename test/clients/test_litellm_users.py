"""LiteLLM's tests of users, and of keeping them apart.  Left out: calls of models."""

import concurrent.futures

from wire import by, fresh, fresh_email, only

USER = {"models": ["azure-models"], "aliases": {"mistral-7b": "gpt-3.5-turbo"}, "duration": None, "max_budget": None}


def test_many_at_once(admin):
    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        users = list(pool.map(lambda _: admin.post("/user/new", USER | {"budget_duration": None}).ok(), range(10)))
    assert len(by("user_id", users)) == 10


def test_info(admin, person):
    """By the administrator and by the user; to others it does not exist."""
    ada, grace = person(), person()
    admin.get("/user/info", user_id=ada.user_id).ok()
    ada.get("/user/info", user_id=ada.user_id).ok()
    for path in ("/user/info", "/v2/user/info"):
        nobody = fresh("user")
        known, unknown = (grace.get(path, user_id=user_id) for user_id in (ada.user_id, nobody))
        assert_look_the_same(known, ada.user_id, unknown, nobody)


def assert_look_the_same(known, name, unknown, unknown_name):
    assert known.status in (403, 404) and known.status == unknown.status, str(known)
    assert known.text.replace(name, "…") == unknown.text.replace(unknown_name, "…")


def test_keys_of_others(admin, person):
    """Ada's key and one that does not exist look the same to Grace."""
    ada, grace = person(), person()
    token, nothing = ada.post("/key/generate", {}).ok()["token"], fresh("token")
    for path, body in (
        ("/key/update", lambda key: {"key": key, "key_alias": "mine"}),
        ("/key/delete", lambda key: {"keys": [key]}),
        ("/key/regenerate", lambda key: {"key": key}),
        ("/key/block", lambda key: {"key": key}),
    ):
        assert_look_the_same(grace.post(path, body(token)), token, grace.post(path, body(nothing)), nothing)
    assert admin.get("/key/info", key=token).ok()["info"]["key_alias"] is None


def test_personal_key(person):
    """With and without saying whose."""
    ada = person()
    for body in ({}, {"user_id": ada.user_id}):
        key = ada.post("/key/generate", body).ok()
        assert (key["user_id"], key["team_id"]) == (ada.user_id, None)


def test_personal_key_within_limits(admin, person):
    """Models that the user may not call, and a key for somebody else, are refused."""
    ada = person(models=["gpt-4o"])
    ada.post("/key/generate", {"models": ["gpt-4o"]}).ok()
    assert ada.post("/key/generate", {"models": ["gpt-4o", "o1-pro"]}).status in (400, 401, 403)
    grace = person()
    assert ada.post("/key/generate", {"user_id": grace.user_id}).status in (400, 401, 403, 404)


def test_viewer_makes_no_key(person):
    viewer = person(user_role="internal_user_viewer")
    assert viewer.post("/key/generate", {}).status in (401, 403)


def test_taken_email_address(admin):
    email = fresh_email()
    admin.post("/user/new", {"user_email": email}).ok()
    taken = admin.post("/user/new", {"user_email": email.upper()}).refused(409, "User with email", "already exists")
    assert taken["detail"]["error"]


def test_update_by_email(admin):
    email = fresh_email()
    user_id = admin.post("/user/new", {"user_email": email}).ok()["user_id"]
    updated = admin.post("/user/update", {"user_email": email, "max_budget": 5}).ok()
    assert (updated["user_id"], updated["data"]["max_budget"]) == (user_id, 5)


def test_update_of_somebody_unknown(admin, person):
    """Makes the user, for a proxy admin."""
    user_id = fresh("user")
    assert admin.post("/user/update", {"user_id": user_id, "max_budget": 5}).ok()["data"]["user_id"] == user_id
    assert person().post("/user/update", {"user_id": fresh("user"), "max_budget": 5}).status in (401, 403, 404)


def test_limits_set_and_cleared(admin):
    user_id = admin.post("/user/new", USER).ok()["user_id"]
    for name, value in (("max_budget", 10.0), ("tpm_limit", 1000), ("rpm_limit", 10), ("budget_duration", "30d")):
        assert admin.post("/user/update", {"user_id": user_id, name: value}).ok()["data"][name] == value
        assert admin.post("/user/update", {"user_id": user_id, name: None}).ok()["data"][name] is None


def test_made_in_teams_and_organizations(admin, team):
    organization_id = admin.post("/organization/new", {"organization_alias": "acme"}).ok()["organization_id"]
    plain, other = team()["team_id"], team()["team_id"]
    teams = [{"team_id": plain, "user_role": "admin", "max_budget_in_team": 5}]
    user_id = admin.post("/user/new", {"teams": teams, "organizations": [organization_id]}).ok()["user_id"]
    assert only(admin.get("/user/info", user_id=user_id).ok()["teams"])["team_id"] == plain
    info = admin.get("/team/info", team_id=plain).ok()
    assert by("user_id", info["team_info"]["members_with_roles"])[user_id]["role"] == "admin"
    assert by("user_id", info["team_memberships"])[user_id]["max_budget_in_team"] == 5
    members = admin.get("/organization/info", organization_id=organization_id).ok()["members"]
    assert user_id in by("user_id", members)
    second = admin.post("/user/new", {"teams": [plain, other]}).ok()
    assert set(second["teams"]) == {plain, other}


def test_unknown_team_or_organization(admin):
    """Nothing is made."""
    for fields in ({"teams": [fresh("team")]}, {"team_id": fresh("team")}, {"organizations": [fresh("org")]}):
        user_id = fresh("user")
        assert admin.post("/user/new", fields | {"user_id": user_id}).status in (400, 404)
        admin.get("/user/info", user_id=user_id).refused(404)


def test_delete(admin):
    users = [admin.post("/user/new", {"auto_create_key": False}).ok()["user_id"] for _ in range(2)]
    assert admin.post("/user/delete", {"user_ids": users}).ok() == 2
    for user_id in users:
        admin.get("/user/info", user_id=user_id).refused(404)


def test_budget_period(admin):
    """The next reset is told, and lies ahead."""
    made = admin.post("/user/new", {"max_budget": 10, "budget_duration": "1d"}).ok()
    assert made["budget_reset_at"] > made["created_at"]
    assert made["spend"] == made["period_spend"] == 0
