"""OpenHands: signing up, being moved into a team of one's own, teams that share a budget, and leaving again.

Left out: checking a key by asking for models.
"""

import pytest

from wire import by, fresh, fresh_email

UNLIMITED = 1000000000.0
ABOUT = {"version": 4, "model": "litellm_proxy/claude-opus"}


@pytest.fixture
def manager(connect_with_header):
    return Manager(connect_with_header("x-goog-api-key"))


class Manager:
    """What it sends, and which refusals it takes for success."""

    def __init__(self, client):
        self.client = client

    def create_team(self, team_id, alias, max_budget):
        """If the team exists, which it knows by this status and these words, it is updated."""
        team = {"team_id": team_id, "team_alias": alias, "models": [], "max_budget": max_budget, "spend": 0}
        reply = self.client.post("/team/new", team | {"metadata": ABOUT})
        if reply.status == 400 and "already exists. Please use a different team id" in reply.text:
            self.update_team(team_id, max_budget=max_budget, team_alias=alias)
        else:
            reply.ok()

    def update_team(self, team_id, **fields):
        self.client.post("/team/update", {"team_id": team_id, "metadata": ABOUT} | fields).ok()

    def team(self, team_id):
        return self.client.get("/team/info", team_id=team_id).ok()

    def delete_team(self, team_id):
        reply = self.client.post("/team/delete", {"team_ids": [team_id]})
        assert reply.status == 404 or reply.ok() is not None

    def create_user(self, user_id, email, team_id):
        """With a taken e-mail address it tries again without; a taken id is none of its business."""
        user = {"user_id": user_id, "models": [], "teams": [team_id], "auto_create_key": False}
        user |= {"send_invite_email": False, "metadata": ABOUT}
        if self.client.post("/user/new", user | {"user_email": email}).status != 200:
            reply = self.client.post("/user/new", user | {"user_email": None})
            assert reply.status == 200 or (reply.status in (400, 409) and "already exists" in reply.text), str(reply)

    def user(self, user_id):
        return self.client.get("/user/info", user_id=user_id).ok()

    def update_user(self, user_id, **fields):
        self.client.post("/user/update", {"user_id": user_id} | fields).ok()

    def delete_user(self, user_id):
        self.client.post("/user/delete", {"user_ids": [user_id]}).ok()

    def add_to_team(self, user_id, team_id, max_budget):
        member = {"team_id": team_id, "member": {"user_id": user_id, "role": "user"}, "max_budget_in_team": max_budget}
        reply = self.client.post("/team/member_add", member)
        assert reply.status == 200 or (reply.status == 400 and "already in team" in reply.text.lower()), str(reply)

    def update_in_team(self, user_id, team_id, max_budget):
        member = {"team_id": team_id, "user_id": user_id, "max_budget_in_team": max_budget}
        self.client.post("/team/member_update", member).ok()

    def remove_from_team(self, user_id, team_id):
        reply = self.client.post("/team/member_delete", {"team_id": team_id, "user_id": user_id})
        assert reply.status == 404 or reply.ok() is not None

    def generate_key(self, user_id, team_id, alias, metadata=None):
        key = {"user_id": user_id, "models": [], "team_id": team_id, "key_alias": alias, "metadata": metadata}
        fields = {name: value for name, value in key.items() if value is not None}
        return self.client.post("/key/generate", fields).ok()["key"]

    def keys(self, user_id):
        """Texts, each of which it sends back to name a key."""
        keys = self.client.get("/key/list", user_id=user_id).ok().get("keys", [])
        assert all(isinstance(key, str) for key in keys)
        return keys

    def update_keys(self, user_id, **fields):
        for key in self.keys(user_id):
            self.client.post("/key/update", {"key": key} | fields).ok()

    def owns(self, user_id, team_id, key):
        """Found by the end of the name that a key is shown by."""
        listed = [one for one in self.user(user_id)["keys"] if one["team_id"] == team_id]
        return any(one["key_name"] and key.endswith(one["key_name"][-4:]) for one in listed)

    def delete_key(self, key, alias):
        """A key that is not found by its secret is tried by its alias."""
        reply = self.client.post("/key/delete", {"keys": [key]})
        if reply.status != 404:
            reply.ok()
            return
        reply = self.client.post("/key/delete", {"key_aliases": [alias]})
        assert reply.status in (200, 404), str(reply)

    def membership(self, user_id, team_id):
        return by("user_id", self.team(team_id)["team_memberships"]).get(user_id)


@pytest.fixture
def everybody(manager):
    """The team that all new users are in."""
    team_id = fresh("everybody")
    manager.create_team(team_id, "everybody", UNLIMITED)
    return team_id


def test_sign_up(manager, everybody):
    """An organization of one is a team with the same id as its user."""
    user_id = fresh("user")
    manager.create_team(user_id, user_id, 10.0)
    manager.create_user(user_id, fresh_email(), everybody)
    assert user_id in [member["user_id"] for member in manager.team(everybody)["team_info"]["members_with_roles"]]
    manager.add_to_team(user_id, user_id, 10.0)
    key = manager.generate_key(user_id, user_id, f"cloud {user_id}", {"type": "openhands"})
    assert manager.owns(user_id, user_id, key)
    membership = manager.membership(user_id, user_id)
    assert (membership["max_budget_in_team"], membership["spend"]) == (10.0, 0.0)
    info = manager.client.get("/key/info", key=key).ok()["info"]
    assert (info["max_budget"], info["spend"]) == (None, 0.0)


def test_sign_up_again(manager, everybody):
    """Each step finds what the first attempt made."""
    user_id, email = fresh("user"), fresh_email()
    for budget in (10.0, 20.0):
        manager.create_team(user_id, user_id, budget)
        manager.create_user(user_id, email, everybody)
        manager.add_to_team(user_id, user_id, budget)
    assert manager.team(user_id)["team_info"]["max_budget"] == 20.0
    assert manager.membership(user_id, user_id)["max_budget_in_team"] == 20.0


def test_taken_email_address(manager, everybody):
    email, first, second = fresh_email(), fresh("user"), fresh("user")
    manager.create_user(first, email, everybody)
    manager.create_user(second, email, everybody)
    assert manager.user(first)["user_info"]["user_email"] == email
    assert manager.user(second)["user_info"]["user_email"] is None


def test_migration_and_back(manager, everybody):
    """A user's budget becomes that of a team of their own, and their keys move there; and the other way round."""
    user_id, team_id = fresh("user"), fresh("team")
    manager.create_user(user_id, fresh_email(), everybody)
    manager.update_user(user_id, max_budget=20.0, spend=0)
    key = manager.generate_key(user_id, everybody, f"cloud {user_id}")
    user = manager.user(user_id)["user_info"]
    credits = max(user["max_budget"] - user["spend"], 0.0)

    manager.create_team(team_id, user_id, credits)
    manager.update_user(user_id, max_budget=UNLIMITED)
    manager.add_to_team(user_id, team_id, credits)
    manager.update_keys(user_id, team_id=team_id)
    assert manager.owns(user_id, team_id, key) and not manager.owns(user_id, everybody, key)

    team = manager.team(team_id)["team_info"]
    manager.update_user(user_id, max_budget=team["max_budget"])
    manager.add_to_team(user_id, everybody, team["max_budget"])
    manager.update_keys(user_id, team_id=everybody)
    manager.remove_from_team(user_id, team_id)
    manager.delete_team(team_id)
    assert manager.owns(user_id, everybody, key)


def test_shared_budget(manager, everybody):
    """A team's new budget is given to each of its members."""
    team_id, users = fresh("team"), [fresh("user"), fresh("user")]
    manager.create_team(team_id, "research", 10.0)
    for user_id in users:
        manager.create_user(user_id, fresh_email(), everybody)
        manager.add_to_team(user_id, team_id, 10.0)
    manager.update_team(team_id, max_budget=50.0)
    for membership in manager.team(team_id)["team_memberships"]:
        manager.update_in_team(membership["user_id"], team_id, 50.0)
    for user_id in users:
        assert manager.membership(user_id, team_id)["max_budget_in_team"] == 50.0


def test_leaving(manager, everybody):
    user_id, team_id = fresh("user"), fresh("team")
    manager.create_team(team_id, "research", 10.0)
    manager.create_user(user_id, fresh_email(), everybody)
    manager.add_to_team(user_id, team_id, 10.0)
    alias = f"byor {user_id}"
    key = manager.generate_key(user_id, team_id, alias)
    for _ in range(2):  # the second time there is nothing left
        manager.delete_key(key, alias)
        manager.remove_from_team(user_id, team_id)
        manager.delete_team(team_id)
    manager.delete_user(user_id)
    manager.client.get("/user/info", user_id=user_id).refused(404)
