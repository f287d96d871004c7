"""LiteLLM's fields of limits, as its tests, its documentation and its dashboard's forms send them: each reads back as it
was sent, and null takes it away.  Left out: calls of models, but for the reservations that stand for them."""

import pytest

from wire import assert_reads_back, fresh, only

BY_MODEL = {"model_rpm_limit": {"gpt-4o": 5}, "model_tpm_limit": {"gpt-4o": 500}}
PER_DAY = {"rpd_limit": 100, "tpd_limit": 1000}
WINDOWS = {
    "budget_limits": [{"budget_duration": "24h", "max_budget": 10}, {"budget_duration": "30d", "max_budget": 100}],
}
TEAM_MEMBERS = {
    "team_member_budget": 5.5,
    "team_member_budget_duration": "30d",
    "team_member_rpm_limit": 10,
    "team_member_tpm_limit": 1000,
}
RAISE = {"temp_budget_increase": 100, "temp_budget_expiry": "2999-01-15"}
EVERYWHERE = BY_MODEL | PER_DAY | WINDOWS


def nulls(fields):
    return dict.fromkeys(fields)


def assert_cleared(read, fields):
    assert not any(read[name] for name in fields), read


@pytest.fixture
def key(admin):
    """The secret of a new key."""
    return lambda **fields: admin.post("/key/generate", fields).ok()["key"]


def key_info(admin, key):
    return admin.get("/key/info", key=key).ok()["info"]


def test_key(admin, key):
    plan = EVERYWHERE | {"max_budget": 10, "soft_budget": 8.5} | RAISE
    made = key(**plan)
    assert_reads_back(key_info(admin, made), plan)
    changed = {"model_rpm_limit": {"gpt-4o": 7, "claude": 1}, "temp_budget_increase": 50, "soft_budget": 9}
    admin.post("/key/update", {"key": made} | changed).ok()
    assert_reads_back(key_info(admin, made), plan | changed)
    admin.post("/key/update", {"key": made} | nulls(plan)).ok()
    assert_cleared(key_info(admin, made), plan)


def test_key_made_anew(admin, key):
    plan = BY_MODEL | {"soft_budget": 8.5}
    made = admin.post(f"/key/{key()}/regenerate", plan).ok()
    assert_reads_back(key_info(admin, made["key"]), plan)


def test_service_account(admin, team):
    account = admin.post("/key/service-account/generate", {"team_id": team()["team_id"]} | EVERYWHERE).ok()
    assert_reads_back(account, EVERYWHERE)


def test_team(admin, team):
    plan = EVERYWHERE | TEAM_MEMBERS | {"max_budget": 100, "soft_budget": 80, "model_max_budget": {"gpt-4o": 5}}
    team_id = team(**plan)["team_id"]
    assert_reads_back(admin.get("/team/info", team_id=team_id).ok()["team_info"], plan)
    admin.post("/team/update", {"team_id": team_id, "team_member_budget": 7}).ok()
    read = admin.get("/team/info", team_id=team_id).ok()["team_info"]
    assert_reads_back(read, plan | {"team_member_budget": 7})
    assert_cleared(admin.post("/team/update", {"team_id": team_id} | nulls(plan)).ok()["data"], plan)


def test_user(admin):
    plan = EVERYWHERE | {"soft_budget": 8.5, "max_parallel_requests": 3}
    user_id = admin.post("/user/new", plan | {"auto_create_key": False}).ok()["user_id"]
    assert_reads_back(admin.get("/user/info", user_id=user_id).ok()["user_info"], plan)
    assert_cleared(admin.post("/user/update", {"user_id": user_id} | nulls(plan)).ok()["data"], plan)


def test_organization(admin):
    made = admin.post("/organization/new", {"organization_alias": "acme", "models": ["gpt-4o"]} | BY_MODEL).ok()
    named = {"organization_id": made["organization_id"]}
    info = admin.get("/organization/info", **named).ok()
    assert_reads_back(info["litellm_budget_table"], BY_MODEL)
    changed = {"model_tpm_limit": {"gpt-4o": 900}}
    assert_reads_back(admin.patch("/organization/update", named | changed).ok()["litellm_budget_table"], changed)


def test_budget(admin):
    budget_id = fresh("budget")
    admin.post("/budget/new", {"budget_id": budget_id} | EVERYWHERE).ok()
    assert_reads_back(only(admin.post("/budget/info", {"budgets": [budget_id]}).ok()), EVERYWHERE)


def reserve(admin, key, **fields):
    return admin.post("/usage/reserve", {"key": key, "model": "gpt-4o", "max_cost": 0.1, "max_tokens": 1} | fields)


def test_requests_of_a_model(admin, key):
    made = key(model_rpm_limit={"gpt-4o": 0})
    error = reserve(admin, made).refused(429, "Rate limit exceeded")["error"]
    assert error["limit"]["model"] == "gpt-4o"
    reserve(admin, made, model="gpt-4o-mini").ok()


def test_budget_of_each_member(admin, key, team):
    """Everybody has the amount for themself; who has a budget in the team of their own has that one."""
    ann, bob = (admin.post("/user/new", {"auto_create_key": False}).ok()["user_id"] for _ in range(2))
    members = [{"role": "user", "user_id": user_id} for user_id in (ann, bob)]
    team_id = team(team_member_budget=5, members_with_roles=members)["team_id"]
    budget = {"team_id": team_id, "user_id": bob, "max_budget_in_team": 50}
    admin.post("/team/member_update", budget).ok()
    keys = {user_id: key(team_id=team_id, user_id=user_id) for user_id in (ann, bob)}
    limit = reserve(admin, keys[ann], max_cost=6).refused(429, "budget_exceeded")["error"]["limit"]
    assert (limit["each"], limit["part"], limit["value"]) == ("member", ann, 5)
    reserve(admin, keys[bob], max_cost=6).ok()


def test_budget_raised_for_some_time(admin, key):
    made = key(max_budget=1)
    reserve(admin, made, max_cost=2).refused(429)
    admin.post("/key/update", {"key": made} | RAISE).ok()
    reserve(admin, made, max_cost=2).ok()
    other = key(max_budget=1, temp_budget_increase=100, temp_budget_expiry="2026-01-15")
    reserve(admin, other, max_cost=2).refused(429)


def test_several_windows(admin, key):
    made = key(**WINDOWS)
    limit = reserve(admin, made, max_cost=11).refused(429)["error"]["limit"]
    assert (limit["field"], limit["per"], limit["value"]) == ("budget_limits", "24h", 10)
    reserve(admin, made, max_cost=10).ok()


def test_soft_budget_refuses_nothing(admin, key):
    made = key(soft_budget=1)
    reserve(admin, made, max_cost=2).ok()


@pytest.mark.parametrize("route", ["/team/new", "/team/update", "/user/new", "/user/update"])
def test_what_holds_nowhere_is_refused(admin, route):
    admin.post(route, {"temp_budget_increase": 5}).refused(422, "temp_budget_increase", "is not supported")
