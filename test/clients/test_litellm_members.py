"""LiteLLM's tests of team members, and of who may manage them."""

import pytest

from wire import by, fresh, fresh_email


@pytest.fixture
def new_team(admin):
    team_id = fresh("test_team")
    admin.post("/team/new", {"team_id": team_id, "team_alias": "Test Team", "models": ["o3-mini"]}).ok()
    return team_id


def members(client, team_id):
    return by("user_id", client.get("/team/info", team_id=team_id).ok()["team_info"]["members_with_roles"])


def add(client, team_id, user_id, role="user"):
    return client.post("/team/member_add", {"team_id": team_id, "member": [{"role": role, "user_id": user_id}]})


def test_creation(admin, new_team):
    info = admin.get("/team/info", team_id=new_team).ok()
    assert info["team_id"] == new_team
    assert (info["team_info"]["team_alias"], info["team_info"]["models"]) == ("Test Team", ["o3-mini"])


def test_structure(admin, new_team):
    info = admin.get("/team/info", team_id=new_team).ok()["team_info"]
    assert all({"user_id", "role"} <= member.keys() for member in info["members_with_roles"])


def test_unknown_team(admin):
    admin.get("/team/info", team_id="invalid-team-id").refused(404)


def test_one_member(admin, new_team):
    """An e-mail address as a user id."""
    before, user_id = members(admin, new_team), fresh_email()
    add(admin, new_team, user_id).ok()
    assert members(admin, new_team).keys() == before.keys() | {user_id}


def test_many_members(admin, new_team):
    before, added = members(admin, new_team), set()
    for _ in range(10):
        user_id = fresh_email()
        added.add(user_id)
        add(admin, new_team, user_id).ok()
        assert members(admin, new_team).keys() == before.keys() | added


def test_member_added_again(admin, new_team):
    """LiteLLM refuses it; here the member stays, once, with the role that was sent."""
    user_id = fresh_email()
    add(admin, new_team, user_id).ok()
    before = members(admin, new_team)
    add(admin, new_team, user_id, role="admin").ok()
    after = members(admin, new_team)
    assert after.keys() == before.keys() and after[user_id]["role"] == "admin"


def test_member_deleted(admin, new_team):
    """Once; then there is nobody, which is 404 and not LiteLLM's 400."""
    user_id = fresh("user")
    before = members(admin, new_team)
    add(admin, new_team, user_id).ok()
    gone = {"team_id": new_team, "user_id": user_id}
    admin.post("/team/member_delete", gone).ok()
    for _ in range(2):
        admin.post("/team/member_delete", gone).refused(404, "not found")
    assert members(admin, new_team) == before


def test_somebody_without_the_right(person, new_team):
    """403, not 401: the key is good."""
    ada = person()
    add(ada, new_team, fresh("user")).refused(403, "not allowed")
    gone = {"team_id": new_team, "user_id": "default_user_id"}
    ada.post("/team/member_delete", gone).refused(403, "not allowed")


def test_plain_member(admin, person, new_team):
    ada = person()
    add(admin, new_team, ada.user_id).ok()
    add(ada, new_team, fresh("user")).refused(403, "not allowed")


def test_team_admin(admin, person, new_team):
    """Manages the team's members and keys, and reads what it spends."""
    ada, grace = person(), fresh("user")
    add(admin, new_team, ada.user_id, role="admin").ok()
    add(ada, new_team, grace).ok()
    changed = {"team_id": new_team, "user_id": grace, "max_budget_in_team": 5}
    ada.post("/team/member_update", changed).ok()
    key = ada.post("/key/generate", {"team_id": new_team}).ok()
    ada.post("/key/update", {"key": key["token"], "metadata": {"by": "ada"}}).ok()
    assert ada.get("/team/info", team_id=new_team).ok()["team_info"]["spend"] == 0
    assert ada.get("/key/list", team_id=new_team).ok()["keys"] == [key["token"]]
    ada.post("/key/delete", {"keys": [key["token"]]}).ok()
    ada.post("/team/member_delete", {"team_id": new_team, "user_id": grace}).ok()


def test_many_at_once(admin, new_team):
    wanted = [{"user_id": fresh("user"), "role": "user"} for _ in range(5)]
    admin.post("/team/bulk_member_add", {"team_id": new_team, "members": wanted}).ok()
    assert {member["user_id"] for member in wanted} <= members(admin, new_team).keys()
