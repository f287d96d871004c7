"""Alerts and dashboard: Prometheus understands them, each alert is tried, and each metric they name exists."""

import importlib.machinery
import importlib.util
import json
import os
import pathlib
import re
import subprocess
import urllib.error
import urllib.request

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
ALERTS = CHECKOUT / "deploy/prometheus/alerts.yml"
ALERTS_TEST = CHECKOUT / "deploy/prometheus/alerts_test.yml"
DASHBOARD = CHECKOUT / "deploy/grafana/pg_org.json"
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def promtool(*arguments, **more):
    done = subprocess.run(["promtool", *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more)
    assert done.returncode == 0, done.stdout
    return done.stdout


def names_of(pattern, file):
    return set(re.findall(pattern, file.read_text()))


def metrics_of_gateway():
    """Those in its source: a gateway shows some of them only with a standby, a certificate or a webhook."""
    sources = "".join(path.read_text() for path in (CHECKOUT / "gateway").glob("*.cpp"))
    return {"pg_org_" + name for name in re.findall(r'\b(?:family<\w+>|set)\(\s*"(\w+)"', sources)}


def test_each_alert_fires_when_it_should():
    promtool("check", "rules", ALERTS)
    promtool("test", "rules", ALERTS_TEST.name, cwd=ALERTS_TEST.parent)
    cases = re.findall(r"alertname: (\w+)\n +exp_alerts:", ALERTS_TEST.read_text())
    assert set(cases) == names_of(r"- alert: (\w+)", ALERTS)


def test_the_dashboard_is_made_of_its_panels():
    loader = importlib.machinery.SourceFileLoader("dashboard", str(CHECKOUT / "tools/dashboard"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("dashboard", loader))
    loader.exec_module(module)
    assert DASHBOARD.read_text() == module.text(), "run tools/dashboard"
    titles = [panel["title"] for panel in json.loads(DASHBOARD.read_text())["panels"]]
    assert len(set(titles)) == len(titles)


def test_each_metric_that_they_name_exists():
    named = names_of(r"pg_org_\w+", ALERTS) | names_of(r"pg_org_\w+", DASHBOARD)
    assert {re.sub("_bucket$", "", name) for name in named} <= metrics_of_gateway()


def test_each_metric_is_on_the_dashboard():
    named = {re.sub("_bucket$", "", name) for name in names_of(r"pg_org_\w+", DASHBOARD)}
    assert metrics_of_gateway() <= named


def test_runbooks_lead_somewhere():
    for link in names_of(r"runbook: (\S+)", ALERTS):
        page, _, anchor = link.partition("#")
        headings = re.findall(r"^#+ (.*)$", (CHECKOUT / page).read_text(), re.MULTILINE)
        assert anchor in [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings], link


def read_metrics():
    admin = re.search(r'"admin":"([^"]*)"', pathlib.Path(os.environ["PG_ORG_LOG"]).read_text())[1]
    with OPENER.open(f"{admin}/metrics", timeout=30) as reply:
        return reply.read().decode()


def value_of(metric):
    return float(re.search(rf"^{re.escape(metric)} (\S+)$", read_metrics(), re.MULTILINE)[1])


def post(path, fields):
    """The reply, or the status of a refusal."""
    headers = {"Authorization": f"Bearer {os.environ['PG_ORG_ADMIN_KEY']}", "Content-Type": "application/json"}
    request = urllib.request.Request(os.environ["PG_ORG_URL"] + path, json.dumps(fields).encode(), headers)
    try:
        with OPENER.open(request, timeout=30) as reply:
            return json.load(reply)
    except urllib.error.HTTPError as error:
        return error.code


def test_prometheus_reads_the_metrics():
    promtool("check", "metrics", input=read_metrics())


def test_what_was_settled_and_recorded_is_spend_and_nothing_else():
    key = post("/key/generate", {})["key"]
    before = value_of("pg_org_spend_total")
    call = {"key": key, "model": "gpt-4o", "request_id": "spend-1"}
    assert post("/usage/reserve", {**call, "max_cost": 8})["request_id"] == "spend-1"
    assert post("/usage/settle", {"request_id": "spend-1", "cost": 0.25})["cost"] == 0.25
    assert post("/usage/settle", {"request_id": "spend-2", "cost": 4}) == 404
    post("/usage/record", {**call, "request_id": "spend-3", "cost": "0.5"})
    assert value_of("pg_org_spend_total") - before == 0.75


def test_refusals_are_counted_by_what_the_limit_counts():
    key = post("/key/generate", {"max_budget": 1})["key"]
    assert post("/usage/reserve", {"key": key, "model": "gpt-4o", "max_cost": 2}) == 429
    assert value_of('pg_org_limit_refusals_total{limit="cost"}') >= 1
