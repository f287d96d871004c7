"""A Python SDK generated from LiteLLM's OpenAPI document (AlexMKX/litellm-api): it fails where a required field is
missing or a time is malformed.

Left out: models, customers, and the daily activity of teams and users.
"""

import dataclasses
import datetime
import typing

import pytest

from wire import fresh, fresh_email, only

Object = dict[str, typing.Any]


@dataclasses.dataclass
class TeamList:
    teams: list[Object]
    total: int
    page: int
    page_size: int
    total_pages: int


@dataclasses.dataclass
class KeyList:
    keys: list[typing.Any]
    total_count: int | None
    current_page: int | None
    total_pages: int | None


@dataclasses.dataclass
class Permissions:
    team_id: str
    team_member_permissions: list[str]
    all_available_permissions: list[str]


@dataclasses.dataclass
class Aliases:
    aliases: list[str]
    total_count: int
    current_page: int
    total_pages: int


@dataclasses.dataclass
class User:
    user_id: str
    user_email: str | None
    user_alias: str | None
    user_role: str | None
    spend: float
    max_budget: float | None
    models: list[str]
    budget_duration: str | None
    budget_reset_at: datetime.datetime | None
    metadata: Object | None
    created_at: datetime.datetime | None
    updated_at: datetime.datetime | None
    sso_user_id: str | None
    teams: list[str]


@dataclasses.dataclass
class UserInfo:
    user_id: str
    user_info: Object
    keys: list[Object]
    teams: list[Object]


@dataclasses.dataclass
class BulkMembers:
    team_id: str
    results: list[Object]
    total_requested: int
    successful_additions: int
    failed_additions: int


@dataclasses.dataclass
class BulkUsers:
    results: list[Object]
    total_requested: int
    successful_updates: int
    failed_updates: int


@dataclasses.dataclass
class BulkKeys:
    total_requested: int
    successful_updates: list[Object]
    failed_updates: list[Object]


@dataclasses.dataclass
class Health:
    key: str
    logging_callbacks: Object | None


@dataclasses.dataclass
class Membership:
    user_id: str
    organization_id: str
    user_role: str | None
    spend: float
    budget_id: str | None
    created_at: datetime.datetime
    updated_at: datetime.datetime
    litellm_budget_table: Object | None


@dataclasses.dataclass
class Activity:
    results: list[Object]
    metadata: Object


@pytest.fixture
def sdk(admin):
    return admin


def test_organizations(sdk):
    organization_id = sdk.post("/organization/new", {"organization_alias": "acme"}).ok()["organization_id"]
    member = {"user_id": fresh("user"), "role": "internal_user"}
    sdk.post("/organization/member_add", {"organization_id": organization_id, "member": member}).ok()
    changed = {"organization_id": organization_id, "user_id": member["user_id"], "role": "org_admin"}
    assert sdk.patch("/organization/member_update", changed).complete(Membership).user_role == "org_admin"
    sdk.get("/organization/info", organization_id=organization_id).into(Object)
    sdk.get("/organization/list").into(list[Object])
    days = {"start_date": "2026-01-01", "end_date": "2026-01-31", "organization_ids": organization_id}
    assert sdk.get("/organization/daily/activity", **days).complete(Activity).results == []


def test_teams(sdk, team):
    made = team()
    found = sdk.get("/v2/team/list", team_id=made["team_id"]).complete(TeamList)
    assert only(found.teams)["team_id"] == made["team_id"]
    assert (found.total, found.page, found.page_size, found.total_pages) == (1, 1, 10, 1)
    permissions = sdk.get("/team/permissions_list", team_id=made["team_id"]).complete(Permissions)
    assert permissions.team_member_permissions == ["/key/info", "/key/health"]
    sdk.get("/team/info", team_id=made["team_id"]).into(Object)
    sdk.post("/team/block", {"team_id": made["team_id"]}).into(Object)


def test_many_members(sdk, team):
    team_id = team()["team_id"]
    members = [{"user_id": fresh("user"), "role": "user"}, {"user_email": fresh_email(), "role": "admin"}]
    added = sdk.post("/team/bulk_member_add", {"team_id": team_id, "members": members}).complete(BulkMembers)
    assert (added.team_id, added.total_requested) == (team_id, 2)
    assert (added.successful_additions, added.failed_additions) == (2, 0)


def test_keys(sdk):
    user_id, alias = fresh("user"), fresh("key")
    key = sdk.post("/key/generate", {"user_id": user_id, "key_alias": alias}).ok()
    assert sdk.get("/key/list", user_id=user_id).complete(KeyList).keys == [key["token"]]
    aliases = sdk.get("/key/aliases").complete(Aliases)
    assert all(isinstance(one, str) for one in aliases.aliases)
    assert sdk.post("/key/health", {}).complete(Health).key == "healthy"
    changes = {"keys": [{"key": key["token"], "max_budget": 5}, {"key": fresh("token"), "max_budget": 5}]}
    changed = sdk.post("/key/bulk_update", changes).complete(BulkKeys)
    assert (changed.total_requested, len(changed.successful_updates), len(changed.failed_updates)) == (2, 1, 1)
    assert changed.successful_updates[0]["key"] == key["token"]
    assert changed.failed_updates[0]["reason"]
    sdk.post(f"/key/{key['token']}/reset_spend", {"reset_to": 0}).into(Object)


def test_users(sdk):
    user_id = fresh("user")
    sdk.post("/user/new", {"user_id": user_id, "budget_duration": "30d", "max_budget": 5}).ok()
    user = sdk.get("/v2/user/info", user_id=user_id).complete(User)
    assert user.user_id == user_id and user.budget_reset_at > user.created_at
    sdk.get("/user/info", user_id=user_id).complete(UserInfo)
    changes = {"users": [{"user_id": user_id, "max_budget": 7}]}
    changed = sdk.post("/user/bulk_update", changes).complete(BulkUsers)
    assert (changed.total_requested, changed.successful_updates, changed.failed_updates) == (1, 1, 0)


def test_refusal_of_a_field(sdk):
    """A 422 has a list of complaints."""
    complaint = only(sdk.get("/team/info").refused(422)["detail"])
    assert complaint["loc"] == ["query", "team_id"] and complaint["msg"] and complaint["type"]
