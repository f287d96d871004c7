"""GittieLabs/SaasLiteLLM, whose sequence was read, not run: a team for each customer, and one key for each team.

Left out: models and calls of them.
"""

import pytest

from wire import fresh


@pytest.fixture
def service(admin):
    return admin


@pytest.mark.parametrize("inside", [False, True], ids=["alone", "in an organization"])
def test_customer(service, inside):
    team_id = fresh("team")
    team = {"team_id": team_id, "team_alias": "acme", "max_budget": 100.0, "metadata": {"plan": "starter"}}
    if inside:
        organization = service.post("/organization/new", {"organization_alias": "acme"}).ok()
        team["organization_id"] = organization["organization_id"]
    assert service.post("/team/new", team).ok()["team_id"] == team_id

    key = {"team_id": team_id, "key_alias": f"{team_id}_key", "max_budget": 50.0, "budget_duration": "1mo"}
    secret = service.post("/key/generate", key | {"models": ["gpt-4o"], "metadata": {"plan": "starter"}}).ok()["key"]
    service.post("/team/update", {"team_id": team_id, "max_budget": 200.0}).ok()
    info = service.get("/team/info", team_id=team_id).ok()["team_info"]
    assert (info["max_budget"], info["metadata"]["plan"]) == (200.0, "starter")
    service.post("/key/delete", {"keys": [secret]}).ok()
