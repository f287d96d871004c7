"""Each alert that waits for a fault fires when a real Prometheus watches real gateways, and each panel has something to
show. What the alerts wait for and look back on is shortened, so that this takes a minute: test/operate tries them as
they are.

    test/with-server --extension DESTDIR /usr/bin/python3 -B -m pytest test/fault/monitor
"""

import contextlib
import http.server
import json
import re
import subprocess
import threading
import urllib.parse

import pytest

from certificates import Certificate
from harness import ADMIN_KEY, CHECKOUT, admin_url, fetch, free_port, locked, until

ALERTS = CHECKOUT / "deploy/prometheus/alerts.yml"
DASHBOARD = CHECKOUT / "deploy/grafana/pg_org.json"
WINDOW = "10s"


def shortened(rules):
    rules = re.sub(r"\[\w+\] offset \w+", f"[{WINDOW}] offset 1h", rules)
    rules = re.sub(r"\[\w+\]", f"[{WINDOW}]", rules)
    return re.sub(r"for: \w+", "for: 1s", rules)


class Prometheus:
    def __init__(self, directory, gateways):
        targets = [urllib.parse.urlsplit(admin_url(gateway)).netloc for gateway in gateways]
        (directory / "alerts.yml").write_text(shortened(ALERTS.read_text()))
        configuration = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": ["alerts.yml"],
            "scrape_configs": [{"job_name": "pg_org", "static_configs": [{"targets": targets}]}],
        }
        (directory / "prometheus.yml").write_text(json.dumps(configuration))  # which is YAML as well
        self.url = f"http://127.0.0.1:{free_port()}"
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "prometheus", f"--config.file={directory}/prometheus.yml"]
            + [f"--storage.tsdb.path={directory}/data", f"--web.listen-address={self.url.partition('//')[2]}"],
            stdin=subprocess.DEVNULL,
            stdout=(directory / "log").open("w"),
            stderr=subprocess.STDOUT,
        )
        until(self.is_ready, what="Prometheus")

    def is_ready(self):
        assert self.process.poll() is None
        with contextlib.suppress(OSError):
            return fetch(f"{self.url}/-/ready")[0] == 200

    def ask(self, path, **parameters):
        status, _, text = fetch(f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}")
        assert status == 200, text
        return json.loads(text)["data"]

    def firing(self):
        return {alert["labels"]["alertname"] for alert in self.ask("alerts")["alerts"] if alert["state"] == "firing"}

    def until_firing(self, name):
        until(lambda: name in self.firing(), what=name)


class Refusing(http.server.BaseHTTPRequestHandler):
    """A webhook's receiver that takes nothing."""

    def do_POST(self):
        self.send_error(500)

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def again_and_again(action):
    """In the background, by eight at once."""
    over = threading.Event()

    def repeat():
        while not over.is_set():
            with contextlib.suppress(OSError):
                action()
            over.wait(0.05)

    threads = [threading.Thread(target=repeat) for _ in range(8)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


@pytest.fixture
def receiver():
    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{made.server_port}/"
    made.shutdown()
    made.server_close()


@pytest.fixture
def prometheus(tmp_path):
    made = []

    def make(*gateways):
        made.append(Prometheus(tmp_path, gateways))
        return made[0]

    yield make
    for it in made:
        it.process.terminate()
        it.process.wait()


def reserve(gateway, **more):
    call = dict(key="sk-limited", model="m", max_cost=0.001, max_tokens=1)
    return gateway.post("/usage/reserve", call | more)


def test_alerts_fire(make_server, make_gateway, receiver, prometheus, tmp_path):
    primary = make_server()
    standby = make_server(origin=primary.url(), standby=True)
    primary.sql("SELECT org_new('Acme', 'acme', rpm_limit => 5)")
    primary.sql("SELECT key_generate(organization_id => 'acme', key => 'sk-limited')")
    gateway = make_gateway(
        primary.url("org_gateway"),
        f"--replica-url={standby.url('org_gateway')}",
        *Certificate(tmp_path / "tls", "pg_org").options,
        f"--webhook-url={receiver}",
        "--webhook-secret=s",
        f"--webhook-key={ADMIN_KEY}",
    )
    small = make_gateway(primary.url("org_gateway"), "--pool-size=2")
    watching = prometheus(gateway, small)

    watching.until_firing("PgOrgCertificateEnds")
    watching.until_firing("PgOrgWebhookBacklog")
    call = reserve(gateway).body
    assert gateway.post("/usage/settle", dict(request_id=call["request_id"], cost=0.25)).status == 200
    assert not watching.firing() & {"PgOrgNotReady", "PgOrgGone", "PgOrgStandbyOutOfUse", "PgOrgRefusalsRising"}

    with again_and_again(lambda: reserve(gateway)):
        watching.until_firing("PgOrgRefusalsRising")
        check_panels(watching)

    change = dict(organization_id="acme", metadata={})
    with locked(primary, "acme"), again_and_again(lambda: small.ask("PATCH", "/organization/update", change)):
        watching.until_firing("PgOrgPoolExhausted")
        watching.until_firing("PgOrgFailing")

    standby.stop()
    watching.until_firing("PgOrgStandbyOutOfUse")
    primary.stop()
    watching.until_firing("PgOrgNotReady")
    small.process.terminate()
    watching.until_firing("PgOrgGone")


def check_panels(watching):
    """Waits until the series are old enough for a rate; a histogram of events that nobody took stays empty."""
    panels = json.loads(DASHBOARD.read_text())["panels"]
    queries = [target["expr"].replace("$__rate_interval", WINDOW) for panel in panels for target in panel["targets"]]
    for query in queries:
        until(lambda: watching.ask("query", query=query)["result"], what=query)
