"""The gateway that the replays of clients talk to, and the people whose keys they use.

    test/with-server --extension DESTDIR test/with-gateway /usr/bin/python3 -B -m pytest test/clients

All tests share one gateway and one database: each makes what it needs, under names of its own.
"""

import os

import pytest

from wire import Client, fresh

URL = os.environ["PG_ORG_URL"]
ADMIN_KEY = os.environ["PG_ORG_ADMIN_KEY"]


@pytest.fixture
def connect():
    """Makes a client with a key."""
    return lambda key: Client(URL, Authorization=f"Bearer {key}")


@pytest.fixture
def connect_with_header():
    """Makes the administrator's client with other headers, of which one holds the key."""
    return lambda header, **more: Client(URL, **{header: ADMIN_KEY}, **more)


@pytest.fixture
def admin(connect):
    return connect(ADMIN_KEY)


@pytest.fixture
def person(admin, connect):
    """Makes a user, and the client with that user's key."""

    def make(**fields):
        user = admin.post("/user/new", {"user_id": fresh("user"), **fields}).ok()
        client = connect(user["key"])
        client.user_id = user["user_id"]
        client.key = user["key"]
        return client

    return make


@pytest.fixture
def team(admin):
    """Makes a team of the platform."""
    return lambda **fields: admin.post("/team/new", {"team_alias": fresh("team"), **fields}).ok()
