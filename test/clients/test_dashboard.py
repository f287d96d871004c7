"""LiteLLM's dashboard: the requests of its pages for organizations, teams, users, keys and budgets.

Left out: login and settings, models, usage, logs, and the forms' lists of guardrails, prompts and the like.
"""

import dataclasses
import typing

import pytest

from wire import assert_reads_back, by, fresh, fresh_email, only

Object = dict[str, typing.Any]


@dataclasses.dataclass
class Teams:
    teams: list[Object]
    total: int
    page: int
    page_size: int
    total_pages: int


@dataclasses.dataclass
class Users:
    users: list[Object]
    total: int
    page: int
    page_size: int
    total_pages: int


@dataclasses.dataclass
class Keys:
    keys: list[Object]
    total_count: int
    current_page: int
    total_pages: int


@pytest.fixture
def page(admin):
    return admin


@pytest.fixture
def organization_id(page):
    form = {"organization_alias": fresh("acme"), "models": [], "metadata": {}, "max_budget": None}
    return page.post("/organization/new", form).ok()["organization_id"]


def test_organizations(page):
    form = {
        "organization_alias": fresh("acme"),
        "models": ["gpt-4o"],
        "max_budget": 100,
        "budget_duration": "30d",
        "tpm_limit": None,
        "rpm_limit": None,
        "metadata": {"note": "from the form"},
    }
    made = page.post("/organization/new", form).ok()
    organization_id = made["organization_id"]
    row = only(page.get("/organization/list", org_id=organization_id).ok())
    assert only(page.get("/organization/list", org_alias=form["organization_alias"]).ok()) == row
    assert row["litellm_budget_table"]["max_budget"] == 100
    assert row["members"] == row["teams"] == []

    # The edit form nests the budget.
    nested = {"max_budget": 200, "budget_duration": "7d", "tpm_limit": 1000, "rpm_limit": None}
    changed = {"organization_id": organization_id, "organization_alias": "acme inc", "models": ["gpt-4o"]}
    page.patch("/organization/update", changed | {"litellm_budget_table": nested, "metadata": {"note": "edited"}}).ok()
    info = page.get("/organization/info", organization_id=organization_id).ok()
    assert_reads_back(info["litellm_budget_table"], nested)
    assert (info["organization_alias"], info["metadata"]) == ("acme inc", {"note": "edited"})

    page.delete("/organization/delete", {"organization_ids": [organization_id]}).ok()
    page.get("/organization/info", organization_id=organization_id).refused(404)


def test_organization_members(page, organization_id):
    ours = {"organization_id": organization_id}
    email, user_id = fresh_email(), fresh("user")
    page.post("/organization/member_add", ours | {"member": {"user_email": email, "role": "internal_user"}}).ok()
    page.post("/organization/member_add", ours | {"member": {"user_id": user_id, "role": "internal_user"}}).ok()
    page.patch("/organization/member_update", ours | {"user_id": user_id, "role": "org_admin"}).ok()
    members = by("user_id", page.get("/organization/info", **ours).ok()["members"])
    assert members[user_id]["user_role"] == "org_admin"
    assert email in [member["user_email"] for member in members.values()]
    page.delete("/organization/member_delete", ours | {"user_id": user_id}).ok()


def test_teams_page(page, organization_id):
    """Old and new: the old one counts the keys and members of each row."""
    alias = fresh("team")
    form = {"team_alias": alias, "models": ["gpt-4o"], "max_budget": 50, "budget_duration": "30d", "metadata": {}}
    alone = page.post("/team/new", form).ok()
    inside = page.post("/team/new", form | {"organization_id": organization_id}).ok()
    assert (alone["organization_id"], inside["organization_id"]) == (None, organization_id)
    page.post("/key/generate", {"team_id": alone["team_id"]}).ok()

    row = by("team_id", page.get("/team/list").ok())[alone["team_id"]]
    assert len(row["keys"]) == 1 and isinstance(row["team_memberships"], list)
    assert only(page.get("/team/list", organization_id=organization_id).ok())["team_id"] == inside["team_id"]

    query = {"page": 1, "page_size": 10, "sort_by": "created_at", "sort_order": "desc", "team_alias": alias}
    found = page.get("/v2/team/list", **query).complete(Teams)
    assert [team["team_id"] for team in found.teams] == [inside["team_id"], alone["team_id"]]
    assert (found.total, found.page, found.page_size, found.total_pages) == (2, 1, 10, 1)
    found = page.get("/v2/team/list", organization_id=organization_id, **query).complete(Teams)
    assert only(found.teams)["team_id"] == inside["team_id"]


def test_team_settings(page, team):
    team_id = team(max_budget=50, budget_duration="30d", tpm_limit=1000, rpm_limit=10)["team_id"]
    # An emptied field is sent as null.
    form = {"team_id": team_id, "team_alias": "edited", "models": ["gpt-4o"], "metadata": {"note": "edited"}}
    form |= {"max_budget": 60, "budget_duration": None, "tpm_limit": None, "rpm_limit": None}
    updated = page.post("/team/update", form).ok()
    assert updated["team_id"] == team_id and updated["data"]["team_alias"] == "edited"
    info = page.get("/team/info", team_id=team_id).ok()
    assert info["team_id"] == team_id
    assert_reads_back(info["team_info"], form)

    permissions = page.get("/team/permissions_list", team_id=team_id).ok()
    assert set(permissions["team_member_permissions"]) <= set(permissions["all_available_permissions"])
    wanted = ["/key/info", "/key/generate", "/key/update"]
    changed = page.post("/team/permissions_update", {"team_id": team_id, "team_member_permissions": wanted}).ok()
    assert changed["team_member_permissions"] == wanted
    assert page.get("/team/permissions_list", team_id=team_id).ok()["team_member_permissions"] == wanted

    page.post("/team/delete", {"team_ids": [team_id]}).ok()
    page.get("/team/info", team_id=team_id).refused(404)


def test_team_members(page, team):
    ours, email, user_id = {"team_id": team()["team_id"]}, fresh_email(), fresh("user")
    added = page.post("/team/member_add", ours | {"member": {"user_email": email, "role": "user"}}).ok()
    assert only(added["updated_users"])["user_email"] == email
    page.post("/team/member_add", ours | {"member": {"user_id": user_id, "role": "user"}}).ok()
    form = {"user_id": user_id, "role": "admin", "max_budget_in_team": 5, "tpm_limit": 1000, "rpm_limit": 10}
    updated = page.post("/team/member_update", ours | form).ok()
    assert (updated["max_budget_in_team"], updated["tpm_limit"], updated["rpm_limit"]) == (5, 1000, 10)

    info = page.get("/team/info", **ours).ok()
    assert by("user_id", info["team_info"]["members_with_roles"])[user_id]["role"] == "admin"
    budget = by("user_id", info["team_memberships"])[user_id]["litellm_budget_table"]
    assert (budget["max_budget"], budget["tpm_limit"], budget["rpm_limit"]) == (5, 1000, 10)
    page.post("/team/member_delete", ours | {"user_id": user_id}).ok()
    page.post("/team/member_delete", ours | {"user_email": email}).ok()


def test_many_team_members(page, team):
    team_id = team()["team_id"]
    members = [{"user_email": fresh_email(), "role": "user"}, {"user_id": fresh("user"), "role": "admin"}]
    page.post("/team/bulk_member_add", {"team_id": team_id, "members": members, "max_budget_in_team": 5}).ok()
    info = page.get("/team/info", team_id=team_id).ok()["team_info"]
    assert {(members[1]["user_id"], "admin")} <= {(one["user_id"], one["role"]) for one in info["members_with_roles"]}
    assert members[0]["user_email"] in [one["user_email"] for one in info["members_with_roles"]]


def test_available_teams(page):
    assert page.get("/team/available").ok() == []


def test_users_page(page, team):
    team_id, prefix = team()["team_id"], fresh("user")
    form = {"user_role": "internal_user", "team_id": team_id, "models": [], "metadata": {}, "auto_create_key": False}
    emails = [f"{prefix}-{number}@example.com" for number in range(2)]
    ids = [page.post("/user/new", form | {"user_email": email}).ok()["user_id"] for email in emails]

    query = {"page": 1, "page_size": 25, "sort_by": "created_at", "sort_order": "desc"}
    found = page.get("/user/list", user_email=prefix, **query).complete(Users)
    assert [user["user_id"] for user in found.users] == ids[::-1]
    assert (found.total, found.page, found.page_size, found.total_pages) == (2, 1, 25, 1)
    assert all(user["teams"] == [team_id] for user in found.users)
    for filters in ({"team": team_id}, {"user_ids": ",".join(ids)}):
        found = page.get("/user/list", role="internal_user", **filters, **query).complete(Users)
        assert ids[0] in [user["user_id"] for user in found.users]
        assert {user["user_role"] for user in found.users} == {"internal_user"}

    # The search when somebody is added to a team or to an organization.
    found = by("user_id", page.get("/user/filter/ui", user_email=prefix).into(list[Object]))
    assert found.keys() == set(ids) and {"user_id", "user_email", "user_alias"} <= found[ids[0]].keys()
    roles = page.get("/user/available_roles").into(dict[str, dict[str, str]])
    assert {"proxy_admin", "proxy_admin_viewer", "internal_user", "internal_user_viewer"} <= roles.keys()
    assert all(role["description"] and role["ui_label"] for role in roles.values())


def test_user_settings(page):
    user_id = page.post("/user/new", {"user_email": fresh_email(), "max_budget": 5, "tpm_limit": 10}).ok()["user_id"]
    form = {"user_id": user_id, "user_alias": "Ada", "models": ["gpt-4o"], "user_role": "internal_user_viewer"}
    form |= {"max_budget": None, "tpm_limit": None, "metadata": {"note": "edited"}}
    updated = page.post("/user/update", form).ok()
    assert updated["user_id"] == user_id
    assert_reads_back(updated["data"], form)
    assert_reads_back(page.get("/v2/user/info", user_id=user_id).ok(), form)
    assert_reads_back(page.get("/user/info", user_id=user_id).ok()["user_info"], form)

    many = {"users": [{"user_id": user_id, "max_budget": 7}]}
    assert page.post("/user/bulk_update", many).ok()["successful_updates"] == 1
    assert page.get("/v2/user/info", user_id=user_id).ok()["max_budget"] == 7
    assert page.post("/user/delete", {"user_ids": [user_id]}).ok() == 1


def test_keys_page(page, team):
    user_id, team_id, alias = fresh("user"), team(models=["gpt-4o"])["team_id"], fresh("key")
    form = {"user_id": user_id, "key_alias": alias, "team_id": team_id, "models": ["all-team-models"], "metadata": {}}
    form |= {"max_budget": 5, "budget_duration": "30d", "tpm_limit": None, "duration": "30d", "tags": ["trials"]}
    made = page.post("/key/generate", form).ok()
    token = made["token"]

    query = {"page": 1, "size": 50, "sort_by": "created_at", "sort_order": "desc", "expand": "user"}
    query |= {"return_full_object": "true", "include_team_keys": "true", "include_created_by_keys": "true"}
    for filters in ({"team_id": team_id}, {"key_alias": alias}, {"key_hash": token}):
        found = page.get("/key/list", **filters, **query).complete(Keys)
        row = only(found.keys)
        assert (row["token"], row["key_alias"], row["user"]["user_id"]) == (token, alias, user_id)
        assert (found.total_count, found.current_page, found.total_pages) == (1, 1, 1)
    # With a user, the keys of the teams that the caller administers come as well.
    assert token in by("token", page.get("/key/list", user_id=user_id, **query | {"size": 1000}).complete(Keys).keys)
    assert alias in page.get("/key/aliases", size=1000).ok()["aliases"]

    info = page.get("/key/info", key=token).ok()
    assert info["key"] == token and info["info"]["tags"] == ["trials"]
    many = page.post("/v2/key/info", {"keys": [token]}).ok()
    assert many["key"] == [token] and only(many["info"])["token"] == token

    edited = {"key": token, "key_alias": fresh("key"), "models": ["gpt-4o"], "max_budget": None, "duration": None}
    updated = page.post("/key/update", edited).ok()
    assert (updated["key"], updated["max_budget"], updated["expires"]) == (token, None, None)
    page.post(f"/key/{token}/reset_spend", {"reset_to": 0}).ok()
    assert page.post("/key/delete", {"keys": [token]}).ok() == {"deleted_keys": [token]}
    assert page.get("/key/list", team_id=team_id, **query).complete(Keys).total_count == 0


def test_regenerated_key(page, connect):
    made = page.post("/key/generate", {"key_alias": fresh("key"), "max_budget": 5}).ok()
    form = {"key_alias": fresh("key"), "max_budget": 7, "tpm_limit": 1000, "rpm_limit": 10, "duration": "30d"}
    again = page.post(f"/key/{made['token']}/regenerate", form).ok()
    assert again["key"].startswith("sk-") and again["key"] != made["key"]
    assert (again["key_alias"], again["max_budget"], again["tpm_limit"]) == (form["key_alias"], 7, 1000)
    connect(again["key"]).get("/key/info").ok()
    connect(made["key"]).get("/key/info").refused(401)


def test_service_account(page, team):
    team_id, alias = team()["team_id"], fresh("account")
    form = {"team_id": team_id, "key_alias": alias, "models": [], "metadata": {"service_account_id": alias}}
    made = page.post("/key/service-account/generate", form).ok()
    assert (made["team_id"], made["user_id"], made["key_alias"]) == (team_id, None, alias)
    page.post("/key/service-account/generate", {"key_alias": fresh("account")}).refused(422, "team_id")


def test_key_in_another_team(page, team):
    """The form of a key can move it."""
    first, second = team()["team_id"], team()["team_id"]
    token = page.post("/key/generate", {"team_id": first}).ok()["token"]
    assert page.post("/key/update", {"key": token, "team_id": second}).ok()["team_id"] == second
    assert page.get("/key/list", team_id=second).ok()["keys"] == [token]
    assert page.get("/key/list", team_id=first).ok()["keys"] == []


def test_own_pages(page, person, team):
    """What an internal user sees, whose default page makes a key without saying for whom."""
    ada = person()
    team_id = team()["team_id"]
    page.post("/team/member_add", {"team_id": team_id, "member": {"user_id": ada.user_id, "role": "user"}}).ok()
    made = ada.post("/key/generate", {"user_id": ada.user_id, "key_alias": fresh("key"), "models": []}).ok()
    assert made["user_id"] == ada.user_id
    listed = ada.get("/key/list", user_id=ada.user_id, page=1, size=50, return_full_object="true").complete(Keys)
    assert made["token"] in by("token", listed.keys)
    assert only(ada.get("/v2/team/list", user_id=ada.user_id, page=1).complete(Teams).teams)["team_id"] == team_id
    assert ada.get("/user/info").ok()["user_id"] == ada.user_id


def test_budgets(page):
    budget_id = fresh("budget")
    form = {"budget_id": budget_id, "max_budget": 10, "budget_duration": "30d", "tpm_limit": None, "rpm_limit": None}
    page.post("/budget/new", form).ok()
    page.post("/budget/update", form | {"max_budget": 20}).ok()
    assert by("budget_id", page.get("/budget/list").ok())[budget_id]["max_budget"] == 20
    page.post("/budget/delete", {"id": budget_id}).ok()
    assert budget_id not in by("budget_id", page.get("/budget/list").ok())
