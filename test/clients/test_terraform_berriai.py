"""LiteLLM's own Terraform provider: create, read, update, delete and refresh of each resource.

Left out: models, credentials, MCP servers and vector stores, which are not managed here.
"""

import dataclasses
import typing
import uuid

import pytest

from wire import assert_kept, decode, fresh, fresh_email


@dataclasses.dataclass
class Organization:
    organization_id: str
    organization_alias: str
    metadata: dict[str, typing.Any]
    models: list[str]
    max_budget: float | None
    budget_duration: str
    tpm_limit: int | None
    rpm_limit: int | None
    blocked: bool


@dataclasses.dataclass
class Team:
    """Read from the top of /team/info, where only team_id is; the provider then keeps what it has."""

    team_id: str
    team_alias: str
    organization_id: str
    metadata: dict[str, typing.Any]
    tpm_limit: int | None
    rpm_limit: int | None
    max_budget: float | None
    budget_duration: str
    models: list[str]
    blocked: bool
    team_member_permissions: list[str]


@dataclasses.dataclass
class Permissions:
    team_id: str
    team_member_permissions: list[str]
    all_available_permissions: list[str]


# What keys and members are decoded into.
Map = dict[str, typing.Any]


@pytest.fixture
def provider(connect_with_header):
    return connect_with_header("x-api-key")


def read_organization(provider, organization_id):
    """None: the provider takes it for gone."""
    reply = provider.post("/organization/info", {"organizations": [organization_id]})
    found = reply.into(list[Organization])
    return found[0] if found else None


def test_organization(provider):
    organization_id = str(uuid.uuid4())
    plan = {
        "organization_id": organization_id,
        "organization_alias": "acme",
        "metadata": {"cost_center": "42"},
        "models": ["gpt-4o", "gpt-4o-mini"],
        "max_budget": 100,
        "budget_duration": "30d",
        "tpm_limit": 100000,
        "rpm_limit": 1000,
        "blocked": True,
    }
    provider.post("/organization/new", plan).ok()
    read = read_organization(provider, organization_id)
    assert (read.organization_alias, read.metadata, read.models) == ("acme", plan["metadata"], plan["models"])
    assert read.blocked

    plan |= {"organization_alias": "acme inc", "max_budget": 200.5}
    provider.patch("/organization/update", plan).ok()
    assert read_organization(provider, organization_id).organization_alias == "acme inc"

    provider.delete("/organization/delete", {"organization_ids": [organization_id]}).ok()
    assert read_organization(provider, organization_id) is None


def test_organization_member(provider):
    organization_id = str(uuid.uuid4())
    provider.post("/organization/new", {"organization_id": organization_id, "organization_alias": "acme"}).ok()
    # An e-mail address that is not configured is sent empty.
    member = {"user_id": fresh("user"), "user_email": ""}
    added = {"member": [{"role": "internal_user"} | member], "organization_id": organization_id}
    provider.post("/organization/member_add", added).into(Map)
    changed = {"organization_id": organization_id, "role": "org_admin"} | member
    provider.patch("/organization/member_update", changed).into(Map)
    provider.delete("/organization/member_delete", {"organization_id": organization_id} | member).into(Map)


def test_organization_member_add(provider):
    """A set of members, some by id, some by e-mail address, and the difference to the next set."""
    organization_id = str(uuid.uuid4())
    provider.post("/organization/new", {"organization_id": organization_id, "organization_alias": "acme"}).ok()
    by_id, by_email, both = {"user_id": fresh("user")}, {"user_email": fresh_email()}, {"user_id": fresh("user")}
    both["user_email"] = fresh_email()
    everyone = [member | {"role": "internal_user"} for member in (by_id, by_email, both)]
    provider.post("/organization/member_add", {"organization_id": organization_id, "member": everyone}).into(Map)

    ours = {"organization_id": organization_id}
    provider.delete("/organization/member_delete", ours | by_email).into(Map)
    provider.patch("/organization/member_update", ours | by_id | {"role": "org_admin"}).into(Map)
    newcomer = {"role": "internal_user_viewer", "user_email": fresh_email()}
    provider.post("/organization/member_add", ours | {"member": [newcomer]}).into(Map)
    # Not the org_admin: the caller is another, but the provider deletes in no order.
    for member in (by_id, both, {"user_email": newcomer["user_email"]}):
        provider.delete("/organization/member_delete", ours | member).into(Map)


def read_team(provider, team_id):
    reply = provider.get("/team/info", team_id=team_id)
    if reply.status == 404:
        return None
    return reply.into(Team), provider.get("/team/permissions_list", team_id=team_id).into(Permissions)


def test_team(provider):
    """Without an organization, as most are."""
    team_id = str(uuid.uuid4())
    plan = {
        "team_id": team_id,
        "team_alias": "research",
        "metadata": {"purpose": "trials"},
        "tpm_limit": 1000,
        "rpm_limit": 10,
        "max_budget": 25.5,
        "budget_duration": "7d",
        "models": ["gpt-4o"],
        "blocked": True,
        "team_member_permissions": ["/key/info", "/key/generate"],
    }
    provider.post("/team/new", plan).ok()
    team, permissions = read_team(provider, team_id)
    assert team.team_id == permissions.team_id == team_id
    assert permissions.team_member_permissions == plan["team_member_permissions"]
    assert set(plan["team_member_permissions"]) <= set(permissions.all_available_permissions)

    plan |= {"team_alias": "development", "team_member_permissions": ["/key/info", "/key/update", "/key/delete"]}
    provider.post("/team/update", plan).ok()
    permitted = {"team_id": team_id, "team_member_permissions": plan["team_member_permissions"]}
    provider.post("/team/permissions_update", permitted).ok()
    assert read_team(provider, team_id)[1].team_member_permissions == plan["team_member_permissions"]

    provider.post("/team/delete", {"team_ids": [team_id]}).ok()
    assert read_team(provider, team_id) is None


def test_team_in_an_organization(provider):
    organization_id, team_id = str(uuid.uuid4()), str(uuid.uuid4())
    provider.post("/organization/new", {"organization_id": organization_id, "organization_alias": "acme"}).ok()
    plan = {"team_id": team_id, "team_alias": "research", "organization_id": organization_id}
    provider.post("/team/new", plan).ok()
    read_team(provider, team_id)
    provider.post("/team/update", plan | {"team_alias": "development"}).ok()
    provider.post("/team/delete", {"team_ids": [team_id]}).ok()


def test_team_member(provider, team):
    """A user that nobody knows yet, with a budget that is 0 unless configured."""
    member = {"user_id": fresh("user"), "user_email": fresh_email()}
    ours = {"team_id": team()["team_id"]}
    added = ours | {"member": [{"role": "user"} | member], "max_budget_in_team": 0}
    provider.post("/team/member_add", added).ok()
    provider.post("/team/member_update", ours | member | {"role": "admin", "max_budget_in_team": 10}).ok()
    provider.post("/team/member_delete", ours | member).ok()


def test_team_member_add(provider, team):
    ours = {"team_id": team()["team_id"]}
    by_id, by_email = {"user_id": fresh("user")}, {"user_email": fresh_email()}
    everyone = [member | {"role": "user"} for member in (by_id, by_email)]
    provider.post("/team/member_add", ours | {"member": everyone, "max_budget_in_team": 5}).ok()
    provider.post("/team/member_update", ours | by_id | {"role": "admin", "max_budget_in_team": 5}).ok()
    newcomer = {"role": "user", "user_email": fresh_email()}
    provider.post("/team/member_add", ours | {"member": [newcomer], "max_budget_in_team": 5}).ok()
    for member in (by_id, by_email, {"user_email": newcomer["user_email"]}):
        provider.post("/team/member_delete", ours | member).ok()


def test_key(provider, connect, team):
    plan = {
        "models": ["gpt-4o"],
        "max_budget": 10.5,
        "user_id": fresh("user"),
        "max_parallel_requests": 4,
        "metadata": {"owner": "terraform"},
        "tpm_limit": 1000,
        "rpm_limit": 10,
        "budget_duration": "30d",
        "allowed_cache_controls": ["no-cache"],
        "key_alias": fresh("key"),
        "duration": "90d",
        "aliases": {"small": "gpt-4o-mini"},
        "config": {"region": "eu"},
        "guardrails": ["pii"],
        "blocked": True,
        "tags": ["terraform"],
    }
    created = provider.post("/key/generate", plan).into(Map)
    assert created["tags"] == plan["tags"] and created["aliases"] == plan["aliases"]
    assert created["blocked"] is True
    connect(created["key"]).get("/key/info").refused(401, "blocked")

    token_id = created["token_id"]
    read = provider.get("/key/info", key=token_id).into(Map)
    assert read["key"] == token_id

    team_id = team()["team_id"]
    update = {name: plan[name] for name in plan.keys() - {"user_id", "config", "duration", "allowed_cache_controls"}}
    update |= {"key": token_id, "team_id": team_id, "blocked": False, "permissions": {}, "model_max_budget": {}}
    updated = provider.post("/key/update", update).into(Map)
    assert (updated["key"], updated["team_id"], updated["blocked"]) == (token_id, team_id, False)
    connect(created["key"]).get("/key/info").ok()

    assert provider.post("/key/delete", {"keys": [token_id]}).into(Map)["deleted_keys"] == [token_id]
    provider.get("/key/info", key=token_id).refused(404)


LIMITS = {"soft_budget": 8, "model_rpm_limit": {"gpt-4o": 5}, "model_tpm_limit": {"gpt-4o": 500}}


@pytest.mark.parametrize("name", LIMITS)
def test_key_with_more_limits(provider, name):
    plan = {"models": ["gpt-4o"], "max_budget": 10, name: LIMITS[name]}
    assert_kept(provider.post("/key/generate", plan), name, LIMITS[name])


def test_key_with_nothing_configured(provider):
    """The provider sends what is not configured as empty texts and objects, and means nothing by it."""
    created = provider.post("/key/generate", {"models": [], "blocked": False}).into(Map)
    update = {"key": created["token_id"], "team_id": "", "metadata": {}, "budget_duration": "", "key_alias": ""}
    update |= {name: {} for name in ("aliases", "permissions", "model_max_budget")}
    update |= {"model_rpm_limit": {}, "model_tpm_limit": {}, "blocked": False, "max_budget": 7}
    provider.post("/key/update", update).into(Map)
    read = decode(Map, provider.get("/key/info", key=created["token_id"]).ok()["info"])
    assert (read["max_budget"], read["team_id"], read["key_alias"]) == (7, None, None)
