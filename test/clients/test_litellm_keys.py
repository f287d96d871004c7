"""LiteLLM's tests of keys.  Left out: calls of models."""

import concurrent.futures

from wire import fresh, only

# Of each key that these tests make.
KEY = {"models": ["azure-models", "gpt-4"], "aliases": {"mistral-7b": "gpt-3.5-turbo"}, "duration": None}


def generate(client, **fields):
    return client.post("/key/generate", KEY | fields).ok()


def error(reply, status, *texts):
    """All failures of rules have the body of an error on these routes."""
    body = reply.refused(status, *texts)["error"]
    assert body.keys() >= {"message", "type", "param", "code"} and body["code"] == str(status), str(reply)
    return body


def test_many_at_once(admin):
    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        keys = list(pool.map(lambda _: generate(admin, max_budget=None, budget_duration=None), range(10)))
    assert len({key["key"] for key in keys}) == 10


def test_token(admin):
    """What names the key without being its secret, nor made from it."""
    key = generate(admin)
    assert key["token"] == key["token_id"] != key["key"]
    info = admin.get("/key/info", key=key["token"]).ok()
    assert (info["key"], info["info"]["token"]) == (key["token"], key["token"])
    assert admin.get("/key/info", key=key["key"]).ok()["key"] == key["key"]


def test_info(admin, connect):
    """By the administrator, and by the key itself, named or not; to others it does not exist."""
    key = generate(admin)["key"]
    admin.get("/key/info", key=key).ok()
    itself = connect(key)
    itself.get("/key/info", key=key).ok()
    itself.get("/key/info").ok()
    stranger = connect(generate(admin)["key"])
    error(stranger.get("/key/info", key=key), 404)
    error(stranger.get("/key/info", key="sk-unknown"), 404)


def test_update(admin):
    """And the user of whom LiteLLM keeps what the platform spends, made by resetting it."""
    key = generate(admin)["key"]
    assert admin.post("/key/update", {"key": key, "models": ["gpt-4"]}).ok()["models"] == ["gpt-4"]
    user_id = fresh("budget")
    reset = admin.post("/user/update", {"user_id": user_id, "spend": 0}).ok()
    assert reset["user_id"] == user_id and reset["data"]["spend"] == 0
    admin.get("/user/info", user_id=user_id).ok()


def test_delete(admin):
    key = generate(admin)["key"]
    assert admin.post("/key/delete", {"keys": [key]}).ok() == {"deleted_keys": [key]}
    error(admin.post("/key/delete", {"keys": [key]}), 404)


def test_delete_all_or_nothing(admin):
    key = generate(admin)["key"]
    error(admin.post("/key/delete", {"keys": [key, "sk-unknown"]}), 404)
    admin.get("/key/info", key=key).ok()


def test_delete_by_a_person(admin, connect):
    """A user who is made by their first key deletes it, as the dashboard does."""
    user_id = fresh("user")
    mine = generate(admin, user_id=user_id)["key"]
    other = generate(admin, user_id=user_id)["key"]
    assert connect(mine).post("/key/delete", {"keys": [other]}).ok() == {"deleted_keys": [other]}


def test_unknown_user(admin, person):
    """Is made for a proxy admin, and for nobody else."""
    user_id = fresh("user")
    assert generate(admin, user_id=user_id)["user_id"] == user_id
    admin.get("/user/info", user_id=user_id).ok()
    reply = person().post("/key/generate", {"user_id": fresh("user")})
    assert reply.status in (400, 403), str(reply)


def test_limits_set_and_cleared(admin):
    key = generate(admin)["key"]
    for name, value in (("max_budget", 10.0), ("tpm_limit", 1000), ("rpm_limit", 10), ("budget_duration", "30d")):
        assert admin.post("/key/update", {"key": key, name: value}).ok()[name] == value
        assert admin.post("/key/update", {"key": key, name: None}).ok()[name] is None
        assert admin.get("/key/info", key=key).ok()["info"][name] is None


def test_expiry(admin):
    key = admin.post("/key/generate", {"duration": "1d"}).ok()
    assert key["expires"] > key["created_at"]
    for never in ("-1", None):
        assert admin.post("/key/update", {"key": key["key"], "duration": "1d"}).ok()["expires"]
        assert admin.post("/key/update", {"key": key["key"], "duration": never}).ok()["expires"] is None


def test_taken_alias(admin, team):
    """Once in an organization, and outside of all."""
    alias = fresh("key")
    generate(admin, key_alias=alias)
    taken = error(admin.post("/key/generate", {"key_alias": alias}), 400)
    assert taken["message"] == f"Key with alias '{alias}' already exists."
    organization_id = admin.post("/organization/new", {"organization_alias": "acme"}).ok()["organization_id"]
    generate(admin, key_alias=alias, organization_id=organization_id)


def test_blocked(admin, connect):
    key = generate(admin, blocked=True)["key"]
    error(connect(key).get("/key/info"), 401, "blocked")
    admin.post("/key/update", {"key": key, "blocked": False}).ok()
    connect(key).get("/key/info").ok()
    admin.post("/key/update", {"key": key, "blocked": True}).ok()
    error(connect(key).get("/key/info"), 401, "blocked")


def test_allowed_routes(admin, connect):
    """A key for calls of models reads itself, and manages nothing."""
    caller = connect(generate(admin, user_id="default_user_id", allowed_routes=["llm_api_routes"])["key"])
    caller.get("/key/info").ok()
    for reply in (caller.get("/team/list"), caller.post("/key/generate", {}), caller.get("/organization/list")):
        error(reply, 403, "not allowed to call this route")
    reader = connect(generate(admin, user_id="default_user_id", allowed_routes=["/team/*"])["key"])
    reader.get("/team/list").ok()
    error(reader.get("/user/list"), 403, "not allowed to call this route")


def test_regenerate(admin, connect):
    """With other fields, and with a secret of the administrator's choice."""
    made = generate(admin, max_budget=5)
    secret = f"sk-{fresh('secret')}"
    again = admin.post("/key/regenerate", {"key": made["key"], "new_key": secret, "max_budget": 7}).ok()
    assert (again["key"], again["token"], again["max_budget"]) == (secret, made["token"], 7)
    connect(secret).get("/key/info").ok()
    connect(made["key"]).get("/key/info").refused(401)


def test_many_infos(admin):
    keys = [generate(admin)["key"] for _ in range(2)]
    many = admin.post("/v2/key/info", {"keys": keys}).ok()
    assert many["key"] == keys and len(many["info"]) == 2


def test_many_updates(admin):
    keys = [generate(admin)["key"] for _ in range(2)]
    changes = [{"key": key, "max_budget": 5} for key in [*keys, "sk-unknown"]]
    done = admin.post("/key/bulk_update", {"keys": changes}).ok()
    assert done["total_requested"] == 3
    assert [one["key"] for one in done["successful_updates"]] == keys
    assert only(done["failed_updates"])["key"] == "sk-unknown"


def test_health(admin, connect):
    assert connect(generate(admin)["key"]).post("/key/health", {}).ok()["key"] == "healthy"


def test_team_key(admin, connect, team):
    """Reads its own team and nothing else of it."""
    team_id = team()["team_id"]
    key = connect(generate(admin, team_id=team_id, models=[])["key"])
    assert key.get("/team/info", team_id=team_id).ok()["team_id"] == team_id
    assert key.get("/team/info", team_id=team()["team_id"]).status in (401, 403, 404)


def test_errors(admin):
    """Their body, whatever is wrong."""
    error(admin.get("/key/info", key="sk-unknown"), 404)
    error(admin.post("/key/update", {"key": "sk-unknown", "max_budget": 1}), 404)
    error(admin.post("/key/block", {"key": "sk-unknown"}), 404)
    error(admin.post("/key/generate", {"team_id": fresh("team")}), 400)
    error(admin.post("/key/generate", {"budget_id": fresh("budget")}), 400)
