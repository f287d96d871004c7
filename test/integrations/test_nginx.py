"""nginx with integrations/nginx, between a client, a made-up provider and the gateway."""

import contextlib
import http.client
import http.server
import json
import shutil
import threading

import pytest

from conftest import INTEGRATIONS, URL, sql
from nginx import Nginx, wait_for
from serving import free_port, serving

FILES = INTEGRATIONS / "nginx"
USAGE = {"prompt_tokens": 20, "completion_tokens": 10}  # which costs 0.00015 at the price of gpt-4o
REPLY = {"choices": [{"message": {"content": "Because of Rayleigh – 🌈."}}], "usage": USAGE}
QUESTION = {"role": "user", "content": "Why is the sky blue? – 🌈"}
REQUEST = {"model": "gpt-4o", "max_tokens": 10, "messages": [QUESTION]}


def event(value):
    return f"data: {json.dumps(value, ensure_ascii=False)}\n\n".encode()


WORDS = "Because", " of", " Rayleigh – 🌈"
STREAM = [event({"choices": [{"delta": {"content": word}}], "usage": None}) for word in WORDS]
STREAM += [event({"choices": [], "usage": USAGE}), b"data: [DONE]\n\n"]


class Provider:
    """Keeps what it was asked, and answers as it is told: a status and an object, or parts of a stream. It pauses
    before parts that are None, and breaks off after the last part unless the stream is whole."""

    def __init__(self):
        self.asked = []
        self.answer = 200, REPLY
        self.breaks_off = False
        self.goes_on = threading.Event()

    @contextlib.contextmanager
    def running(self):
        provider = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                provider.asked.append((self.path, self.headers["Authorization"], body))
                if isinstance(provider.answer, list):
                    return self.stream(provider.answer)
                status, reply = provider.answer
                text = json.dumps(reply, ensure_ascii=False).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text) + provider.breaks_off))
                self.end_headers()
                self.wfile.write(text)
                self.close_connection = provider.breaks_off

            def stream(self, parts):
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream; charset=utf-8")
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                self.close_connection = provider.breaks_off
                with contextlib.suppress(OSError):
                    for part in parts:
                        if part is None:
                            provider.goes_on.wait(20)
                        else:
                            self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
                    if not provider.breaks_off:
                        self.wfile.write(b"0\r\n\r\n")

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        self.port = server.server_port
        with serving(server):
            try:
                yield self
            finally:
                self.goes_on.set()


class Proxy(Nginx):
    def __init__(self, directory, provider_port, pg_org, key):
        super().__init__(directory, FILES / "pg_org.conf", ["ngx_http_js_module.so"])
        provider = f"127.0.0.1:{provider_port}"
        self.configure({"js_path /etc/nginx/pg_org;": f"js_path {directory};", "127.0.0.1:8000": provider})
        shutil.copy(FILES / "pg_org.js", directory)
        settings = (FILES / "settings.js").read_text()
        for old, new in ("http://127.0.0.1:4000", pg_org), ("sk-llm-gateway", key):
            assert settings.count(old) == 1
            settings = settings.replace(old, new)
        (directory / "settings.js").write_text(settings)

    def send(self, key, request=REQUEST, path="/v1/chat/completions"):
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        body = request if isinstance(request, bytes) else json.dumps(request).encode()
        client.request("POST", path, body, {"Authorization": f"Bearer {key}", "Content-Type": "application/json"})
        return client.getresponse()

    def ask(self, *request, **named):
        """The status and the body."""
        reply = self.send(*request, **named)
        with contextlib.closing(reply):
            return reply.status, reply.read()

    def errors(self):
        return (self.directory / "error.log").read_text()


@pytest.fixture
def provider():
    with Provider().running() as provider:
        yield provider


@pytest.fixture(scope="module")
def usage_key():
    from conftest import Gateway

    return Gateway().make_key(permissions={"usage": True})


@pytest.fixture
def nginx(gateway, provider, usage_key, tmp_path):
    with Proxy(tmp_path, provider.port, URL, usage_key).running() as nginx:
        yield nginx


def outcome(gateway, key):
    """Of the only call of a key, once it is over: state, cost and failure."""
    wait_for(lambda: gateway.held() == 0, "the call is still held")
    (call,) = gateway.calls(key)
    return call


def held(request=REQUEST):
    """The cost of the longest answer and of a token for each byte, with 16 more."""
    return (len(json.dumps(request)) + 16) * 2.5e-6 + request["max_tokens"] * 1e-5


def test_a_call_is_settled_with_what_the_provider_reports(gateway, provider, nginx):
    key = gateway.make_key(max_budget=1)
    status, body = nginx.ask(key)
    assert (status, json.loads(body)) == (200, REPLY)
    assert outcome(gateway, key) == ["settled", "0.00015", "f"]
    assert provider.asked == [("/v1/chat/completions", "Bearer sk-of-the-provider", REQUEST)]
    tokens = sql("SELECT prompt_tokens, completion_tokens FROM org.usage ORDER BY closed_at DESC LIMIT 1")
    assert tokens == [["20", "10"]]


def test_a_stream_arrives_part_by_part_and_is_settled(gateway, provider, nginx):
    key = gateway.make_key(max_budget=1)
    later = b"".join(STREAM[1:])
    provider.answer = [STREAM[0], None, *(later[start : start + 13] for start in range(0, len(later), 13))]
    reply = nginx.send(key, {**REQUEST, "stream": True})
    assert reply.read(len(STREAM[0])) == STREAM[0]
    assert gateway.held() == 1
    provider.goes_on.set()
    assert reply.read() == later
    assert outcome(gateway, key) == ["settled", "0.00015", "f"]
    assert provider.asked[0][2]["stream_options"] == {"include_usage": True}


def test_an_alias_reaches_the_provider_as_what_it_stands_for(gateway, provider, nginx):
    key = gateway.make_key(aliases={"gpt-4o": "gpt-4o-2024-08-06"})
    assert nginx.ask(key)[0] == 200
    assert provider.asked[0][2]["model"] == "gpt-4o-2024-08-06"
    assert outcome(gateway, key)[0] == "settled"


def test_a_refusal_by_a_limit_reaches_the_caller(gateway, provider, nginx):
    reply = nginx.send(gateway.make_key(rpm_limit=0))
    assert (reply.status, json.loads(reply.read())["error"]["type"]) == (429, "rate_limit_exceeded")
    reply = nginx.send(gateway.make_key(max_budget=0.0001))
    assert (reply.status, json.loads(reply.read())["error"]["type"]) == (429, "budget_exceeded")
    assert provider.asked == []


@pytest.mark.parametrize(
    "key, request_, path, status",
    [
        ("sk-unknown", REQUEST, "/v1/chat/completions", 401),
        ("", REQUEST, "/v1/chat/completions", 401),
        ("sk-x", b"{", "/v1/chat/completions", 400),
        ("sk-x", b"null", "/v1/chat/completions", 400),
        ("sk-x", {}, "/v1/chat/completions", 400),
        ("sk-x", {"model": "constructor"}, "/v1/chat/completions", 400),
        ("sk-x", {**REQUEST, "max_tokens": "many"}, "/v1/chat/completions", 400),
        ("sk-x", {**REQUEST, "max_tokens": -5}, "/v1/chat/completions", 400),
        ("sk-x", {**REQUEST, "n": 0.5, "max_tokens": 1.5}, "/v1/chat/completions", 400),
        ("sk-x", REQUEST, "/v1/responses", 404),
    ],
)
def test_what_cannot_be_counted_is_refused(provider, nginx, key, request_, path, status):
    assert nginx.ask(key, request_, path)[0] == status
    assert provider.asked == []


@pytest.mark.parametrize("status", [400, 429, 500])
def test_a_call_that_the_provider_refuses_is_cancelled(gateway, provider, nginx, status):
    key = gateway.make_key(max_budget=1)
    provider.answer = status, {"error": {"message": "no"}}
    assert nginx.ask(key) == (status, b'{"error": {"message": "no"}}')
    assert outcome(gateway, key)[0] == "cancelled"


def test_a_provider_that_is_away_costs_nothing(gateway, usage_key, tmp_path):
    key = gateway.make_key(max_budget=1)
    with Proxy(tmp_path, free_port(), URL, usage_key).running() as nginx:
        assert nginx.ask(key)[0] == 502
        assert outcome(gateway, key)[0] == "cancelled"


@pytest.mark.parametrize("answer", [STREAM[:2], (200, REPLY)])
def test_a_reply_that_breaks_off_costs_all_that_was_held(gateway, provider, nginx, answer):
    key = gateway.make_key(max_budget=1)
    provider.answer, provider.breaks_off = answer, True
    with contextlib.suppress(http.client.IncompleteRead):
        nginx.ask(key, {**REQUEST, "stream": isinstance(answer, list)})
    state, cost, failed = outcome(gateway, key)
    assert (state, failed) == ("settled", "t")
    assert float(cost) >= held()


def test_a_stream_that_the_caller_leaves_costs_all_that_was_held(gateway, provider, nginx):
    key = gateway.make_key(max_budget=1)
    provider.answer = [STREAM[0], None]
    request = {**REQUEST, "stream": True}
    reply = nginx.send(key, request)
    reply.read(5)
    reply.close()
    state, cost, failed = outcome(gateway, key)
    assert (state, float(cost), failed) == ("settled", pytest.approx(held(request)), "t")


def test_without_pg_org_no_call_is_made(provider, tmp_path):
    with Proxy(tmp_path, provider.port, f"http://127.0.0.1:{free_port()}", "sk-x").running() as nginx:
        assert nginx.ask("sk-caller")[0] == 503
    assert provider.asked == []


def test_a_bad_key_of_nginx_is_no_fault_of_callers(gateway, provider, tmp_path):
    with Proxy(tmp_path, provider.port, URL, "sk-unknown").running() as nginx:
        assert nginx.ask(gateway.make_key())[0] == 503
        assert "401" in nginx.errors()
    assert provider.asked == []


def test_a_settlement_is_sent_again_until_there_is_an_answer(pg_org, provider, tmp_path):
    pg_org.replies["settle"] = [(503, {}), None]
    with Proxy(tmp_path, provider.port, pg_org.url, "sk-gateway").running() as nginx:
        assert nginx.ask("sk-caller")[0] == 200
        settled = pg_org.wait_for("settle", 3)
    assert [fields["request_id"] for fields in settled] == [pg_org.asked["reserve"][0]["request_id"]] * 3


def test_a_settlement_that_is_refused_is_in_the_log_and_a_forgotten_call_is_recorded(pg_org, provider, tmp_path):
    pg_org.replies["settle"] = [(404, {}), (401, {})]
    with Proxy(tmp_path, provider.port, pg_org.url, "sk-gateway").running() as nginx:
        assert nginx.ask("sk-caller")[0] == 200
        (recorded,) = pg_org.wait_for("record")
        assert (recorded["key"], recorded["model"], float(recorded["cost"])) == ("sk-caller", "gpt-4o", 0.00015)
        assert nginx.ask("sk-caller")[0] == 200
        wait_for(lambda: "pg_org: not reported: " in nginx.errors(), "the log says nothing")
        assert recorded["request_id"] not in nginx.errors()
        assert "sk-caller" not in nginx.errors()
