"""LiteLLM's tests of organizations and budgets."""

import concurrent.futures

from wire import by, fresh, only


def new_organization(admin, number):
    return admin.post("/organization/new", {"organization_alias": "acme", "metadata": {"number": number}}).ok()


def test_many_at_once(admin):
    """Aliases need not differ."""
    with concurrent.futures.ThreadPoolExecutor(19) as pool:
        made = list(pool.map(lambda number: new_organization(admin, number), range(19)))
    assert len(by("organization_id", made)) == 19


def test_list(admin):
    made = [new_organization(admin, number) for number in range(3)]
    listed = by("organization_id", admin.get("/organization/list").ok())
    assert by("organization_id", made).keys() <= listed.keys()


def test_delete(admin):
    organization_id = new_organization(admin, 1)["organization_id"]
    admin.delete("/organization/delete", {"organization_ids": [organization_id]}).ok()
    assert organization_id not in by("organization_id", admin.get("/organization/list").ok())


def test_members(admin):
    organization_id, user_id = new_organization(admin, 1)["organization_id"], fresh("user")
    ours = {"organization_id": organization_id}
    member = {"role": "internal_user", "user_id": user_id}
    added = admin.post("/organization/member_add", ours | {"member": member}).ok()
    assert only(added["updated_organization_memberships"])["user_role"] == "internal_user"
    admin.patch("/organization/member_update", ours | {"user_id": user_id, "role": "org_admin"}).ok()
    members = admin.post("/organization/info", {"organizations": [organization_id]}).ok()[0]["members"]
    assert only(members)["user_role"] == "org_admin"
    admin.delete("/organization/member_delete", ours | {"user_id": user_id}).ok()
    assert admin.get("/organization/info", organization_id=organization_id).ok()["members"] == []


def test_budget_with_a_duration(admin):
    budget_id = fresh("budget")
    made = admin.post("/budget/new", {"budget_id": budget_id, "max_budget": 10, "budget_duration": "1d"}).ok()
    assert made["budget_reset_at"] > made["created_at"]
    read = only(admin.post("/budget/info", {"budgets": [budget_id]}).ok())
    assert read["budget_reset_at"] == made["budget_reset_at"]
