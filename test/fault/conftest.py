"""Servers and gateways for the tests, of which each makes what it breaks.

    test/with-server --extension DESTDIR /usr/bin/python3 -B -m pytest test/fault

The server that test/with-server starts is only copied from.
"""

import contextlib
import subprocess

import psycopg2
import pytest

from certificates import Certificate
from harness import ADMIN_KEY, CHECKOUT, DATABASE, Server, gateways


@pytest.fixture(scope="session")
def origin():
    """Says how to reach the server to copy."""
    with contextlib.closing(psycopg2.connect("")) as connection:
        connection.autocommit = True
        cursor = connection.cursor()
        cursor.execute(f"CREATE DATABASE {DATABASE} TEMPLATE template0")
        cursor.execute("CREATE ROLE org_gateway LOGIN")
    setup = CHECKOUT / "tools" / "setup.sql"
    subprocess.run(["psql", "-Xq", "-d", DATABASE, "-f", setup], check=True)
    with contextlib.closing(psycopg2.connect(dbname=DATABASE)) as connection:
        connection.autocommit = True
        cursor = connection.cursor()
        cursor.execute("SELECT org_grant_access('org_gateway')")
        cursor.execute("SELECT key_generate(user_id => 'default_user_id', key => %s)", [ADMIN_KEY])
        yield connection.dsn


@pytest.fixture(scope="module")
def make_server(origin):
    """Makes servers, which are gone when the module's tests are done."""
    with contextlib.ExitStack() as stack:

        def make(origin=origin, **more):
            server = Server(origin, **more)
            stack.callback(server.remove)
            return server

        yield make


@pytest.fixture(scope="module")
def server(make_server):
    return make_server()


@pytest.fixture
def make_gateway():
    with gateways() as make:
        yield make


@pytest.fixture
def gateway(server, make_gateway):
    return make_gateway(server.url("org_gateway"))


@pytest.fixture(params=["http", "https"])
def transport(request, tmp_path):
    """A gateway's options for it."""
    return Certificate(tmp_path / "tls", "transport").options if request.param == "https" else []
