"""When pg_org is away, slow or talks nonsense, no call is made unchecked, and no outcome is lost."""

import asyncio
import logging
import subprocess
import sys
import time
from decimal import Decimal

import pytest

import pg_org_hook
from litellm_proxy import Answer, Failure, ProviderError
from pg_org_hook import HTTPException
from pg_org_stand_in import AWAY, GRANT, PgOrg

KEY = "sk-caller"
NOT_FOUND = 404, {"error": {"message": "Not found", "type": "not_found_error", "param": "None", "code": "404"}}


def refused(proxy, *outcomes):
    """The refusal of a call, and how long it took."""
    began = time.monotonic()
    with pytest.raises(HTTPException) as info:
        proxy.run(proxy.call(KEY, *(outcomes or [Answer(0.001)])))
    return info.value, time.monotonic() - began


def request_ids(requests):
    return {fields["request_id"] for fields in requests}


def test_no_pg_org_no_call(connect):
    proxy = connect("http://127.0.0.1:1", "sk-gateway", reserve_seconds=1)
    error, seconds = refused(proxy)
    assert (error.status_code, error.headers) == (503, {"Retry-After": "1"})
    assert seconds < 1.5


@pytest.mark.parametrize("reply", [AWAY, "<html>502 Bad Gateway</html>", "[]", "{}", None])
def test_a_reserve_without_a_clear_answer_is_asked_again_with_the_same_id(pg_org, connect, reply):
    proxy = connect(pg_org.url, "sk-gateway")
    pg_org.replies["reserve"] = [reply, reply, GRANT]
    proxy.run(proxy.call(KEY, Answer(0.001)))
    assert len(pg_org.asked["reserve"]) == 3
    assert len(request_ids(pg_org.asked["reserve"] + pg_org.wait_for("settle"))) == 1


def test_a_reserve_that_may_have_been_granted_is_cancelled(pg_org, connect):
    proxy = connect(pg_org.url, "sk-gateway", reserve_seconds=1)
    pg_org.replies["reserve"] = [AWAY] * 9
    error, _ = refused(proxy)
    assert error.status_code == 503
    assert request_ids(pg_org.wait_for("cancel")) == request_ids(pg_org.asked["reserve"])


def test_slow_answers_neither_block_the_proxy_nor_pass_for_a_grant(pg_org, connect):
    proxy = connect(pg_org.url, "sk-gateway", timeout=0.5, reserve_seconds=1, connections=2)
    pg_org.delay = 3

    async def calls_beside_a_clock():
        calls = [asyncio.ensure_future(proxy.call(KEY, Answer(0.001))) for _ in range(10)]
        longest = 0
        while not all(call.done() for call in calls):
            began = time.monotonic()
            await asyncio.sleep(0.01)
            longest = max(longest, time.monotonic() - began)
        return longest, [call.exception() for call in calls]

    began = time.monotonic()
    longest, errors = proxy.run(calls_beside_a_clock())
    assert {error.status_code for error in errors} == {503}
    assert longest < 0.5
    assert time.monotonic() - began < 3
    pg_org.delay = 0


def test_fail_open_makes_the_call_and_records_it(pg_org, connect):
    proxy = connect(pg_org.url, "sk-gateway", fail_open=True, reserve_seconds=0.3)
    pg_org.replies["reserve"] = [AWAY] * 9
    pg_org.replies["settle"] = [NOT_FOUND]
    proxy.run(proxy.call(KEY, Answer(0.001), tags=["search"]))
    (record,) = pg_org.wait_for("record")
    assert (record["key"], record["model"], record["cost"], record["tags"]) == (KEY, "gpt-4o", "0.001", ["search"])
    assert request_ids([record]) == request_ids(pg_org.asked["reserve"])


def test_fail_open_does_not_open_what_a_limit_refuses(pg_org, connect):
    proxy = connect(pg_org.url, "sk-gateway", fail_open=True)
    limit = {"message": "Budget has been exceeded!", "type": "budget_exceeded", "param": "max_budget", "code": "429"}
    pg_org.replies["reserve"] = [(429, {"error": limit})]
    error, _ = refused(proxy)
    assert error.status_code == 429


def test_an_outcome_is_reported_until_there_is_an_answer(pg_org, connect):
    proxy = connect(pg_org.url, "sk-gateway")
    pg_org.replies["settle"] = [AWAY, None, "nonsense"]
    pg_org.replies["cancel"] = [AWAY]
    proxy.run(proxy.call(KEY, Answer(0.001)))
    with pytest.raises(ProviderError):
        proxy.run(proxy.call(KEY, Failure(ProviderError(500))))
    assert {fields["cost"] for fields in pg_org.wait_for("settle", 4)} == {"0.001"}
    assert len(request_ids(pg_org.asked["settle"])) == 1
    assert len(request_ids(pg_org.wait_for("cancel", 2))) == 1


def test_outcomes_outlast_a_pg_org_that_is_away(connect):
    pg_org = PgOrg()
    with pg_org.running():
        proxy = connect(pg_org.url, "sk-gateway")

        async def begin():
            return [await proxy.call(KEY, Answer(0.001), stream=True) for _ in range(20)]

        async def read(streams):
            for stream in streams:
                async for _ in stream:
                    pass

        streams = proxy.run(begin())
    proxy.run(read(streams))
    time.sleep(1)
    with pg_org.running():
        settled = pg_org.wait_for("settle", 20)
        assert request_ids(settled) == request_ids(pg_org.asked["reserve"])


def test_what_cannot_be_reported_is_in_the_log(pg_org, connect, caplog, monkeypatch):
    monkeypatch.setattr(pg_org_hook.Reporter, "PAUSES", (0.05,) * 6)
    proxy = connect(pg_org.url, "sk-gateway", retry_queue=1)
    pg_org.replies["settle"] = [AWAY] * 60
    ids = [proxy.run(proxy.call(KEY, Answer(cost)))["litellm_call_id"] for cost in (0.001, 0.002, 0.003)]
    pg_org.wait_for("settle", 20)
    pg_org.replies["settle"].clear()
    text = caplog.text
    assert any(f"will go on trying: settle of request_id {call_id}" in text for call_id in ids)
    assert any(f"lost, because 1 reports wait already: settle of request_id {call_id}, cost" in text for call_id in ids)


def test_a_settlement_that_is_refused_is_in_the_log(pg_org, connect, caplog):
    proxy = connect(pg_org.url, "sk-gateway")
    pg_org.replies["settle"] = [(422, {"detail": [{"msg": '"cost" is wrong'}]})]
    call_id = proxy.run(proxy.call(KEY, Answer(0.001)))["litellm_call_id"]
    proxy.hook.finish()
    assert f'refused with 422: settle of request_id {call_id}, cost 0.001: "cost" is wrong' in caplog.text


def test_what_waits_is_sent_when_the_process_ends(pg_org):
    program = """if True:
        from conftest import *
        from litellm_proxy import Answer
        hook = Hook(sys.argv[1], "sk-gateway", price=lambda model: PRICE)
        proxy = Proxy(hook)
        proxy.run(proxy.call("sk-caller", Answer(0.001)))
    """
    pg_org.replies["settle"] = [AWAY, AWAY]
    subprocess.run([sys.executable, "-B", "-c", program, pg_org.url], check=True, cwd=__file__.rsplit("/", 1)[0])
    assert len(pg_org.asked["settle"]) >= 1 and not pg_org.replies["settle"]


def test_a_stream_that_was_left_is_settled_when_the_process_ends(pg_org):
    program = """if True:
        from conftest import *
        from litellm_proxy import Answer
        hook = Hook(sys.argv[1], "sk-gateway", price=lambda model: PRICE)
        proxy = Proxy(hook)
        async def leave():
            chunks = await proxy.call("sk-caller", Answer(0.001), stream=True, messages=["w" * 200])
            await chunks.__anext__()
            await chunks.aclose()
        proxy.run(leave())
    """
    subprocess.run([sys.executable, "-B", "-c", program, pg_org.url], check=True, cwd=__file__.rsplit("/", 1)[0])
    assert [(fields["cost"], fields["failed"]) for fields in pg_org.asked["settle"]] == [("0.02", True)]


def test_an_address_that_is_no_pg_org_refuses_all(pg_org, connect):
    proxy = connect(pg_org.url + "/elsewhere", "sk-gateway")
    pg_org.replies["/elsewhere/usage/reserve"] = [(404, {"detail": "Not Found"})]
    error, _ = refused(proxy)
    assert error.status_code == 503


def test_https(connect, tmp_path):
    certificate = tmp_path / "certificate.pem"
    request = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=pg_org", "-days", "1"]
    request += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", certificate, "-out", certificate]
    subprocess.run(request, check=True, capture_output=True)
    with PgOrg().running(certificate) as pg_org:
        proxy = connect(pg_org.url.replace("http:", "https:"), "sk-gateway", ca_file=str(certificate))
        proxy.run(proxy.call(KEY, Answer(0.001)))
        pg_org.wait_for("settle")
        proxy = connect(pg_org.url.replace("http:", "https:"), "sk-gateway", reserve_seconds=0.3)
        assert refused(proxy)[0].status_code == 503


def test_a_caller_whose_key_is_not_known_is_refused(pg_org, connect):
    proxy = connect(pg_org.url, "sk-gateway")
    data = proxy.data(KEY, {"model": "gpt-4o"}, {}, None)
    data["secret_fields"] = {"raw_headers": {"authorization": "Bearer sk-another"}}
    caller = type("Caller", (), {"api_key": "0" * 64})
    with pytest.raises(HTTPException) as info:
        asyncio.run(proxy.hook.async_pre_call_hook(caller, None, data, "acompletion"))
    assert info.value.status_code == 401
    assert not pg_org.asked["reserve"]


def test_the_most_that_a_call_can_cost(pg_org, connect):
    proxy = connect(pg_org.url, "sk-gateway")
    bodies = (
        {"max_tokens": 10},
        {"max_tokens": 10, "max_completion_tokens": 20, "n": 3},
        {"max_tokens": 20, "max_completion_tokens": 1, "n": 1, "best_of": 3},
        {"max_tokens": None},
        {"max_tokens": 10**40},
    )
    for body in bodies:
        proxy.run(proxy.call(KEY, Answer(0.001), messages=["w" * 200], **body))
    proxy.run(proxy.call(KEY, Answer(0.001), messages=[], input="w" * 50, call_type="aembedding"))
    proxy.run(proxy.call(KEY, Answer(0.001), messages=[], input="w", previous_response_id="r", call_type="aresponses"))
    asked = [(fields["max_cost"], fields["max_tokens"]) for fields in pg_org.asked["reserve"]]
    assert asked == [
        ("0.02", 110),
        ("0.07", 160),
        ("0.07", 160),
        ("4.106", 4196),
        ("1000000.01", 1000000100),
        ("0.0058", 58),
        ("0.02", 110),
    ]


def test_prices_are_the_highest_of_the_deployments_in_litellm(monkeypatch):
    """As far as LiteLLM's documentation of custom prices and of its map of costs says what they look like."""
    in_map = {"input_cost_per_token": 1e-06, "output_cost_per_token": 2e-06, "max_output_tokens": 8192, "mode": "chat"}
    long = {"input_cost_per_token_above_200k_tokens": 3e-06}
    deployments = [
        {"litellm_params": {"model": "openai/gpt-4o"}, "model_info": {}},
        {
            "litellm_params": {"model": "azure/mine", "output_cost_per_token": 5e-06},
            "model_info": {"base_model": "gpt-4o"},
        },
    ]

    class Router:
        def get_model_list(self, model_name):
            return deployments if model_name == "fast" else None

    modules = {name: type(sys)(name) for name in ("litellm", "litellm.proxy", "litellm.proxy.proxy_server")}
    modules["litellm"].model_cost = {"gpt-4o": {**in_map, **long}, "dall-e-3": {**in_map, "mode": "image_generation"}}
    modules["litellm.proxy.proxy_server"].llm_router = Router()
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    price = pg_org_hook.price_in_litellm
    assert price("fast") == (Decimal("3e-06"), Decimal("5e-06"), None, 8192)
    assert price("gpt-4o") == price("openai/gpt-4o") == (Decimal("3e-06"), Decimal("2e-06"), None, 8192)
    assert price("dall-e-3") is price("unheard-of") is None


def test_the_environment_makes_the_hook(monkeypatch, pg_org):
    pg_org_hook.__dict__.pop("hook", None)
    monkeypatch.delenv("PG_ORG_URL")
    with pytest.raises(ValueError, match="PG_ORG_URL and PG_ORG_KEY must be set"):
        pg_org_hook.hook
    for name, text in {"URL": pg_org.url, "KEY": "sk-gateway", "DEFAULT_MAX_COST": "0.5", "FAIL_OPEN": "maybe"}.items():
        monkeypatch.setenv(f"PG_ORG_{name}", text)
    with pytest.raises(ValueError, match="true or false"):
        pg_org_hook.hook
    monkeypatch.setenv("PG_ORG_FAIL_OPEN", "false")
    monkeypatch.setenv("PG_ORG_KEY", "sk-gateway\n")
    hook = pg_org_hook.hook
    assert hook is pg_org_hook.hook
    pg_org_hook.__dict__.pop("hook")


def test_no_secret_is_in_the_log(pg_org, connect, caplog):
    caplog.set_level(logging.DEBUG)
    proxy = connect(pg_org.url, "sk-gateway", reserve_seconds=0.3)
    pg_org.replies["reserve"] = [AWAY] * 3
    refused(proxy)
    pg_org.replies["settle"] = [(422, {"detail": []})]
    proxy.run(proxy.call(KEY, Answer(0.001)))
    proxy.hook.finish()
    assert caplog.text and "sk-" not in caplog.text


def test_a_key_that_is_no_key_is_refused_without_showing_it(pg_org):
    for key in "sk-gate\nway", "sk-gate\u0142way":
        with pytest.raises(ValueError, match="must be one line of ASCII") as info:
            pg_org_hook.Hook(pg_org.url, key)
        assert "sk-" not in str(info.value)
