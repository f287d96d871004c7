"""LiteLLM's tests of end users, under both names of their routes.  Left out: calls of models, so that limits and the
region are only read back."""

import concurrent.futures
import dataclasses
import typing

import pytest

from wire import by, fresh, only


@dataclasses.dataclass
class EndUser:
    user_id: str
    blocked: bool
    alias: str | None
    spend: float
    allowed_model_region: str | None
    default_model: str | None
    budget_id: str | None
    litellm_budget_table: dict[str, typing.Any] | None
    object_permission_id: str | None
    object_permission: dict[str, typing.Any] | None


@pytest.fixture(params=["/end_user", "/customer"])
def end_users(request):
    return request.param


@pytest.fixture
def new(admin, end_users):
    def make(**fields):
        body = {"user_id": fresh("end-user"), "allowed_model_region": None, "default_model": None}
        return admin.post(f"{end_users}/new", body | fields).complete(EndUser)

    return make


def test_many_at_once(new):
    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        made = list(pool.map(lambda _: new(), range(10)))
    assert len({one.user_id for one in made}) == 10


def test_specific_region(admin, end_users, new):
    made = new(allowed_model_region="eu", default_model="azure/gpt-3.5-turbo-eu")
    info = admin.get(f"{end_users}/info", end_user_id=made.user_id).complete(EndUser)
    assert info == made and info.allowed_model_region == "eu"


def test_budget_of_a_tier(admin, end_users, new):
    """Several on one budget."""
    budget_id = fresh("free-tier")
    admin.post("/budget/new", {"budget_id": budget_id, "tpm_limit": 2}).ok()
    made = [new(budget_id=budget_id) for _ in range(2)]
    assert [one.litellm_budget_table["tpm_limit"] for one in made] == [2, 2]
    refused = admin.post(f"{end_users}/new", {"user_id": fresh("end-user"), "budget_id": budget_id, "max_budget": 1})
    assert refused.status in (400, 422)


def test_own_budget(admin, end_users, new):
    made = new(max_budget=10, budget_duration="30d", alias="Seventh", blocked=False, metadata={"opt_out": True})
    table = made.litellm_budget_table
    assert (table["max_budget"], table["budget_duration"]) == (10, "30d") and table["budget_reset_at"]
    body = {"user_id": made.user_id, "max_budget": 20, "alias": None}
    changed = admin.post(f"{end_users}/update", body).complete(EndUser)
    assert (changed.litellm_budget_table["max_budget"], changed.alias) == (20, None)
    assert changed.litellm_budget_table["budget_duration"] == "30d"


def test_taken(admin, end_users, new):
    user_id = new().user_id
    admin.post(f"{end_users}/new", {"user_id": user_id}).refused(400, "Customer already exists", user_id)


def test_unknown(admin, end_users):
    user_id = fresh("end-user")
    error = admin.get(f"{end_users}/info", end_user_id=user_id).refused(404, "does not exist in db")["error"]
    assert user_id in error["message"] and error["code"] == "404"
    admin.post(f"{end_users}/update", {"user_id": user_id, "alias": "x"}).refused(404, "does not exist in db")
    admin.post(f"{end_users}/delete", {"user_ids": [user_id]}).refused(404, "do not exist in db")


def test_block_and_unblock(admin, end_users, new):
    """Whoever does not exist is made by that."""
    present, absent = new().user_id, fresh("end-user")
    blocked = admin.post(f"{end_users}/block", {"user_ids": [present, absent]}).ok()["blocked_users"]
    assert {user_id: one["blocked"] for user_id, one in by("user_id", blocked).items()} == {present: True, absent: True}
    admin.post(f"{end_users}/unblock", {"user_ids": [present]}).ok()
    info = [admin.get(f"{end_users}/info", end_user_id=user_id).into(EndUser).blocked for user_id in (present, absent)]
    assert info == [False, True]


def test_list(admin, person, end_users, new):
    """A bare array, for admins."""
    made = new()
    listed = admin.get(f"{end_users}/list").into(list[EndUser])
    assert only([one for one in listed if one.user_id == made.user_id]) == made
    person().get(f"{end_users}/list").refused(401)


def test_delete(admin, end_users, new):
    user_ids = [new().user_id for _ in range(2)]
    assert admin.post(f"{end_users}/delete", {"user_ids": user_ids}).ok()["deleted_customers"] == 2
    for user_id in user_ids:
        admin.get(f"{end_users}/info", end_user_id=user_id).refused(404)


def test_initial_spend(admin, end_users):
    """It is the sum of calls, so it is refused rather than dropped, unless it is 0."""
    body = {"user_id": fresh("end-user"), "spend": 5.0}
    admin.post(f"{end_users}/new", body).refused(422, "spend", "is not supported")
    admin.post(f"{end_users}/new", body | {"spend": 0}).ok()
