"""The package for Python, in front of the real gateway and of a stand-in that breaks."""

import json
import subprocess
import sys
import time
from decimal import Decimal

import pytest

from conftest import INTEGRATIONS, URL
from pg_org import Client, NotSent, Refused, Unanswered
from pg_org_stand_in import AWAY, GRANT

NOT_FOUND = 404, {"error": {"message": "Not found", "type": "not_found_error", "param": "None", "code": "404"}}
CALL = {"key": "sk-caller", "model": "gpt-4o", "max_cost": Decimal("0.5")}

TYPED = """
from decimal import Decimal
from pg_org import Client

client = Client("http://127.0.0.1", "sk-llm-gateway")
reservation = client.reserve(key="sk-ada", model="gpt-4o", max_cost=Decimal("0.1"), tags=["search"])
remaining: Decimal | int = reservation["limits"][0]["remaining"]
until: str = client.extend(request_id="call-1", ttl_seconds=60)["expires_at"]
cost: Decimal | int = client.settle(cost=0, request_id="call-1")["cost"]
with client.call(key="sk-ada", model="gpt-4o", max_cost=Decimal(1), extended=True) as call:
    call.settle(Decimal(1), completion_tokens=1)
client.settle(request_id="call-1")  # error: cost is required
client.cancel(request_id=1)  # error: of another type
reservation["model_name"]  # error: there is no such field
"""


@pytest.fixture
def client(gateway, tmp_path):
    return Client(URL, gateway.make_key(permissions={"usage": True}), unreported=str(tmp_path / "unreported.jsonl"))


@pytest.fixture
def beside(pg_org, tmp_path):
    """A client of the stand-in."""
    return Client(pg_org.url, "sk-gateway", pauses=(0.01, 0.01), unreported=str(tmp_path / "unreported.jsonl"))


def request_ids(requests):
    return {fields["request_id"] for fields in requests}


def test_a_call_is_held_and_settled(gateway, client):
    key = gateway.make_key(max_budget=1, aliases={"best": "gpt-4o"})
    with client.call(key=key, model="best", max_cost=Decimal("0.5"), max_tokens=9000, tags=["search"]) as call:
        assert (call.model, gateway.held()) == ("gpt-4o", 1)
        call.settle(Decimal("0.0123456789012345678901"), prompt_tokens=8000, completion_tokens=1120)
    assert gateway.calls(key) == [["settled", "0.0123456789012345678901", "f"]]


@pytest.mark.parametrize(
    "error, outcome", [(NotSent, []), (TimeoutError, [["settled", "0.5", "t"]]), (None, [["settled", "0.5", "t"]])]
)
def test_a_block_without_a_settlement(gateway, client, error, outcome):
    key = gateway.make_key(max_budget=1)
    try:
        with client.call(key=key, model="gpt-4o", max_cost=Decimal("0.5")):
            if error:
                raise error("as told")
    except (NotSent, TimeoutError) as raised:
        assert type(raised) is error
    assert [call for call in gateway.calls(key) if call[0] != "cancelled"] == outcome


def test_an_error_after_the_settlement_changes_nothing(gateway, client):
    key = gateway.make_key()
    with pytest.raises(KeyError), client.call(key=key, model="gpt-4o", max_cost=1) as call:
        call.settle("0.02")
        raise KeyError
    assert gateway.calls(key) == [["settled", "0.02", "f"]]


def test_a_refusal_is_passed_on_and_asked_once(gateway, client):
    key = gateway.make_key(max_budget=1)
    with pytest.raises(Refused) as info, client.call(key=key, model="gpt-4o", max_cost=2):
        pytest.fail("the call was made")
    refused = info.value
    assert (refused.status, refused.retry_after) == (429, None)
    assert refused.body["error"]["limit"]["asked"] == 2
    assert str(refused).startswith("Budget has been exceeded!")


def test_the_routes_themselves(gateway, client):
    key = gateway.make_key(max_budget=1)
    held = client.reserve(key=key, model="gpt-4o", max_cost=1, request_id="python-1", ttl_seconds=60)
    assert held["limits"][0]["remaining"] == 0
    assert client.extend(request_id="python-1", ttl_seconds=600)["expires_at"] > held["expires_at"]
    assert client.cancel(request_id="python-1")["state"] == "cancelled"
    assert client.record(key=key, model="gpt-4o", cost="0.1", request_id="python-2")["cost"] == Decimal("0.1")
    assert client.settle(cost=1, request_id="python-2")["cost"] == Decimal("0.1")


@pytest.mark.parametrize("reply", [AWAY, "<html>502 Bad Gateway</html>", None])
def test_without_a_clear_answer_it_asks_again_with_the_same_id(pg_org, beside, reply):
    pg_org.replies["reserve"] = [reply, reply]
    pg_org.replies["settle"] = [reply]
    with beside.call(**CALL) as call:
        call.settle("0.1")
    assert [len(pg_org.asked[path]) for path in ("reserve", "settle")] == [3, 2]
    assert len(request_ids(pg_org.asked["reserve"] + pg_org.asked["settle"])) == 1


def test_without_an_answer_no_call_is_made(pg_org, beside):
    pg_org.replies["reserve"] = [AWAY] * 3
    with pytest.raises(Unanswered), beside.call(**CALL):
        pytest.fail("the call was made")


def test_what_cannot_be_reported_is_kept_and_sent_later(pg_org, beside, tmp_path):
    pg_org.replies["settle"] = [AWAY] * 9
    for cost in Decimal("0.1"), Decimal("0.2"):
        with beside.call(**CALL) as call:
            call.settle(cost)
    kept = (tmp_path / "unreported.jsonl").read_text()
    assert [json.loads(line)["cost"] for line in kept.splitlines()] == ["0.1", "0.2"]
    assert CALL["key"] not in kept
    assert beside.send_unreported() == 1  # the stand-in is away three more times
    assert beside.send_unreported() == 0
    assert beside.send_unreported() == 0
    assert [fields["cost"] for fields in pg_org.asked["settle"][9:]] == ["0.2", "0.1"]
    assert [path.name for path in tmp_path.iterdir()] == []


def test_an_interrupted_sending_is_taken_up_again(pg_org, beside, tmp_path):
    (tmp_path / "unreported.jsonl.being_sent").write_text('{"request_id": "a", "cost": "1"}\n')
    (tmp_path / "unreported.jsonl").write_text('{"request_id": "b", "cost": "1"}\n')
    assert [beside.send_unreported(), beside.send_unreported()] == [0, 0]
    assert [fields["request_id"] for fields in pg_org.asked["settle"]] == ["a", "b"]


def test_a_reservation_that_is_forgotten_is_recorded(pg_org, beside):
    pg_org.replies["settle"] = [NOT_FOUND]
    with beside.call(**CALL, tags=["search"]) as call:
        call.settle("0.1")
    expected = {"key": "sk-caller", "model": "gpt-4o", "tags": ["search"], "request_id": call.request_id, "cost": "0.1"}
    assert pg_org.asked["record"] == [expected]


def test_a_stream_is_extended_until_it_is_over(pg_org, beside):
    pg_org.replies["extend"] = [GRANT, AWAY, AWAY, AWAY]  # and it goes on after a missing answer
    with beside.call(**CALL, ttl_seconds=1, extended=True) as call:
        pg_org.wait_for("extend", 5)
        call.settle("0.1")
    asked = len(pg_org.asked["extend"])
    time.sleep(0.7)
    assert len(pg_org.asked["extend"]) == asked
    assert pg_org.asked["extend"][0] == {"request_id": call.request_id, "ttl_seconds": 1}


def test_types_are_those_of_the_gateway(gateway, tmp_path):
    """A type checker finds three mistakes in a program, and no others."""
    package = tmp_path / "pg_org"
    package.mkdir()
    for file in "__init__.py", "py.typed":
        (package / file).symlink_to(INTEGRATIONS / "python" / "pg_org" / file)
    with open(package / "types.pyi", "w") as types:
        make_types = [sys.executable, INTEGRATIONS / "python" / "make_types", f"{URL}/openapi.json"]
        subprocess.run(make_types, stdout=types, check=True)
    program = tmp_path / "program.py"
    program.write_text(TYPED)
    options = ["--strict", "--no-warn-return-any", "--no-incremental", "--no-error-summary", "--python-version=3.11"]
    options += ["--enable-incomplete-feature=Unpack"]  # which versions before 1.7 need
    command = ["/usr/bin/mypy", *options, "-p", "pg_org", "-m", "program"]
    checked = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    wrong = [number for number, line in enumerate(TYPED.splitlines(), 1) if "# error: " in line]
    errors = [line.split(":") for line in checked.stdout.splitlines() if ": error: " in line]
    assert [(error[0], int(error[1])) for error in errors] == [("program.py", number) for number in wrong], checked
