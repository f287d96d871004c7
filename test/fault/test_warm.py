"""A database connection has called functions of the extension before it serves its first request."""

import re

from harness import RESUMED, assert_refused, at_once, until


def calls_of_functions(server):
    """With their parameters, for each backend of gateways, in order."""
    calls = {}
    for entry in re.split(r"^told ", server.log.read_text(errors="replace"), flags=re.MULTILINE)[1:]:
        told = re.match(r"(pg_org_gateway \d+) (\w+):  (.*)", entry, re.DOTALL)
        if not told:
            continue
        backend, kind, text = told.groups()
        said = calls.setdefault(backend, [])
        if kind == "LOG" and re.match("statement|execute", text) and re.search(r"\borg_\w+\(", text):
            said.append(text)
        elif kind == "DETAIL" and said:
            said[-1] += text
    return calls


def test_a_connection_is_warmed_before_it_serves(make_server, make_gateway):
    server = make_server(settings={"log_statement": "all", "log_line_prefix": "told %a %p "})
    gateway = make_gateway(server.url("org_gateway"), "--pool-size=4")
    at_once([lambda: gateway.info("asked for") for _ in range(20)])
    serving = [said for said in calls_of_functions(server).values() if any("'asked for'" in call for call in said)]
    assert serving
    for said in serving:
        assert "'asked for'" not in said[0], said[0]


def test_after_an_outage_the_first_connection_serves_at_once(make_server, make_gateway):
    server = make_server(settings={"log_statement": "all", "log_line_prefix": "told %a %p "})
    gateway = make_gateway(server.url("org_gateway"))
    server.stop("immediate")
    until(lambda: gateway.info("refused").status == 503)
    assert_refused(gateway.info("refused"))
    server.start()
    until(lambda: gateway.info("asked for").status == 404, RESUMED, "the server")
    assert any("'asked for'" in said[0] for said in calls_of_functions(server).values() if said)
