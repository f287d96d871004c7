"""What other programs use to talk to pg_org, in front of the gateway or a stand-in of it.

    test/with-server --extension DESTDIR test/with-gateway /usr/bin/python3 -B -m pytest test/integrations
"""

import contextlib
import json
import os
import pathlib
import sys
import urllib.request
import uuid
from decimal import Decimal

import pytest

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
INTEGRATIONS = CHECKOUT / "integrations"
sys.path[:0] = [str(CHECKOUT / "test"), str(INTEGRATIONS / "litellm"), str(INTEGRATIONS / "python")]

from litellm_proxy import Proxy  # noqa: E402
from pg_org_hook import Hook, Price  # noqa: E402
from pg_org_stand_in import PgOrg  # noqa: E402
from texts import Session  # noqa: E402

URL = os.environ["PG_ORG_URL"]
ADMIN_KEY = os.environ["PG_ORG_ADMIN_KEY"]
sql = Session().rows
PRICE = Price(Decimal("0.0001"), Decimal("0.001"), max_prompt_tokens=100)  # so that 10 tokens of answer hold 0.02


class Gateway:
    """The real one, and what its database has in the end."""

    def post(self, path, fields):
        headers = {"Authorization": f"Bearer {ADMIN_KEY}", "Content-Type": "application/json"}
        request = urllib.request.Request(URL + path, json.dumps(fields).encode(), headers)
        with urllib.request.urlopen(request, timeout=30) as reply:
            return json.load(reply)

    def make_key(self, **fields):
        return self.post("/key/generate", {"key_alias": str(uuid.uuid4()), **fields})["key"]

    def calls(self, key):
        """The state, cost and failure of each call of a key that is over, by cost."""
        digest = f"encode(sha256('{key}'), 'hex')"
        return sql(
            f"SELECT state, trim_scale(cost), failed FROM org.usage JOIN org.api_key USING (key_id)"
            f" WHERE key_hash = {digest} ORDER BY cost"
        )

    def held(self):
        return int(sql("SELECT count(*) FROM org.reservation")[0][0])


@pytest.fixture
def gateway():
    """Everything that was asked has an outcome when the test is over, and every counter is the sum of its ledger."""
    gateway = Gateway()
    yield gateway
    assert gateway.held() == 0
    assert sql("SELECT usage_verify()") == [["[]"]]


@pytest.fixture
def pg_org():
    with PgOrg().running() as pg_org:
        yield pg_org


@pytest.fixture
def connect():
    """Makes the proxy with a hook, and waits for what the hook has to report."""
    with contextlib.ExitStack() as stack:

        def make(url, key, **settings):
            settings = {"price": lambda model: PRICE, "grace": 0.5, "reserve_seconds": 5, "timeout": 2, **settings}
            hook = Hook(url, key, **settings)
            stack.callback(hook.finish)
            return Proxy(hook)

        yield make


@pytest.fixture
def proxy(gateway, connect):
    """In front of the real gateway."""
    return connect(URL, gateway.make_key(permissions={"usage": True}))
