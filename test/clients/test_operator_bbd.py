"""The Kubernetes operator bbdsoftware/litellm-operator: what its controllers send to reconcile users, teams, members of
teams and virtual keys, and whether they come to rest.

Left out: models.
"""

import dataclasses

import pytest

from wire import fresh, fresh_email, only

Texts = list[str]


@dataclasses.dataclass
class Member:
    user_id: str
    user_email: str
    role: str


@dataclasses.dataclass
class Team:
    admins: Texts
    blocked: bool
    budget_duration: str
    budget_reset_at: str
    created_at: str
    litellm_model_table: str
    max_budget: float
    max_parallel_requests: int
    members: Texts
    members_with_roles: list[Member]
    model_id: str
    models: Texts
    organization_id: str
    rpm_limit: int
    spend: float
    tags: Texts
    team_alias: str
    team_id: str
    team_member_permissions: Texts
    tpm_limit: int
    updated_at: str


@dataclasses.dataclass
class TeamInfo:
    team_info: Team


@dataclasses.dataclass
class UpdatedTeam:
    data: Team


@dataclasses.dataclass
class FoundTeam:
    team_id: str
    team_alias: str


@dataclasses.dataclass
class TeamList:
    teams: list[FoundTeam]


@dataclasses.dataclass
class User:
    aliases: dict[str, str]
    allowed_cache_controls: Texts
    allowed_routes: Texts
    blocked: bool
    budget_duration: str
    budget_id: str
    config: dict[str, str]
    created_at: str
    created_by: str
    duration: str
    enforced_params: Texts
    expires: str
    guardrails: Texts
    key: str
    key_alias: str
    key_name: str
    litellm_budget_table: str
    max_budget: float
    max_parallel_requests: int
    models: Texts
    permissions: dict[str, str]
    rpm_limit: int
    spend: float
    sso_user_id: str
    tags: Texts
    teams: Texts
    token: str
    tpm_limit: int
    updated_at: str
    updated_by: str
    user_alias: str
    user_email: str
    user_id: str
    user_role: str


@dataclasses.dataclass
class UserInfo:
    user_info: User


@dataclasses.dataclass
class UpdatedUser:
    data: User


@dataclasses.dataclass
class FoundUser:
    user_id: str
    user_email: str


@dataclasses.dataclass
class UserList:
    users: list[FoundUser]


@dataclasses.dataclass
class Key:
    aliases: dict[str, str]
    allowed_cache_controls: Texts
    allowed_routes: Texts
    blocked: bool
    budget_duration: str
    budget_id: str
    budget_reset_at: str
    config: dict[str, str]
    created_at: str
    created_by: str
    duration: str
    enforced_params: Texts
    expires: str
    guardrails: Texts
    key: str
    key_alias: str
    key_name: str
    litellm_budget_table: str  # which is null unless the key has a budget_id
    max_budget: float
    max_parallel_requests: int
    models: Texts
    permissions: dict[str, str]
    rpm_limit: int
    spend: float
    tags: Texts
    team_id: str
    token: str
    token_id: str
    tpm_limit: int
    updated_at: str
    updated_by: str
    user_id: str


@dataclasses.dataclass
class KeyInfo:
    info: Key
    key: str


@dataclasses.dataclass
class KeyList:
    keys: Texts


@dataclasses.dataclass
class Association:
    team_alias: str
    team_id: str


@pytest.fixture
def operator(admin):
    return admin


def differences(read, wanted, names):
    """What the controller would set again, for ever if it never reads back."""
    return {name: getattr(read, name) for name in names if getattr(read, name) != wanted.get(name, _empty(read, name))}


def _empty(read, name):
    return type(getattr(read, name))()


def test_connection(operator):
    operator.get("/").ok()


COMPARED_OF_TEAMS = (
    "blocked", "budget_duration", "max_budget", "organization_id", "rpm_limit", "team_alias", "team_id",
    "team_member_permissions", "tpm_limit",
)  # fmt: skip


def find_team(operator, alias):
    found = operator.get("/v2/team/list", team_alias=alias).into(TeamList).teams
    return found[0].team_id if found else ""


def test_team(operator):
    alias = fresh("team")
    assert find_team(operator, alias) == ""
    wanted = {
        "team_alias": alias,
        "budget_duration": "1mo",
        "max_budget": 100.5,
        "metadata": {"managed-by": "operator"},
        "models": ["gpt-4o"],
        "rpm_limit": 10,
        "tags": ["production"],
        "team_member_permissions": ["/key/generate", "/key/info"],
        "tpm_limit": 1000,
    }
    wanted["team_id"] = operator.post("/team/new", wanted).into(Team).team_id
    assert find_team(operator, alias) == wanted["team_id"]
    read = operator.get("/team/info", team_id=wanted["team_id"]).into(TeamInfo).team_info
    assert differences(read, wanted, COMPARED_OF_TEAMS) == {}
    assert read.tags == ["production"]

    wanted |= {"max_budget": 200.5, "team_member_permissions": ["/key/info"]}
    updated = operator.post("/team/update", wanted).into(UpdatedTeam).data
    assert differences(updated, wanted, COMPARED_OF_TEAMS) == {}

    blocked = operator.post("/team/block", {"team_id": wanted["team_id"]}).into(Team)
    assert blocked.blocked
    unblocked = operator.post("/team/unblock", {"team_id": wanted["team_id"]}).into(Team)
    assert not unblocked.blocked
    operator.post("/team/delete", {"team_ids": [wanted["team_id"]]}).ok()
    assert find_team(operator, alias) == ""


def test_team_comes_to_rest(operator):
    """`admins` and `members` are lists that LiteLLM keeps as they were sent, and the controller compares with those."""
    team_id = operator.post("/team/new", {"team_alias": fresh("team")}).into(Team).team_id
    member = {"user_id": fresh("user"), "user_email": fresh_email(), "role": "user"}
    operator.post("/team/member_add", {"team_id": team_id, "member": [member]}).ok()
    read = operator.get("/team/info", team_id=team_id).into(TeamInfo).team_info
    assert differences(read, {}, ("admins", "members")) == {}


COMPARED_OF_USERS = (
    "budget_duration", "duration", "guardrails", "max_budget", "max_parallel_requests", "models", "rpm_limit",
    "sso_user_id", "teams", "tpm_limit", "user_alias", "user_email", "user_role",
)  # fmt: skip


def find_user(operator, email):
    found = operator.get("/user/list", user_email=email).into(UserList).users
    return found[0].user_id if found and found[0].user_email == email else ""


def test_user(operator, team):
    email = fresh_email()
    assert find_user(operator, email) == ""
    wanted = {
        "auto_create_key": True,
        "budget_duration": "1mo",
        "key_alias": fresh("key"),
        "max_budget": 10.5,
        "models": ["gpt-4o"],
        "rpm_limit": 10,
        "teams": [team()["team_id"]],
        "tpm_limit": 1000,
        "user_alias": "Ada",
        "user_email": email,
        "user_role": "internal_user",
    }
    created = operator.post("/user/new", wanted).into(User)
    assert created.key.startswith("sk-")
    wanted["user_id"] = created.user_id
    assert find_user(operator, email) == created.user_id
    read = operator.get("/user/info", user_id=created.user_id).into(UserInfo).user_info
    assert differences(read, wanted, COMPARED_OF_USERS) == {}

    wanted = {name: value for name, value in wanted.items() if name != "key_alias"} | {"user_alias": "Ada L."}
    updated = operator.post("/user/update", wanted).into(UpdatedUser).data
    assert differences(updated, wanted, COMPARED_OF_USERS) == {}
    operator.post("/user/delete", {"user_ids": [created.user_id]}).ok()
    assert find_user(operator, email) == ""


def test_team_member_association(operator, team):
    """The team is found by its alias, the user by an e-mail address."""
    alias = team()["team_alias"]
    email = fresh_email()
    operator.post("/user/new", {"auto_create_key": False, "user_email": email}).into(User)
    team_id, user_id = find_team(operator, alias), find_user(operator, email)
    member = {"user_id": user_id, "user_email": email, "role": "user"}
    added = {"member": [member], "max_budget_in_team": 5.5, "team_id": team_id}
    assert operator.post("/team/member_add", added).into(Association).team_id == team_id
    read = operator.get("/team/info", team_id=team_id).into(TeamInfo).team_info
    assert Member(user_id, email, "user") in read.members_with_roles
    operator.post("/team/member_delete", {"team_id": team_id, "user_email": email, "user_id": user_id}).ok()


COMPARED_OF_KEYS = (
    "aliases", "allowed_cache_controls", "allowed_routes", "blocked", "budget_duration", "budget_id", "config",
    "enforced_params", "guardrails", "key_alias", "max_budget", "max_parallel_requests", "models", "permissions",
    "rpm_limit", "tags", "team_id", "tpm_limit", "user_id",
)  # fmt: skip


def test_virtual_key(operator, team):
    alias = fresh("key")
    assert operator.get("/key/list", key_alias=alias).into(KeyList).keys == []
    wanted = {
        "aliases": {"small": "gpt-4o-mini"},
        "allowed_routes": ["llm_api_routes", "info_routes"],
        "budget_duration": "1mo",
        "key_alias": alias,
        "max_budget": 10.5,
        "max_parallel_requests": 4,
        "metadata": {"managed-by": "operator"},
        "models": ["gpt-4o"],
        "rpm_limit": 10,
        "tags": ["production"],
        "team_id": team()["team_id"],
        "tpm_limit": 1000,
        "user_id": fresh("user"),
    }
    created = operator.post("/key/generate", wanted).into(Key)
    assert created.key.startswith("sk-") and created.token
    token = only(operator.get("/key/list", key_alias=alias).into(KeyList).keys)
    assert token == created.token
    read = operator.get("/key/info", key=token).into(KeyInfo)
    assert (read.key, read.info.token) == (token, token)
    assert differences(read.info, wanted, COMPARED_OF_KEYS) == {}

    wanted |= {"max_budget": 20.5, "tags": ["staging"], "key": token}
    updated = operator.post("/key/update", wanted).into(Key)
    assert differences(updated, wanted, COMPARED_OF_KEYS) == {}
    assert operator.post("/key/block", {"key": token}).into(Key).blocked
    assert not operator.post("/key/unblock", {"key": token}).into(Key).blocked

    operator.post("/key/delete", {"key_aliases": [alias]}).ok()
    assert operator.get("/key/list", key_alias=alias).into(KeyList).keys == []


def test_refusals(operator):
    """Those that it tells apart by status, and whose message it logs."""
    team_id = operator.post("/team/new", {"team_alias": "first"}).into(Team).team_id
    taken = operator.post("/team/new", {"team_alias": "second", "team_id": team_id}).refused(400)
    assert taken["detail"]["error"]
    operator.get("/team/info", team_id=fresh("team")).refused(404)
    operator.get("/user/info", user_id=fresh("user")).refused(404)
    operator.get("/key/info", key=fresh("token")).refused(404)
