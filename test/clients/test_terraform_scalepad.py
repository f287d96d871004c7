"""The Terraform provider scalepad/litellm: keys, service accounts, teams, team members and users.

Left out: models, credentials, MCP servers and vector stores, which are not managed here.
"""

import dataclasses
import datetime
import typing
import uuid

import pytest

from wire import assert_kept, fresh, fresh_email, only

Map = dict[str, typing.Any]
Time = datetime.datetime


@dataclasses.dataclass
class Key:
    key: str
    key_alias: str | None
    key_name: str
    token: str
    token_id: str
    budget_id: str | None
    models: list[str]
    duration: str | None
    user_id: str
    team_id: str | None
    max_parallel_requests: int | None
    metadata: Map
    tpm_limit: int | None
    rpm_limit: int | None
    budget_duration: str | None
    allowed_cache_controls: list[str]
    allowed_routes: list[str]
    key_type: str | None
    spend: float
    max_budget: float | None
    soft_budget: float | None
    aliases: Map
    config: Map
    permissions: Map
    model_max_budget: Map
    model_rpm_limit: Map | None
    model_tpm_limit: Map | None
    guardrails: list[str] | None
    prompts: list[str] | None
    blocked: bool | None
    tags: list[str] | None
    expires: Time | None
    created_by: str
    updated_by: str
    created_at: Time
    updated_at: Time


@dataclasses.dataclass
class ListedKey:
    token: str
    key_name: str
    key_alias: str | None
    spend: float
    max_budget: float | None
    expires: Time | None
    models: list[str]
    aliases: Map
    config: Map
    user_id: str
    team_id: str | None
    max_parallel_requests: int | None
    metadata: Map
    tpm_limit: int | None
    rpm_limit: int | None
    budget_duration: str | None
    budget_reset_at: Time | None
    allowed_cache_controls: list[str]
    allowed_routes: list[str]
    permissions: Map
    model_spend: Map
    model_max_budget: Map
    blocked: bool | None
    budget_id: str | None
    organization_id: str | None
    created_at: Time
    created_by: str
    updated_at: Time
    updated_by: str
    soft_budget: float | None


@dataclasses.dataclass
class KeyInfo:
    key: str
    info: ListedKey


@dataclasses.dataclass
class KeyList:
    keys: list[ListedKey]
    total_count: int
    current_page: int
    total_pages: int


@dataclasses.dataclass
class ServiceAccount:
    key: str
    key_alias: str | None
    key_name: str
    token: str
    token_id: str
    models: list[str]
    spend: float
    max_budget: float | None
    user_id: str | None
    team_id: str
    metadata: Map
    guardrails: list[str] | None
    prompts: list[str] | None
    blocked: bool | None
    tags: list[str] | None
    allowed_routes: list[str]
    expires: Time | None
    created_at: Time
    updated_at: Time


@dataclasses.dataclass
class Member:
    user_id: str
    user_email: str | None
    role: str


@dataclasses.dataclass
class Budget:
    budget_id: str
    soft_budget: float | None
    max_budget: float | None
    max_parallel_requests: int | None
    tpm_limit: int | None
    rpm_limit: int | None
    model_max_budget: typing.Any
    budget_duration: str | None


@dataclasses.dataclass
class Membership:
    user_id: str
    team_id: str
    budget_id: str
    spend: float
    litellm_budget_table: Budget


@dataclasses.dataclass
class Team:
    team_id: str
    team_alias: str
    organization_id: str | None
    admins: list[str]
    members: list[str]
    members_with_roles: list[Member]
    team_member_permissions: list[str]
    metadata: Map
    tpm_limit: int | None
    rpm_limit: int | None
    max_budget: float | None
    budget_duration: str | None
    models: list[str]
    blocked: bool
    spend: float
    max_parallel_requests: int | None
    budget_reset_at: Time | None
    model_id: str | None
    updated_at: Time
    created_at: Time


@dataclasses.dataclass
class TeamInfo:
    team_id: str
    team_info: Team
    keys: list[typing.Any]
    team_memberships: list[Membership]


@dataclasses.dataclass
class TeamId:
    """All that is read of a created and of an updated team."""

    team_id: str


@dataclasses.dataclass
class Permissions:
    team_id: str
    team_member_permissions: list[str]
    all_available_permissions: list[str]


@dataclasses.dataclass
class MemberBudget:
    """As in Budget, but decoded more narrowly."""

    budget_id: str
    max_budget: float | None
    model_max_budget: str | None
    budget_duration: str


@dataclasses.dataclass
class AddedMembership:
    user_id: str
    team_id: str
    budget_id: str
    spend: float
    litellm_budget_table: MemberBudget


@dataclasses.dataclass
class User:
    """A created or updated user, and the user in /user/info."""

    user_id: str
    user_email: str
    user_alias: str
    user_role: str
    max_budget: float
    budget_duration: str
    models: list[str]
    tpm_limit: int
    rpm_limit: int
    metadata: Map
    spend: float
    aliases: Map
    config: Map
    allowed_cache_controls: list[str]
    max_parallel_requests: int
    soft_budget: float
    model_max_budget: Map
    model_rpm_limit: Map
    model_tpm_limit: Map
    sso_user_id: str
    prompts: list[str]
    organizations: list[str]
    created_at: str
    updated_at: str
    budget_reset_at: str


@dataclasses.dataclass
class UserInfo:
    user_id: str
    user_info: User
    keys: list[typing.Any]
    teams: list[typing.Any]


@dataclasses.dataclass
class Added(Team):
    updated_users: list[User]
    updated_team_memberships: list[AddedMembership]


@dataclasses.dataclass
class UpdatedMember:
    user_id: str
    user_email: str | None
    team_id: str
    max_budget_in_team: float | None


@pytest.fixture
def provider(connect_with_header):
    return connect_with_header("x-api-key", accept="application/json")


def test_key(provider):
    alias = fresh("key")
    plan = {
        "duration": "30d",
        "key_alias": alias,
        "user_id": fresh("user"),
        "models": ["gpt-4o"],
        "aliases": {"small": "gpt-4o-mini"},
        "allowed_cache_controls": ["no-store"],
        "guardrails": ["pii"],
        "prompts": ["greeting"],
        "tags": ["scalepad"],
        "max_budget": 12.5,
        "budget_duration": "1mo",
        "max_parallel_requests": 3,
        "rpm_limit": 10,
        "tpm_limit": 1000,
        "metadata": {"owner": "terraform"},
        "send_invite_email": False,
        "blocked": False,
    }
    created = provider.post("/key/generate", plan).into(Key)
    assert created.token == created.token_id and created.key_alias == alias
    assert (created.tags, created.aliases) == (["scalepad"], plan["aliases"])

    read = provider.get("/key/info", key=created.token_id).into(KeyInfo)
    assert read.key == created.token_id and read.info.user_id == plan["user_id"]
    assert read.info.expires > read.info.created_at

    # Imported by alias.
    query = {"page": 1, "size": 10, "key_alias": alias, "return_full_object": "true", "include_team_keys": "false"}
    listed = provider.get("/key/list", sort_order="desc", **query).into(KeyList)
    assert only(listed.keys).token == created.token
    assert (listed.total_count, listed.current_page, listed.total_pages) == (1, 1, 1)

    changed = {name: value for name, value in plan.items() if name not in ("duration", "user_id")}
    changed |= {"key": created.token_id, "blocked": True, "max_budget": 20}
    updated = provider.post("/key/update", changed).into(Key)
    assert (updated.key, updated.blocked, updated.max_budget) == (created.token_id, True, 20)

    provider.post("/key/delete", {"keys": [created.token_id]}).into(typing.Any)
    provider.get("/key/info", key=created.token_id).refused(404)


def test_key_without_anything(provider):
    """What is not configured comes back as null or empty, never as another type."""
    created = provider.post("/key/generate", {"send_invite_email": False, "blocked": False}).into(Key)
    provider.get("/key/info", key=created.token_id).into(KeyInfo)


@pytest.mark.parametrize("name", ["soft_budget", "model_rpm_limit", "model_tpm_limit"])
def test_key_with_more_limits(provider, name):
    value = 8 if name == "soft_budget" else {"gpt-4o": 5}
    assert_kept(provider.post("/key/generate", {"max_budget": 10, name: value}), name, value)


def test_service_account(provider, team):
    team_id, alias = team()["team_id"], fresh("account")
    plan = {"team_id": team_id, "key_alias": alias, "metadata": {"service_account_id": str(uuid.uuid4())}}
    plan |= {"models": ["gpt-4o"], "max_budget": 5}
    created = provider.post("/key/service-account/generate", plan).into(ServiceAccount)
    assert created.user_id is None and created.team_id == team_id
    assert created.metadata == plan["metadata"]

    read = provider.get("/key/info", key=created.token_id).into(KeyInfo)
    assert (read.info.team_id, read.info.user_id) == (team_id, "")
    # The provider names the key by `token` beside `key`.
    changed = {"key": created.token_id, "token": created.token_id, "team_id": team_id, "max_budget": 8}
    updated = provider.post("/key/update", changed | {"metadata": plan["metadata"]}).into(ServiceAccount)
    assert updated.max_budget == 8
    provider.post("/key/delete", {"keys": [created.token_id]}).into(typing.Any)


def read_team(provider, team_id):
    reply = provider.get("/team/info", team_id=team_id)
    if reply.status != 200 and "not found" in reply.text:
        return None
    return reply.into(TeamInfo), provider.get("/team/permissions_list", team_id=team_id).into(Permissions)


def test_team(provider):
    team_id = str(uuid.uuid4())
    plan = {
        "team_id": team_id,
        "team_alias": "research",
        "team_member_permissions": ["/key/info", "/key/generate"],
        "models": ["gpt-4o"],
        "model_aliases": {"small": "gpt-4o-mini"},
        "guardrails": ["pii"],
        "prompts": ["greeting"],
        "tags": ["scalepad"],
        "tpm_limit": 1000,
        "rpm_limit": 10,
        "max_budget": 50,
        "budget_duration": "1mo",
        "team_member_key_duration": "30d",
        "metadata": {"purpose": "trials"},
        "blocked": False,
    }
    assert provider.post("/team/new", plan).into(TeamId).team_id == team_id
    permitted = {"team_id": team_id, "team_member_permissions": plan["team_member_permissions"]}
    provider.post("/team/permissions_update", permitted).into(typing.Any)
    info, permissions = read_team(provider, team_id)
    assert (info.team_info.team_alias, info.team_info.max_budget) == ("research", 50)
    assert info.team_info.organization_id is None
    assert info.team_info.team_member_permissions == permissions.team_member_permissions
    assert permissions.team_member_permissions == plan["team_member_permissions"]

    changed = plan | {"team_alias": "development", "blocked": True}
    assert provider.post("/team/update", changed).into(TeamId).team_id == team_id
    info, _ = read_team(provider, team_id)
    assert (info.team_info.team_alias, info.team_info.blocked) == ("development", True)

    provider.post("/team/delete", {"team_ids": [team_id]}).into(typing.Any)
    assert read_team(provider, team_id) is None


def test_team_with_budgets_of_members(provider):
    reply = provider.post("/team/new", {"team_alias": "research", "team_member_budget": 5})
    assert_kept(reply, "team_member_budget", 5)


def test_team_member(provider, team):
    """Somebody unknown; the budget is read from the membership in the reply."""
    ours, user_id, email = {"team_id": team()["team_id"]}, fresh("user"), fresh_email()
    member = {"user_id": user_id, "user_email": email, "role": "user"}
    added = provider.post("/team/member_add", ours | {"member": member, "max_budget_in_team": 7.5}).into(Added)
    assert only(added.updated_team_memberships).litellm_budget_table.max_budget == 7.5
    assert only(added.updated_users).user_email == email

    changed = ours | {"user_id": user_id, "max_budget_in_team": 9, "role": "admin"}
    updated = provider.post("/team/member_update", changed).into(UpdatedMember)
    assert (updated.user_id, updated.max_budget_in_team) == (user_id, 9)
    info, _ = read_team(provider, ours["team_id"])
    assert Member(user_id, email, "admin") in info.team_info.members_with_roles

    gone = ours | {"user_id": user_id, "user_email": email}
    provider.post("/team/member_delete", gone).into(Map)
    # Already gone is as good as deleted, if the text says so.
    provider.post("/team/member_delete", gone).refused(404, "not found")


def test_team_members_at_once(provider, team):
    ours = {"team_id": team()["team_id"]}
    members = [{"user_id": fresh("user"), "role": "user"}, {"user_email": fresh_email(), "role": "admin"}]
    added = provider.post("/team/member_add", ours | {"member": members, "max_budget_in_team": 3}).into(Added)
    assert len(added.updated_users) == len(added.updated_team_memberships) == 2


def test_user(provider, admin):
    organization_id = admin.post("/organization/new", {"organization_alias": "acme"}).ok()["organization_id"]
    user_id = fresh("user")
    plan = {
        "user_id": user_id,
        "user_email": fresh_email(),
        "user_alias": "Ada",
        "user_role": "internal_user",
        "max_budget": 20,
        "budget_duration": "1mo",
        "models": ["gpt-4o"],
        "tpm_limit": 1000,
        "rpm_limit": 10,
        "metadata": {"team": "research"},
        "send_invite_email": False,
        "auto_create_key": False,
        "blocked": False,
        "organizations": [organization_id],
    }
    created = provider.post("/user/new", plan).into(User)
    assert created.user_id == user_id and created.max_budget == 20
    read = provider.get("/user/info", user_id=user_id).into(UserInfo)
    assert read.user_info.user_email == plan["user_email"] and read.keys == []
    members = admin.get("/organization/info", organization_id=organization_id).ok()["members"]
    assert user_id in [member["user_id"] for member in members]

    changed = {"user_id": user_id, "user_alias": "Ada L.", "max_budget": 30, "blocked": False}
    provider.post("/user/update", changed).into(User)
    read = provider.get("/user/info", user_id=user_id).into(UserInfo)
    assert (read.user_info.user_alias, read.user_info.max_budget) == ("Ada L.", 30)

    assert provider.post("/user/delete", {"user_ids": [user_id]}).into(int) == 1
    provider.get("/user/info", user_id=user_id).refused(404)
