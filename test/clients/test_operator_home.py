"""The Kubernetes operator home-operations/litellm-operator: virtual keys, and teams with their members.

Left out: models.
"""

import dataclasses
import typing

import pytest

from wire import fresh, fresh_email


@dataclasses.dataclass
class Key:
    key: str
    key_alias: str
    models: list[str]
    aliases: dict[str, str]
    user_id: str
    team_id: str
    duration: str
    max_budget: float | None
    budget_duration: str
    max_parallel_requests: int | None
    tpm_limit: int | None
    rpm_limit: int | None
    metadata: dict[str, str]


@dataclasses.dataclass
class Member:
    user_id: str
    user_email: str
    role: str


@dataclasses.dataclass
class Team:
    team_id: str
    members_with_roles: list[Member]


@dataclasses.dataclass
class TeamInfo:
    team_info: Team


@pytest.fixture
def operator(admin):
    return admin


def test_virtual_key(operator, team):
    wanted = {
        "key_alias": fresh("key"),
        "models": ["gpt-4o"],
        "aliases": {"small": "gpt-4o-mini"},
        "user_id": fresh("user"),
        "team_id": team()["team_id"],
        "duration": "90d",
        "max_budget": 10.5,
        "budget_duration": "30d",
        "max_parallel_requests": 4,
        "tpm_limit": 1000,
        "rpm_limit": 10,
        "metadata": {"managed-by": "operator"},
    }
    created = operator.post("/key/generate", wanted).into(Key)
    assert created.key.startswith("sk-") and created.aliases == wanted["aliases"]
    # It looks at the top of the reply, where it finds the key as asked for, and then sets everything again.
    assert operator.get("/key/info", key=created.key).into(Key).key == created.key
    operator.post("/key/update", wanted | {"key": created.key, "max_budget": 20.5}).ok()
    info = operator.get("/key/info", key=created.key).into(dict[str, typing.Any])["info"]
    assert (info["max_budget"], info["aliases"]) == (20.5, wanted["aliases"])
    operator.post("/key/delete", {"keys": [created.key]}).ok()
    operator.get("/key/info", key=created.key).refused(404)


def reconcile_members(operator, team_id, wanted):
    """Removes who is not wanted or has another role, and adds who is missing."""

    def name(member):
        return member.user_id or member.user_email

    existing = {name(member): member for member in operator.get("/team/info", team_id=team_id).into(TeamInfo)
                .team_info.members_with_roles}  # fmt: skip
    desired = {name(member): member for member in wanted}
    for key, member in existing.items():
        if key not in desired or desired[key].role != member.role:
            gone = {"team_id": team_id, "user_id": member.user_id, "user_email": member.user_email}
            operator.post("/team/member_delete", gone).ok()
    for key, member in desired.items():
        if key not in existing or existing[key].role != member.role:
            fields = {field: value for field, value in dataclasses.asdict(member).items() if value}
            operator.post("/team/member_add", {"team_id": team_id, "member": fields}).ok()


def roles(operator, team_id):
    members = operator.get("/team/info", team_id=team_id).into(TeamInfo).team_info.members_with_roles
    return {member.user_id: member.role for member in members}


def test_team(operator):
    team_id, ada, grace = fresh("team"), Member(fresh("user"), "", "admin"), Member(fresh("user"), "", "user")
    wanted = {
        "team_id": team_id,
        "team_alias": "research",
        "members_with_roles": [{"user_id": ada.user_id, "role": "admin"}, {"user_id": grace.user_id, "role": "user"}],
        "models": ["gpt-4o"],
        "max_budget": 100.5,
        "budget_duration": "30d",
        "tpm_limit": 1000,
        "rpm_limit": 10,
        "metadata": {"managed-by": "operator"},
        "blocked": False,
    }
    assert operator.post("/team/new", wanted).into(Team).team_id == team_id
    # The creator is a member, too, and the operator removes whom it does not know.
    reconcile_members(operator, team_id, [ada, grace])
    assert roles(operator, team_id) == {ada.user_id: "admin", grace.user_id: "user"}

    operator.post("/team/update", wanted | {"team_alias": "development"}).ok()
    alan = Member("", fresh_email(), "user")
    grace.role = "admin"
    reconcile_members(operator, team_id, [grace, alan])
    members = operator.get("/team/info", team_id=team_id).into(TeamInfo).team_info.members_with_roles
    assert {member.user_email or member.user_id: member.role for member in members} == {
        grace.user_id: "admin",
        alan.user_email: "user",
    }

    operator.post("/team/delete", {"team_ids": [team_id]}).ok()
    operator.get("/team/info", team_id=team_id).refused(404)
