"""LiteLLM's tests of teams.  Left out: calls of models."""

import concurrent.futures

from wire import fresh, fresh_email

# Of each user that these tests make.
USER = {"models": ["azure-models"], "aliases": {"mistral-7b": "gpt-3.5-turbo"}, "duration": None, "max_budget": None}


def new_user(admin, **fields):
    return admin.post("/user/new", USER | fields).ok()


def new_team(admin, members):
    return admin.post("/team/new", {"team_alias": "my-new-team", "members_with_roles": members}).ok()


def test_many_at_once(admin):
    """Each makes the same unknown user a member."""
    members = [{"role": "user", "user_id": fresh("user")}]
    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        teams = list(pool.map(lambda _: new_team(admin, members), range(10)))
    assert len({team["team_id"] for team in teams}) == 10


def test_info(admin, connect, team):
    """For the administrator, a key of the team, and nobody else."""
    team_id = team()["team_id"]
    admin.get("/team/info", team_id=team_id).ok()
    key = admin.post("/key/generate", {"team_id": team_id, "duration": None, "budget_duration": None}).ok()["key"]
    connect(key).get("/team/info", team_id=team_id).ok()
    stranger = admin.post("/key/generate", {"duration": None}).ok()["key"]
    assert connect(stranger).get("/team/info", team_id=team_id).status in (401, 403, 404)


def test_update(admin):
    """Ten unknown members join, and a new alias leaves everything else as it is."""
    admin_id = new_user(admin, user_id=fresh("user"))["user_id"]
    made = new_team(admin, [{"role": "admin", "user_id": admin_id}])
    members = [{"role": "user", "user_id": f"{fresh('member')}@example.com"} for _ in range(10)]
    admin.post("/team/member_add", {"team_id": made["team_id"], "member": members}).ok()
    info = admin.get("/team/info", team_id=made["team_id"]).ok()["team_info"]
    # Ten members, the admin, and the creator.
    assert len(info["members_with_roles"]) == 12

    updated = admin.post("/team/update", {"team_id": made["team_id"], "team_alias": "my-new-team"}).ok()["data"]
    assert updated["team_alias"] == "my-new-team"
    changing = {"members_with_roles", "created_at", "updated_at", "model_id", "litellm_model_table"}
    changed = {name for name in updated.keys() - changing if updated[name] != made.get(name)}
    assert changed == set()


def test_creator_and_listed_creator(admin):
    """The creator becomes an admin once, unless listed."""
    team = new_team(admin, [])
    assert [(one["user_id"], one["role"]) for one in team["members_with_roles"]] == [("default_user_id", "admin")]
    team = new_team(admin, [{"role": "user", "user_id": "default_user_id"}])
    assert [(one["user_id"], one["role"]) for one in team["members_with_roles"]] == [("default_user_id", "user")]


def teams_of(admin, user_id):
    return [team["team_id"] for team in admin.get("/user/info", user_id=user_id).ok()["teams"]]


def test_member_by_email(admin):
    admin_id = new_user(admin, user_id=fresh("user"))["user_id"]
    team = new_team(admin, [{"role": "admin", "user_id": admin_id}])
    email = fresh_email()
    user_id = new_user(admin, user_email=email)["user_id"]
    members = [{"role": "user", "user_email": email}]
    admin.post("/team/member_add", {"team_id": team["team_id"], "member": members}).ok()
    assert team["team_id"] in teams_of(admin, user_id)


def test_delete(admin, connect):
    admin_id, user_id = (new_user(admin, user_id=fresh("user"))["user_id"] for _ in range(2))
    members = [{"role": "admin", "user_id": admin_id}, {"role": "user", "user_id": user_id}]
    team_id = new_team(admin, members)["team_id"]
    assert teams_of(admin, user_id) == [team_id]
    key = admin.post("/key/generate", {"team_id": team_id}).ok()["key"]
    admin.post("/team/delete", {"team_ids": [team_id]}).ok()
    assert teams_of(admin, user_id) == []
    admin.get("/team/info", team_id=team_id).refused(404)
    connect(key).get("/key/info").refused(401)


def member_delete(admin, **named):
    admin_id = new_user(admin, user_id=fresh("user"))["user_id"]
    new_user(admin, **named)
    (field, value), *_ = list(named.items())[-1:]
    team = new_team(admin, [{"role": "admin", "user_id": admin_id}, {"role": "user", field: value}])
    assert value in [member[field] for member in team["members_with_roles"]]
    admin.post("/team/member_delete", {"team_id": team["team_id"], field: value}).ok()
    info = admin.get("/team/info", team_id=team["team_id"]).ok()["team_info"]
    assert value not in [member[field] for member in info["members_with_roles"]]


def test_member_delete_by_id(admin):
    member_delete(admin, user_id=fresh("user"))


def test_member_delete_by_email(admin):
    member_delete(admin, user_id=fresh("user"), user_email=fresh_email())


def test_model_aliases(admin, connect):
    """Read back; that calls follow them is the business of usage."""
    aliases = {"cheap-model": "gpt-3.5-turbo"}
    team = admin.post("/team/new", {"team_alias": "my-new-team", "model_aliases": aliases}).ok()
    assert team["model_aliases"] == aliases
    key = admin.post("/key/generate", {"team_id": team["team_id"], "models": ["gpt-3.5-turbo"]}).ok()["key"]
    assert connect(key).get("/team/info", team_id=team["team_id"]).ok()["team_info"]["model_aliases"] == aliases


def test_user_made_in_a_team(admin, connect):
    """The user's first key belongs to the team, and the user's budget there can be set."""
    team_id, user_id = new_team(admin, [])["team_id"], fresh("user")
    user = new_user(admin, user_id=user_id, team_id=team_id, max_budget=10, budget_duration="5s")
    assert connect(user["key"]).get("/key/info").ok()["info"]["team_id"] == team_id
    budget = {"team_id": team_id, "user_id": user_id, "max_budget_in_team": 0.0000001}
    assert admin.post("/team/member_update", budget).ok()["max_budget_in_team"] == 0.0000001


def test_limits_set_and_cleared(admin):
    """Null takes each limit away again."""
    team_id = new_team(admin, [])["team_id"]
    for name, value in (("max_budget", 10.0), ("tpm_limit", 1000), ("rpm_limit", 10), ("budget_duration", "30d")):
        assert admin.post("/team/update", {"team_id": team_id, name: value}).ok()["data"][name] == value
        assert admin.post("/team/update", {"team_id": team_id, name: None}).ok()["data"][name] is None


def test_taken_id(admin):
    team_id = new_team(admin, [])["team_id"]
    taken = admin.post("/team/new", {"team_id": team_id, "team_alias": "another"}).refused(400)
    message = f"Team id = {team_id} already exists. Please use a different team id."
    assert taken["detail"]["error"] == message


def test_right_before_fields(person):
    """Somebody without the right to make teams is told so, whatever is wrong with the team."""
    ada = person()
    for body in ({"team_alias": "x"}, {"max_budget": -1}):
        assert ada.post("/team/new", body).status in (401, 403)
