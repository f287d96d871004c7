"""LiteLLM's tests of what plain members may do with the keys of their team."""

import pytest

from wire import fresh


def new_team(admin, permissions=None):
    return admin.post("/team/new", {"team_member_permissions": permissions}).ok()["team_id"]


@pytest.fixture
def member(admin, connect):
    """Makes a user of the team, whose key belongs to no team."""

    def make(team_id):
        user_id = fresh("user")
        admin.post("/user/new", {"user_id": user_id, "team_id": team_id}).ok()
        return connect(admin.post("/key/generate", {"user_id": user_id}).ok()["key"])

    return make


def assert_forbidden(reply):
    error = reply.refused(401)["error"]
    assert (error["type"], error["code"]) == ("team_member_permission_error", "401")


def test_by_default(admin, member):
    """Members may look at the team's keys, and no more."""
    team_id = new_team(admin)
    key = admin.post("/key/generate", {"team_id": team_id}).ok()["key"]
    ada = member(team_id)
    assert_forbidden(ada.post("/key/generate", {"team_id": team_id}))
    assert_forbidden(ada.post("/key/update", {"key": key, "metadata": {"updated": True}, "team_id": "OTHER_TEAM"}))
    assert_forbidden(ada.post("/key/delete", {"keys": [key]}))
    assert_forbidden(ada.post("/key/regenerate", {"key": key}))
    assert ada.get("/key/info", key=key).ok()["info"]["team_id"] == team_id


def test_update_and_delete(admin, member):
    team_id = new_team(admin, ["/key/update", "/key/delete", "/key/info"])
    key = admin.post("/key/generate", {"team_id": team_id}).ok()["key"]
    ada = member(team_id)
    assert_forbidden(ada.post("/key/generate", {"team_id": team_id}))
    assert_forbidden(ada.post("/key/regenerate", {"key": key, "team_id": team_id}))
    ada.post("/key/update", {"key": key, "metadata": {"updated": True}, "team_id": team_id}).ok()
    ada.post("/key/delete", {"keys": [key]}).ok()


def test_generate(admin, connect):
    """For a member who was added, rather than made in the team."""
    team_id, user_id = new_team(admin, ["/key/generate"]), fresh("user")
    admin.post("/team/member_add", {"team_id": team_id, "member": {"role": "user", "user_id": user_id}}).ok()
    key = admin.post("/key/generate", {"team_id": team_id}).ok()["key"]
    ada = connect(admin.post("/key/generate", {"user_id": user_id}).ok()["key"])
    assert ada.post("/key/generate", {"team_id": team_id}).ok()["team_id"] == team_id
    assert_forbidden(ada.post("/key/update", {"key": key, "metadata": {"updated": True}, "team_id": team_id}))
    assert_forbidden(ada.post("/key/delete", {"keys": [key]}))
    assert_forbidden(ada.post("/key/regenerate", {"key": key, "team_id": team_id}))


def test_changed_permissions(admin, member):
    """Take effect with the next request."""
    team_id = new_team(admin)
    ada = member(team_id)
    assert_forbidden(ada.post("/key/generate", {"team_id": team_id}))
    for permissions, allowed in ((["/key/generate"], True), ([], False)):
        changed = {"team_id": team_id, "team_member_permissions": permissions}
        assert admin.post("/team/permissions_update", changed).ok()["team_member_permissions"] == permissions
        reply = ada.post("/key/generate", {"team_id": team_id})
        reply.ok() if allowed else assert_forbidden(reply)
