"""The functions become others while the gateway runs."""

import os
import pathlib

from harness import RESUMED, assert_refused, pg_config, until


def block(gateway):
    return gateway.post("/organization/block", dict(organization_id="catalog", reason="unpaid"))


def write_update(script):
    """A version of the extension to update to, beside the one that test/with-server offers."""
    offered = pathlib.Path(os.environ["PGDATA"]).parent / "extension"
    scripts = offered.joinpath(pg_config("--sharedir").lstrip("/"), "extension")
    (scripts / "pg_org--1.0--fault.sql").write_text(script)


# A function as the next version might have it: with an argument more.
WITH_REASON = """
DROP FUNCTION org_block(text, text, text, text);
CREATE FUNCTION org_block(
    organization_id text,
    reason text DEFAULT NULL,
    idempotency_key text DEFAULT NULL,
    request_id text DEFAULT NULL,
    api_key text DEFAULT NULL)
RETURNS json LANGUAGE sql AS $$SELECT pg_catalog.json_build_object('blocked_because', reason)$$;
REVOKE EXECUTE ON FUNCTION org_block(text, text, text, text, text) FROM PUBLIC;
"""


def test_extension_updated(make_server, make_gateway):
    server = make_server()
    write_update(WITH_REASON)
    gateway = make_gateway(server.url("org_gateway"))
    gateway.make("catalog")
    assert block(gateway).body["blocked"] is True
    server.sql("ALTER EXTENSION pg_org UPDATE TO 'fault'", "SELECT org_grant_access('org_gateway')")
    reply = block(gateway)
    assert reply.status == 200, reply
    until(lambda: block(gateway).text == '{"blocked_because" : "unpaid"}', what="the new argument")


def test_update_that_is_not_granted_keeps_the_rest_in_service(make_server, make_gateway):
    server = make_server()
    write_update(WITH_REASON)
    gateway = make_gateway(server.url("org_gateway"))
    gateway.make("catalog")
    server.sql("ALTER EXTENSION pg_org UPDATE TO 'fault'")
    until(lambda: "org_grant_access() would let it" in gateway.told(), what="the warning")
    assert_refused(block(gateway))
    assert gateway.info("catalog").status == 200
    assert gateway.is_ready()
    server.sql("SELECT org_grant_access('org_gateway')")
    until(lambda: block(gateway).text == '{"blocked_because" : "unpaid"}', what="the new argument")


def test_functions_moved_to_another_schema(server, gateway):
    gateway.make("catalog")
    server.sql("CREATE SCHEMA elsewhere", "GRANT USAGE ON SCHEMA elsewhere TO org_gateway")
    server.sql("ALTER EXTENSION pg_org SET SCHEMA elsewhere")
    for reply in [gateway.info("catalog"), gateway.make("moved"), gateway.get("/organization/list")]:
        assert reply.status == 200, reply
    server.sql("ALTER SCHEMA elsewhere RENAME TO nowhere")
    assert gateway.info("catalog").status == 200
    server.sql("ALTER EXTENSION pg_org SET SCHEMA public")
    assert gateway.info("catalog").status == 200


def test_extension_dropped_and_made_again(server, gateway):
    assert gateway.make("dropped").status == 200
    server.sql("DROP EXTENSION pg_org")
    for reply in [gateway.info("dropped"), gateway.make("meanwhile"), gateway.get("/usage/limits?key=sk-x")]:
        assert_refused(reply)
    server.sql("CREATE EXTENSION pg_org")
    assert_refused(gateway.info("dropped"))
    server.sql("SELECT org_grant_access('org_gateway')")
    until(lambda: gateway.info("dropped").status == 200, RESUMED, "the extension")
    assert gateway.make("again").status == 200


SET_UP = ["SET ROLE org", "SELECT org_setup()"]
NOT_INSTALLED = "pg_org is not installed in this database: call CREATE EXTENSION pg_org first, then org_setup()"
NOT_SET_UP = "pg_org is not set up in this database: call org_setup() first, as the role that shall own the tables"


def assert_not_set_up(gateway, reason):
    message = "The database is not set up for this gateway; its log says why"
    until(lambda: reason in gateway.told(), what="the warning")
    # The connections for requests may open later than the one that the warning is from.
    until(lambda: gateway.get("/health/readiness").message == message, what="its connections")
    for path in ["/health/readiness", "/organization/list", "/openapi.json"]:
        reply = assert_refused(gateway.get(path))
        assert reply.message == message, reply


def test_not_ready_before_the_database_is_set_up(make_server, make_gateway):
    server = make_server()
    server.sql("DROP EXTENSION pg_org", "DROP SCHEMA org CASCADE")
    gateway = make_gateway(server.url("org_gateway"), ready=False)
    assert_not_set_up(gateway, NOT_INSTALLED)
    server.sql("CREATE EXTENSION pg_org", "GRANT EXECUTE ON FUNCTION org_setup() TO org")
    assert_not_set_up(gateway, NOT_SET_UP)
    server.sql(*SET_UP)
    until(lambda: "org_grant_access() would let it" in gateway.told(), what="the next warning")
    assert_refused(gateway.get("/health/readiness"))
    server.sql("SELECT org_grant_access('org_gateway')")
    until(gateway.is_ready, RESUMED, "the set-up")
    assert gateway.get("/organization/list").status == 401  # the key is gone with the tables


def test_not_ready_while_the_tables_are_gone(make_server, make_gateway):
    server = make_server()
    gateway = make_gateway(server.url("org_gateway"))
    server.sql("DROP SCHEMA org CASCADE")
    assert_not_set_up(gateway, NOT_SET_UP)
    server.sql(*SET_UP)
    until(gateway.is_ready, RESUMED, "the tables")


def test_hints_of_rules_are_told(server, gateway):
    server.sql(
        "CREATE FUNCTION org.close() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN"
        " RAISE EXCEPTION 'closed on Sundays' USING SCHEMA = 'pg_org', DETAIL = 'secret', HINT = 'Come on Monday.';"
        " END$$",
        "CREATE TRIGGER close BEFORE INSERT ON org.organization FOR EACH ROW EXECUTE FUNCTION org.close()",
    )
    try:
        reply = gateway.make("closed")
    finally:
        server.sql("DROP FUNCTION org.close CASCADE")
    assert (reply.status, reply.body) == (400, {"detail": {"error": "closed on Sundays", "hint": "Come on Monday."}})


def test_what_a_prepared_statement_returns_has_changed(server, gateway):
    gateway.make("retyped")
    page = "/organization/list?limit=1"
    before = gateway.get(page)
    signature = "FROM pg_proc WHERE proname = 'org_list'"
    definition = server.sql(f"SELECT pg_get_functiondef(oid) {signature}").replace("RETURNS json", "RETURNS text")
    arguments = server.sql(f"SELECT pg_get_function_identity_arguments(oid) {signature}")
    server.sql(
        f"ALTER EXTENSION pg_org DROP FUNCTION org_list({arguments})",
        f"DROP FUNCTION org_list({arguments})",
        definition,
        "ALTER EXTENSION pg_org ADD FUNCTION org_list({arguments})".format(arguments=arguments),
        "GRANT EXECUTE ON FUNCTION org_list TO org_gateway",
    )
    after = gateway.get(page)
    assert after.status == 200, after
    assert after.text == before.text
