"""nginx with integrations/litellm/shadow.conf, between a client, a stand-in for LiteLLM and the gateway.

    test/with-server --extension DESTDIR test/with-gateway /usr/bin/python3 -B -m pytest test/migrate
"""

import contextlib
import http.client
import http.server
import json
import os
import pathlib
import signal
import socket
import time
import urllib.parse
import uuid

import pytest

from nginx import Nginx, wait_for
from serving import free_port, serving

CONFIGURATION = pathlib.Path(__file__).resolve().parents[2] / "integrations" / "litellm" / "shadow.conf"
PG_ORG = urllib.parse.urlsplit(os.environ["PG_ORG_URL"]).netloc
ADMIN_KEY = os.environ["PG_ORG_ADMIN_KEY"]
LITELLM_KEY = "sk-master-of-litellm"  # which is ADMIN_KEY in pg_org
LITELLM_ANSWERS = {"answered_by": "LiteLLM"}


class LiteLLM:
    """Keeps the requests that it gets, as method, path, key and body; after a pause each, while there are pauses."""

    def __init__(self, *pauses):
        self.pauses = list(pauses)
        self.requests = []

    @contextlib.contextmanager
    def running(self):
        litellm = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                body = self.rfile.read(int(self.headers["Content-Length"] or 0)).decode()
                time.sleep(litellm.pauses.pop(0) if litellm.pauses else 0)
                litellm.requests.append((self.command, self.path, self.headers["Authorization"], body))
                reply = json.dumps(LITELLM_ANSWERS).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(reply)))
                self.end_headers()
                self.wfile.write(reply)

            do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = answer

            def log_message(self, *_):
                pass

        with serving(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as url:
            self.address = url.removeprefix("http://")
            yield self


class Shadow(Nginx):
    """With the configuration as it stands, but for addresses, the log's path and who answers."""

    def __init__(self, directory, litellm, pg_org=PG_ORG):
        super().__init__(directory, CONFIGURATION)
        self.log = directory / "copies.log"
        self.changes = {
            "upstream litellm { server 127.0.0.1:4000; }": f"upstream litellm {{ server {litellm}; }}",
            "upstream pg_org { server 127.0.0.1:4010; }": f"upstream pg_org {{ server {pg_org}; }}",
            "/var/log/nginx/pg_org_copies.log": str(self.log),
        }
        self.answer_from("litellm")
        (directory / "pg_org_keys.conf").write_text(f"'~^Bearer {LITELLM_KEY}$' 'Bearer {ADMIN_KEY}';\n")

    def answer_from(self, answering):
        self.configure({**self.changes, "$answering { default litellm; }": f"$answering {{ default {answering}; }}"})

    def switch_to(self, answering):
        before = self.workers()
        self.answer_from(answering)
        self.process.send_signal(signal.SIGHUP)
        wait_for(lambda: not before & self.workers(), "nginx has not read its configuration again")

    def ask(self, method, path, fields=None, key=LITELLM_KEY):
        """The reply's status and what it says."""
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        body = None if fields is None else json.dumps(fields)
        client.request(method, path, body, {"Authorization": f"Bearer {key}", "Content-Type": "application/json"})
        reply = client.getresponse()
        with contextlib.closing(client):
            return reply.status, json.loads(reply.read())

    def logged(self, count=1):
        """What the log has of each copy, but for its time and request id."""

        def lines():
            return [line.split()[1:-1] for line in self.log.read_text().splitlines()]

        wait_for(lambda: len(lines()) >= count, f"the log has less than {count} lines")
        return lines()


def pg_org(path, key=ADMIN_KEY):
    """The status and the reply of pg_org itself."""
    client = http.client.HTTPConnection(PG_ORG, timeout=20)
    client.request("GET", path, headers={"Authorization": f"Bearer {key}"})
    reply = client.getresponse()
    with contextlib.closing(client):
        return reply.status, json.loads(reply.read())


def new_id():
    return f"t-{uuid.uuid4()}"


@pytest.fixture
def litellm():
    with LiteLLM().running() as litellm:
        yield litellm


@pytest.fixture
def nginx(litellm, tmp_path):
    with Shadow(tmp_path, litellm.address).running() as nginx:
        yield nginx


def wait_for_team(team_id):
    wait_for(lambda: pg_org(f"/team/info?team_id={team_id}")[0] == 200, "pg_org got no copy")
    return pg_org(f"/team/info?team_id={team_id}")[1]["team_info"]


def test_a_write_reaches_both_with_body_query_and_key(litellm, nginx):
    team = {"team_id": new_id(), "team_alias": "näher"}
    assert nginx.ask("POST", "/team/new?a=%2F&b", team) == (200, LITELLM_ANSWERS)
    ((method, path, authorization, body),) = litellm.requests
    assert (method, path, authorization) == ("POST", "/team/new?a=%2F&b", f"Bearer {LITELLM_KEY}")
    assert json.loads(body) == team
    assert wait_for_team(team["team_id"])["team_alias"] == "näher"


def test_a_query_reaches_pg_org_too(litellm, nginx):
    user_id = new_id()
    nginx.ask("POST", "/user/new", {"user_id": user_id, "auto_create_key": False, "user_alias": "a"})
    wait_for(lambda: pg_org(f"/user/info?user_id={user_id}")[0] == 200, "pg_org got no copy")
    nginx.ask("PATCH", "/organization/update?nothing=here", {"organization_id": new_id()})
    assert nginx.logged() == [["pg_org", "404", "PATCH", "/organization/update"]]


def test_a_key_that_is_not_mapped_stays_as_it_is(litellm, nginx):
    key, team_id = f"sk-{uuid.uuid4()}", new_id()
    nginx.ask("POST", "/key/generate", {"key": key, "user_id": "default_user_id"})
    wait_for(lambda: pg_org(f"/key/info?key={key}", key)[0] == 200, "pg_org got no copy")
    nginx.ask("POST", "/team/new", {"team_id": team_id}, key)
    wait_for_team(team_id)
    assert litellm.requests[-1][2] == f"Bearer {key}"


@pytest.mark.parametrize(
    "method, path, fields",
    [
        ("GET", "/team/list", None),
        ("GET", "/key/info?key=sk-x", None),
        ("POST", "/v2/key/info", {"keys": ["sk-x"]}),
        ("POST", "/organization/info", {"organizations": ["o"]}),
        ("POST", "/key/health", {}),
        ("POST", "/chat/completions", {"model": "gpt-4o"}),
        ("POST", "/v1/messages", {"model": "gpt-4o"}),
        ("POST", "/model/new", {"model_name": "gpt-4o"}),
        ("DELETE", "/v1/files/f", None),
    ],
)
def test_reads_and_calls_of_models_reach_litellm_alone(litellm, tmp_path, method, path, fields):
    with LiteLLM().running() as beside:
        with Shadow(tmp_path, litellm.address, beside.address).running() as nginx:
            assert nginx.ask(method, path, fields) == (200, LITELLM_ANSWERS)
            nginx.ask("POST", "/team/delete", {"team_ids": []})
            wait_for(lambda: beside.requests, "a write was not copied")
        assert [request[1] for request in litellm.requests] == [path, "/team/delete"]
        assert [request[1] for request in beside.requests] == ["/team/delete"]


WRITES = [
    ("POST", "/organization/new", {"organization_id": "o"}),
    ("POST", "/team/new", {"team_id": "t"}),
    ("POST", "/user/new", {"auto_create_key": False, "user_id": "u"}),
    ("POST", "/budget/new", {"budget_id": "b"}),
    ("POST", "/customer/new", {"user_id": "c"}),
    ("POST", "/key/generate", {"key": "sk-1"}),
    ("POST", "/key/service-account/generate", {"key": "sk-1"}),
    ("POST", "/key/sk-1/regenerate", {"new_key": "sk-2"}),
    ("POST", "/key/regenerate", {"new_key": "sk-2", "key": "sk-1"}),
    ("POST", "/key/sk-1/reset_spend", {}),
    ("POST", "/end_user/block", {"user_ids": ["c"]}),
    ("PATCH", "/v2/organization/o", {"models": []}),
    ("PUT", "/team/t", {}),
    ("DELETE", "/organization/delete?of=/info", {"organization_ids": ["o"]}),
    ("POST", "/team/member_add", {"team_id": "t", "member": [{"user_id": "u", "user_email": "a@b"}, {"user_id": "v"}]}),
]
UNNAMED = [
    ("/organization/new", {"organization_alias": "o"}),
    ("/team/new", {"team_alias": "t", "team_id": None}),
    ("/user/new", {"user_id": "u"}),
    ("/user/new?a=b", {"auto_create_key": False}),
    ("/budget/new", {"max_budget": 1}),
    ("/key/generate", {}),
    ("/key/service-account/generate", {"team_id": "t"}),
    ("/key/sk-secret/regenerate", {"key": "sk-1"}),
    ("/key/regenerate", {"key": "sk-1"}),
    ("/team/member_add", {"team_id": "t", "member": [{"user_id": "u"}, {"user_email": "a@b"}]}),
    ("/organization/member_add", {"organization_id": "o", "member": {"user_email": "a@b", "role": "internal_user"}}),
]


def test_what_leaves_its_id_or_key_open_is_not_copied_but_logged(litellm, tmp_path):
    with LiteLLM().running() as beside:
        with Shadow(tmp_path, litellm.address, beside.address).running() as nginx:
            for method, path, fields in WRITES:
                assert nginx.ask(method, path, fields)[0] == 200
            for path, fields in UNNAMED:
                assert nginx.ask("POST", path, fields)[0] == 200
            lines = nginx.logged(len(UNNAMED))
            wait_for(lambda: len(beside.requests) >= len(WRITES), "not all was copied")
        assert sorted(request[:2] for request in beside.requests) == sorted(write[:2] for write in WRITES)
    assert len(litellm.requests) == len(WRITES) + len(UNNAMED)
    assert {line[1] for line in lines} == {"-"}
    assert sorted(line[3] for line in lines) == sorted(
        path.split("?")[0].replace("sk-secret", "*") for path, _ in UNNAMED
    )
    assert "sk-" not in nginx.log.read_text()


def test_a_large_body_reaches_litellm_whatever_becomes_of_the_copy(litellm, nginx):
    team = {"team_id": new_id(), "metadata": {"notes": "x" * 3_000_000}}
    assert nginx.ask("POST", "/team/update", team) == (200, LITELLM_ANSWERS)
    assert json.loads(litellm.requests[0][3]) == team
    assert nginx.logged() == [["pg_org", "413", "POST", "/team/update"]]


def test_a_refused_copy_is_in_the_log_and_nowhere_else(litellm, nginx):
    team_id = new_id()
    assert nginx.ask("POST", "/team/update", {"team_id": team_id}) == (200, LITELLM_ANSWERS)
    assert nginx.ask("POST", "/team/new", {"team_id": team_id}, "sk-not-in-pg-org") == (200, LITELLM_ANSWERS)
    assert sorted(nginx.logged(2)) == [
        ["pg_org", "401", "POST", "/team/new"],
        ["pg_org", "404", "POST", "/team/update"],
    ]
    request_id = nginx.log.read_text().split()[-1]
    assert request_id in pathlib.Path(os.environ["PG_ORG_LOG"]).read_text()


def test_litellm_answers_while_pg_org_is_away(litellm, tmp_path):
    with Shadow(tmp_path, litellm.address, f"127.0.0.1:{free_port()}").running() as nginx:
        assert nginx.ask("POST", "/team/new", {"team_id": "t"}) == (200, LITELLM_ANSWERS)
        assert nginx.logged() == [["pg_org", "502", "POST", "/team/new"]]


def test_litellm_answers_while_pg_org_does_not(litellm, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        with Shadow(tmp_path, litellm.address, address).running() as nginx:
            assert nginx.ask("POST", "/team/new", {"team_id": "t"}) == (200, LITELLM_ANSWERS)
            assert not nginx.log.read_text()  # so the copy is still under way
            assert nginx.logged() == [["pg_org", "504", "POST", "/team/new"]]


def test_the_copies_of_one_connection_arrive_in_order(litellm, tmp_path):
    with LiteLLM(0.4, 0.2).running() as beside:
        with Shadow(tmp_path, litellm.address, beside.address).running() as nginx:
            client = http.client.HTTPConnection("127.0.0.1", nginx.port, timeout=20)
            with contextlib.closing(client):
                for number in range(3):
                    client.request("POST", f"/team/block?{number}", "{}")
                    assert client.getresponse().read()
            wait_for(lambda: len(beside.requests) == 3, "not all was copied")
        assert [request[1] for request in beside.requests] == [f"/team/block?{number}" for number in range(3)]


def test_switched_over_pg_org_answers_and_litellm_gets_the_copy_and_back(litellm, nginx):
    nginx.switch_to("pg_org")
    team_id = new_id()
    status, team = nginx.ask("POST", "/team/new", {"team_id": team_id})
    assert (status, team["team_id"]) == (200, team_id)
    wait_for(lambda: litellm.requests, "LiteLLM got no copy")
    assert litellm.requests[0][1:3] == ("/team/new", f"Bearer {LITELLM_KEY}")
    assert nginx.ask("GET", f"/team/info?team_id={team_id}")[1]["team_id"] == team_id
    assert nginx.ask("POST", "/chat/completions", {"model": "gpt-4o"}) == (200, LITELLM_ANSWERS)
    assert [request[1] for request in litellm.requests] == ["/team/new", "/chat/completions"]
    assert nginx.ask("POST", "/team/new", {"team_id": team_id})[0] == 400

    nginx.switch_to("litellm")
    assert nginx.ask("GET", f"/team/info?team_id={team_id}") == (200, LITELLM_ANSWERS)
    team_id = new_id()
    assert nginx.ask("POST", "/team/new", {"team_id": team_id}) == (200, LITELLM_ANSWERS)
    wait_for_team(team_id)
