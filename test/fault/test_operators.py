"""What operators see: metrics, the log, the configuration."""

import re
import subprocess

import pytest

from harness import ADMIN_KEY, PATIENCE, admin_url, fetch, gateway_binary, metrics, until

REQUEST_FIELDS = [
    "time", "level", "message", "request_id", "method", "route", "status", "duration_ms", "db_ms", "wait_ms",
    "sqlstate", "bytes", "remote", "user_agent",
]  # fmt: skip


def request_line(gateway, request_id):
    found = until(lambda: [line for line in gateway.logged("request") if line["request_id"] == request_id])
    return found[1][0]


def test_requests_are_counted_by_what_they_are_and_never_by_whom(gateway):
    gateway.make("counted")
    gateway.info("counted")
    gateway.info("counted")
    gateway.info("uncounted")
    gateway.info("counted", key="sk-nobody")
    gateway.get("/nowhere/secret-path")
    gateway.ask("PATCH", "/v2/organization/counted", dict(tags=["a"]))
    gateway.ask("PROPFIND", "/organization/info")
    counted = metrics(gateway)
    for method, route, status, count in [
        ("POST", "/organization/new", 200, 1),
        ("GET", "/organization/info", 200, 2),
        ("GET", "/organization/info", 404, 1),
        ("GET", "/organization/info", 401, 1),
        ("PATCH", "/v2/organization/{organization_id}", 200, 1),
        ("GET", "unmatched", 404, 1),
        ("other", "unmatched", 405, 1),
    ]:
        labels = f'method="{method}",route="{route}",status="{status}"'
        assert counted[f"pg_org_requests_total{{{labels}}}"] == count
    assert counted['pg_org_request_duration_seconds_count{method="GET",route="/organization/info"}'] == 4
    assert counted["pg_org_database_seconds_count"] == counted["pg_org_wait_seconds_count"] >= 6
    assert counted['pg_org_database_errors_total{class="P0"}'] == 1
    assert counted['pg_org_database_errors_total{class="28"}'] == 1
    assert not [name for name in counted if "secret" in name or "counted" in name or "PROPFIND" in name]


def test_the_present_is_told_as_well(gateway):
    told = metrics(gateway)
    assert told["pg_org_up"] == 1
    assert told["pg_org_pool_size"] == 10
    assert told['pg_org_pool_open{database="primary"}'] >= 1
    assert told['pg_org_pool_in_use{database="primary"}'] == 0
    assert told['pg_org_pool_waiting{database="primary"}'] == 0
    assert told["pg_org_log_lines_lost_total"] == 0
    assert "pg_org_connections" in told
    assert not [name for name in told if "replica" in name]
    assert [name for name in told if re.fullmatch(r'pg_org_build_info\{version="[0-9.]+"\}', name)]


def test_it_is_not_up_without_its_database(make_server, make_gateway):
    server = make_server()
    gateway = make_gateway(server.url("org_gateway"))
    server.stop()
    assert metrics(gateway)["pg_org_up"] == 0
    assert fetch(admin_url(gateway) + "/health/readiness")[0] == 503
    assert fetch(admin_url(gateway) + "/health/liveliness")[0] == 200
    server.start()
    until(lambda: metrics(gateway)["pg_org_up"] == 1)


def test_operators_and_clients_have_listeners_of_their_own(gateway):
    assert gateway.get("/metrics").status == 404
    for path in ("/organization/list", "/", "/openapi.json", "/docs", "/console"):
        assert fetch(admin_url(gateway) + path)[0] == 404


def test_each_request_has_a_line(gateway):
    reply = gateway.make("logged")
    line = request_line(gateway, reply.headers["x-request-id"])
    assert list(line) == REQUEST_FIELDS
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", line["time"])
    assert (line["level"], line["method"], line["route"], line["status"]) == ("info", "POST", "/organization/new", 200)
    assert line["bytes"] == len(reply.text.encode()) and line["remote"] == "127.0.0.1" and line["sqlstate"] == ""
    assert 0 < line["db_ms"] <= line["duration_ms"] and line["wait_ms"] >= 0
    other = gateway.info("unlogged", User_Agent="ask/1.0", X_Request_Id="mine-1")
    line = request_line(gateway, "mine-1")
    assert (line["status"], line["sqlstate"], line["user_agent"]) == (other.status, "P0002", "ask/1.0")


def test_no_secret_is_logged(gateway):
    gateway.post("/key/generate", dict(user_id="default_user_id", key="sk-very-secret-key"))
    gateway.get("/key/info?key=sk-very-secret-key")
    gateway.get("/organization/list", key="sk-very-secret-key")
    gateway.get("/sk-very-secret-key?sk-very-secret-key")
    gateway.post("/key/generate", dict(user_id=5, key="sk-very-secret-key"))
    last = gateway.get("/health/liveliness").headers["x-request-id"]
    request_line(gateway, last)
    assert "secret" not in gateway.told() and ADMIN_KEY not in gateway.told()


def test_what_the_database_said_is_logged_under_the_request(server, gateway):
    gateway.make("stuck")
    with server.connect() as holder:
        holder.autocommit = False
        holder.cursor().execute("SELECT FROM org.organization WHERE organization_id = 'stuck' FOR UPDATE")
        reply = gateway.ask("PATCH", "/organization/update", dict(organization_id="stuck", tags=["a"]))
        holder.rollback()
    assert reply.status == 503 and "lock" not in reply.text
    request_id = reply.headers["x-request-id"]
    assert request_line(gateway, request_id)["sqlstate"] == "55P03"
    told = [line for line in gateway.logged("database error") if line["request_id"] == request_id][0]
    assert told["level"] == "warning" and "canceling statement due to lock timeout" in told["error"]


def test_the_log_can_be_text_and_less(server, make_gateway):
    text = make_gateway(server.url("org_gateway"), "--log-format=text")
    until(lambda: re.search(r'^\d\d:\d\d:\d\d\.\d{3} info request .*route="/health/readiness"', text.told(), re.M))
    quiet = make_gateway(server.url("org_gateway"), "--log-level=warning")
    quiet.get("/organization/list")
    assert quiet.process.terminate() or quiet.process.wait(PATIENCE) == 0
    assert quiet.told() == ""


def test_the_configuration_is_told_without_its_secrets(server, make_gateway, tmp_path):
    (tmp_path / "conf").write_text("max-waiting = 77\nwebhook-key = sk-hidden\n")
    gateway = make_gateway(server.url("org_gateway"), f"--config={tmp_path / 'conf'}")
    told = gateway.logged("configuration")[0]
    assert told["max-waiting"] == "77" and told["pool-size"] == "10"
    assert told["database-url"] == told["webhook-key"] == "***"
    assert "sk-hidden" not in gateway.told()


@pytest.mark.parametrize(
    "options",
    [["--prot=4000"], ["--port=x"], ["--config=/nowhere"], ["--database-url-file=/nowhere"], ["--lock-timeout=6000"],
     ["--database-url=host"], ["--replica-url=host"], ["--host=no.such.host.invalid", "--insecure-http"], ["extra"]],
)  # fmt: skip
def test_what_is_wrong_with_an_option_is_told_in_one_line_at_once(options):
    ended = subprocess.run(
        [gateway_binary(), "--admin-port=0", "--port=0", "--log-level=error", *options],
        capture_output=True, text=True, timeout=PATIENCE, env={},
    )  # fmt: skip
    assert ended.returncode == 1 and ended.stdout == ""
    assert re.fullmatch(r"pg_org_gateway: .+\n", ended.stderr), ended.stderr
