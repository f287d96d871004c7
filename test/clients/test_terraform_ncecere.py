"""The Terraform provider ncecere/litellm: its resources, and its data sources for lists.

It says who changed something in a header of its own.  Left out: models, projects, tags, access groups, agents,
guardrails, prompts and what else is not managed here.
"""

import typing
import uuid

import pytest

from wire import assert_kept, assert_reads_back, by, fresh, fresh_email, only

# It decodes into maps, and looks at the type of each value it uses.
Map = dict[str, typing.Any]


@pytest.fixture
def provider(connect, connect_with_header, admin):
    more = {"Accept": "application/json", "Authorization": admin.headers["Authorization"]}
    return connect_with_header("x-api-key", **more, **{"litellm-changed-by": "terraform"})


def is_gone(reply):
    """What the provider takes for a resource that no longer exists."""
    return reply.status >= 300 and any(text in reply.text for text in ("not found", "404", "does not exist"))


def kept(info, names):
    """The values of these fields, also where an object has them in its metadata."""
    return {name: info.get(name, info["metadata"].get(name)) for name in names}


def test_organization(provider):
    organization_id = fresh("org")
    plan = {
        "organization_id": organization_id,
        "organization_alias": "acme",
        "budget_duration": "30d",
        "max_budget": 100.5,
        "tpm_limit": 100000,
        "rpm_limit": 1000,
        "blocked": False,
        "models": ["gpt-4o"],
        "tags": ["terraform"],
        "metadata": {"cost_center": "42", "nested": {"level": 2}},
    }
    created = provider.post("/organization/new", plan).into(Map)
    assert created["organization_id"] == organization_id
    plan |= {"organization_alias": "acme inc", "blocked": True, "models": ["gpt-4o", "gpt-4o-mini"]}
    provider.patch("/organization/update", plan).ok()
    read = provider.get("/organization/info", organization_id=organization_id).into(Map)
    compared = ("organization_alias", "blocked", "models", "tags", "metadata")
    assert_reads_back(read, {name: plan[name] for name in compared})
    assert organization_id in by("organization_id", provider.get("/organization/list", org_alias="acme inc").ok())

    provider.delete("/organization/delete", {"organization_ids": [organization_id]}).ok()
    assert is_gone(provider.get("/organization/info", organization_id=organization_id))


def test_organization_member(provider):
    """Named by e-mail address, and found again in the organization's members."""
    organization_id, email = fresh("org"), fresh_email()
    provider.post("/organization/new", {"organization_id": organization_id, "organization_alias": "acme"}).ok()
    ours = {"organization_id": organization_id}
    member = {"role": "internal_user", "user_email": email}
    provider.post("/organization/member_add", ours | {"member": member, "max_budget_in_organization": 10}).into(Map)
    members = provider.get("/organization/info", organization_id=organization_id).into(Map)["members"]
    user_id = by("user_email", members)[email]["user_id"]
    changed = ours | {"user_id": user_id, "role": "org_admin", "max_budget_in_organization": 20}
    provider.patch("/organization/member_update", changed).ok()
    provider.delete("/organization/member_delete", ours | {"user_id": user_id}).ok()
    assert provider.get("/organization/info", organization_id=organization_id).into(Map)["members"] == []


def read_team(provider, team_id):
    info = provider.get("/team/info", team_id=team_id).into(Map)["team_info"]
    return info, provider.get("/team/permissions_list", team_id=team_id).into(Map)["team_member_permissions"]


def test_team(provider):
    team_id = str(uuid.uuid4())
    plan = {
        "team_id": team_id,
        "team_alias": "research",
        "budget_duration": "30d",
        "tpm_limit": 1000,
        "rpm_limit": 10,
        "max_budget": 25.5,
        "blocked": False,
        "models": ["gpt-4o"],
        "metadata": {"purpose": "trials"},
        "team_member_permissions": ["/key/info", "/key/generate"],
    }
    lists = {"tags": ["terraform"], "guardrails": ["pii"], "prompts": ["greeting"]}
    provider.post("/team/new", plan | lists).ok()
    info, permissions = read_team(provider, team_id)
    assert permissions == plan["team_member_permissions"]
    assert_reads_back(info, {name: value for name, value in plan.items() if name != "metadata"})
    assert info["metadata"].items() >= plan["metadata"].items()
    assert kept(info, lists) == lists

    # What left the configuration is cleared with null.
    cleared = {"max_budget": None, "budget_duration": None, "tpm_limit": None, "rpm_limit": None}
    changed = {name: value for name, value in plan.items() if name not in cleared} | {"team_alias": "development"}
    provider.post("/team/update", changed | cleared).ok()
    provider.post("/team/permissions_update", {"team_id": team_id, "team_member_permissions": []}).ok()
    info, permissions = read_team(provider, team_id)
    assert permissions == []
    assert_reads_back(info, cleared | {"team_alias": "development", "models": ["gpt-4o"]})
    assert kept(info, lists) == lists

    assert team_id in by("team_id", provider.get("/team/list").into(list[Map]))
    provider.post("/team/delete", {"team_ids": [team_id]}).ok()
    assert is_gone(provider.get("/team/info", team_id=team_id))


def test_team_block(provider, team):
    team_id = team()["team_id"]
    provider.post("/team/block", {"team_id": team_id}).ok()
    assert read_team(provider, team_id)[0]["blocked"] is True
    provider.post("/team/unblock", {"team_id": team_id}).ok()
    assert read_team(provider, team_id)[0]["blocked"] is False


def test_team_member(provider, team):
    """Known neither to the platform nor to an organization."""
    ours, user_id, email = {"team_id": team()["team_id"]}, fresh("user"), fresh_email()
    member = {"role": "user", "user_id": user_id, "user_email": email}
    added = ours | {"member": [member], "max_budget_in_team": 5}
    provider.post("/team/member_add", added).ok()
    # Added again, the member stays; the provider does not ask for an error.
    provider.post("/team/member_add", added).ok()
    info, _ = read_team(provider, ours["team_id"])
    assert by("user_id", info["members_with_roles"])[user_id] == member
    changed = {"user_id": user_id, "user_email": email, "role": "admin", "max_budget_in_team": 6}
    provider.post("/team/member_update", ours | changed).ok()
    provider.post("/team/member_delete", ours | {"user_id": user_id, "user_email": email}).ok()
    info, _ = read_team(provider, ours["team_id"])
    assert user_id not in by("user_id", info["members_with_roles"])


def test_team_member_add(provider, team):
    ours = {"team_id": team()["team_id"]}
    first, second = {"user_email": fresh_email()}, {"user_id": fresh("user")}
    provider.post("/team/member_add", ours | {"member": [first | {"role": "user"}, second | {"role": "admin"}]}).ok()
    provider.post("/team/member_delete", ours | first).ok()
    provider.post("/team/member_add", ours | {"member": [{"role": "user", "user_email": fresh_email()}]}).ok()
    provider.post("/team/member_delete", ours | second).ok()


def test_key(provider, team):
    plan = {
        "team_id": team()["team_id"],
        "budget_duration": "30d",
        "key_alias": fresh("key"),
        "max_budget": 10.5,
        "max_parallel_requests": 4,
        "tpm_limit": 1000,
        "rpm_limit": 10,
        "blocked": True,
        "models": ["all-team-models"],
        "allowed_routes": ["llm_api_routes"],
    }
    folded = {
        "allowed_cache_controls": ["no-cache"],
        "guardrails": ["pii"],
        "prompts": ["greeting"],
        "enforced_params": ["user"],
        "tags": ["terraform"],
        "aliases": {"small": "gpt-4o-mini"},
        "config": {"region": "eu"},
    }
    more = {"user_id": fresh("user"), "duration": "90d", "metadata": {"owner": "terraform"}}
    key = provider.post("/key/generate", plan | folded | more).into(Map)["key"]
    # It keeps the secret, and reads by it.
    info = provider.get("/key/info", key=key).into(Map)["info"]
    assert_reads_back(info, plan)
    assert kept(info, folded) == folded
    assert info["metadata"].items() >= more["metadata"].items()

    changed = plan | folded | {"blocked": False, "allowed_routes": ["info_routes"], "max_budget": 20.5}
    provider.post("/key/update", changed | {"key": key}).ok()
    info = provider.get("/key/info", key=key).into(Map)["info"]
    assert_reads_back(info, plan | {"blocked": False, "allowed_routes": ["info_routes"], "max_budget": 20.5})

    provider.post("/key/delete", {"keys": [key]}).ok()
    assert is_gone(provider.get("/key/info", key=key))
    # Deleted by somebody else: not found is as good.
    assert is_gone(provider.post("/key/delete", {"keys": [key]}))


LIMITS = {"soft_budget": 8.5, "model_rpm_limit": {"gpt-4o": 5}, "model_tpm_limit": {"gpt-4o": 500}}
TEAM_LIMITS = {"team_member_budget": 5.5, "team_member_rpm_limit": 10, "team_member_tpm_limit": 1000}


@pytest.mark.parametrize("name", LIMITS)
def test_key_with_more_limits(provider, name):
    reply = provider.post("/key/generate", {"max_budget": 10.5, name: LIMITS[name]})
    assert_kept(reply, name, LIMITS[name])


@pytest.mark.parametrize("name", TEAM_LIMITS)
def test_team_with_more_limits(provider, name):
    reply = provider.post("/team/new", {"team_alias": "research", name: TEAM_LIMITS[name]})
    assert_kept(reply, name, TEAM_LIMITS[name])


def test_key_with_a_budget(provider):
    budget_id = fresh("budget")
    provider.post("/budget/new", {"budget_id": budget_id, "max_budget": 5}).ok()
    key = provider.post("/key/generate", {"budget_id": budget_id}).into(Map)["key"]
    info = provider.get("/key/info", key=key).into(Map)["info"]
    assert info["budget_id"] == budget_id and info["litellm_budget_table"]["max_budget"] == 5
    # A budget that does not exist limits nothing, so it is refused.
    provider.post("/key/generate", {"budget_id": fresh("budget")}).refused(400)


def test_service_account(provider, team):
    team_id, account = team()["team_id"], fresh("account")
    plan = {"team_id": team_id, "key_alias": account, "metadata": {"service_account_id": account}}
    key = provider.post("/key/service-account/generate", plan).into(Map)["key"]
    info = provider.get("/key/info", key=key).into(Map)["info"]
    assert_reads_back(info, plan)
    assert info["user_id"] is None
    provider.post("/key/delete", {"keys": [key]}).ok()


def test_key_block(provider):
    key = provider.post("/key/generate", {}).into(Map)["key"]
    provider.post("/key/block", {"key": key}).ok()
    assert provider.get("/key/info", key=key).into(Map)["info"]["blocked"] is True
    provider.post("/key/unblock", {"key": key}).ok()
    assert provider.get("/key/info", key=key).into(Map)["info"]["blocked"] is False


def test_user(provider, team):
    user_id, team_id = fresh("user"), team()["team_id"]
    plan = {
        "user_id": user_id,
        "user_alias": "Ada",
        "user_email": fresh_email(),
        "user_role": "internal_user",
        "budget_duration": "30d",
        "max_budget": 10.5,
        "tpm_limit": 1000,
        "rpm_limit": 10,
        "models": ["gpt-4o"],
        "metadata": {"owner": "terraform"},
    }
    created = provider.post("/user/new", plan | {"auto_create_key": False, "teams": [team_id]}).into(Map)
    assert created["user_id"] == user_id
    info = provider.get("/user/info", user_id=user_id).into(Map)["user_info"]
    assert_reads_back(info, plan | {"teams": [team_id]})
    plan |= {"user_alias": "Ada L.", "max_budget": 20.5}
    provider.post("/user/update", plan).ok()
    info = provider.get("/user/info", user_id=user_id).into(Map)["user_info"]
    assert_reads_back(info, plan | {"teams": [team_id]})

    provider.post("/user/delete", {"user_ids": [user_id]}).ok()
    assert is_gone(provider.get("/user/info", user_id=user_id))


def test_budget(provider):
    budget_id = fresh("budget")
    plan = {
        "budget_id": budget_id,
        "budget_duration": "30d",
        "model_max_budget": {"gpt-4o": {"budget_limit": 5, "time_period": "1d"}},
        "max_budget": 10.5,
        "soft_budget": 8.5,
        "max_parallel_requests": 4,
        "tpm_limit": 1000,
        "rpm_limit": 10,
    }
    provider.post("/budget/new", plan).into(Map)
    assert_reads_back(only(provider.post("/budget/info", {"budgets": [budget_id]}).into(list[Map])), plan)
    plan["max_budget"] = 20.5
    provider.post("/budget/update", plan).ok()
    assert_reads_back(only(provider.post("/budget/info", {"budgets": [budget_id]}).into(list[Map])), plan)
    assert budget_id in by("budget_id", provider.get("/budget/list").into(list[Map]))
    provider.post("/budget/delete", {"id": budget_id}).ok()
    gone = provider.post("/budget/info", {"budgets": [budget_id]})
    assert is_gone(gone) or gone.ok() == []


def test_keys_of_a_team(provider, team):
    """The data source takes an object; without return_full_object its keys are texts."""
    team_id = team()["team_id"]
    token = provider.post("/key/generate", {"team_id": team_id}).into(Map)["token"]
    assert provider.get("/key/list", team_id=team_id).into(Map)["keys"] == [token]


def test_users_with_a_role(provider):
    user_id = fresh("user")
    provider.post("/user/new", {"user_id": user_id, "user_role": "proxy_admin_viewer"}).ok()
    users = provider.get("/user/list", user_role="proxy_admin_viewer").into(Map)["users"]
    assert user_id in by("user_id", users)
    assert {user["user_role"] for user in users} == {"proxy_admin_viewer"}
