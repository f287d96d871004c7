"""A gateway with --transaction-pooling behind PgBouncer, which gives each transaction another session of few."""

import subprocess

import psycopg2
import pytest

from harness import DATABASE, RESUMED, as_server_user, assert_refused, at_once, free_port, slow_writes, until

SESSIONS = 3
AT_ONCE = 12
CONFIGURATION = """
[databases]
{database} = host={host} port={server_port} dbname={database}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {users}
pool_mode = transaction
default_pool_size = {sessions}
server_login_retry = 1
"""


@pytest.fixture(scope="module")
def pooled_url(server):
    port = free_port()
    users, configuration = server.directory / "users", server.directory / "pgbouncer.ini"
    users.write_text('"org_gateway" ""\n')
    configuration.write_text(
        CONFIGURATION.format(
            database=DATABASE, host=server.directory, server_port=server.port, port=port, users=users, sessions=SESSIONS
        )
    )
    command = [*as_server_user(), "setpriv", "--pdeathsig", "INT", "/usr/sbin/pgbouncer", configuration]
    with open(server.directory / "pgbouncer.log", "wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/")
    url = f"postgresql://org_gateway@127.0.0.1:{port}/{DATABASE}"

    def is_up():
        assert process.poll() is None, (server.directory / "pgbouncer.log").read_text()
        try:
            psycopg2.connect(url).close()
        except psycopg2.OperationalError:
            return False
        return True

    until(is_up, what="PgBouncer")
    yield url
    process.terminate()
    process.wait()


@pytest.fixture
def pooled(pooled_url, make_gateway):
    return make_gateway(pooled_url, "--transaction-pooling", f"--pool-size={AT_ONCE}")


def test_requests_of_all_kinds_at_once(server, pooled):
    def use(number):
        name = f"o{number}"
        yield pooled.make(name)
        yield pooled.post("/key/generate", dict(organization_id=name, key=f"sk-{name}"))
        for call in range(5):
            named = dict(request_id=f"{name}-{call}")
            yield pooled.post("/usage/reserve", named | dict(key=f"sk-{name}", model="m", max_cost=1))
            yield pooled.info(name)
            yield pooled.post("/usage/settle", named | dict(cost=0.5))
        change = dict(organization_id=name, organization_alias="Zürich")
        yield pooled.ask("PATCH", "/organization/update", change)

    replies = at_once([lambda number=number: list(use(number)) for number in range(AT_ONCE)])
    assert {reply.status for of_one in replies for reply in of_one} == {200}
    assert pooled.info("o0").body["organization_alias"] == "Zürich"
    assert len(server.backends()) <= SESSIONS
    assert "prepared statement" not in server.log.read_text()
    assert server.sql("SELECT usage_verify()") == []


def test_the_timeouts_of_the_role_hold(server, pooled_url, make_gateway):
    server.sql("ALTER ROLE org_gateway SET statement_timeout = '1s'")
    server.terminate_backends()  # those who don't know it yet
    pooled = make_gateway(pooled_url, "--transaction-pooling", "--statement-timeout=30000")
    with slow_writes(server, 20):
        assert assert_refused(pooled.make("slow"), 504).seconds < 15
    assert pooled.make("slow").status == 200
    server.sql("ALTER ROLE org_gateway RESET statement_timeout")


def test_the_database_comes_back(server, pooled):
    server.stop("immediate")
    assert_refused(pooled.info("o0"))
    server.start()
    until(lambda: pooled.info("o0").status == 200, RESUMED, "service")
