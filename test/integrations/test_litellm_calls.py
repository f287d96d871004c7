"""Every call that LiteLLM's proxy makes is in pg_org's ledger once, with what it cost."""

import asyncio
import time

import pytest

from conftest import URL, sql
from litellm_proxy import Answer, Failure, ProviderError, Timeout
from pg_org_hook import HTTPException

HELD = "0.02"  # 100 tokens of prompt at most, and 10 of answer, at the price of conftest


def refusal(run):
    with pytest.raises(HTTPException) as info:
        run()
    return info.value


def wait_for_calls(gateway, key, count):
    end = time.monotonic() + 10
    while len(gateway.calls(key)) < count:
        assert time.monotonic() < end
        time.sleep(0.1)
    return gateway.calls(key)


def test_a_call_is_reserved_and_settled(gateway, proxy):
    key = gateway.make_key(max_budget=1)
    data = proxy.run(proxy.call(key, Answer(0.0123), tags=["search", "search"], user="customer-7"))
    proxy.hook.finish()
    assert gateway.calls(key) == [["settled", "0.0123", "f"]]
    row = sql(
        "SELECT model, max_cost <= 0.02, tags, prompt_tokens, completion_tokens FROM org.usage"
        f" WHERE request_id = '{data['litellm_call_id']}'"
    )
    assert row == [["gpt-4o", "t", "{search}", "10", "5"]]
    assert sql(f"SELECT end_user FROM org.usage WHERE request_id = '{data['litellm_call_id']}'") == [["customer-7"]]


def test_a_stream_is_settled_when_it_ends(gateway, proxy):
    key = gateway.make_key(max_budget=1)

    async def read():
        return [chunk async for chunk in await proxy.call(key, Answer(0.005), stream=True)]

    assert len(proxy.run(read())) == 3
    proxy.hook.finish()
    assert gateway.calls(key) == [["settled", "0.005", "f"]]


@pytest.mark.parametrize("told, cost", [(0.0021, "0.0021"), (None, HELD)])
def test_a_stream_that_the_client_leaves_costs_what_litellm_tells_or_all_that_was_held(gateway, proxy, told, cost):
    key = gateway.make_key(max_budget=1)

    async def read_one_chunk():
        chunks = await proxy.call(key, Answer(0.005, cost_of_part=told), stream=True, messages=["w" * 200])
        await chunks.__anext__()
        await chunks.aclose()

    proxy.run(read_one_chunk())
    assert wait_for_calls(gateway, key, 1) == [["settled", cost, "f" if told else "t"]]


def test_a_stream_keeps_its_hold_for_as_long_as_it_runs(gateway, connect):
    proxy = connect(URL, gateway.make_key(permissions={"usage": True}), hold_seconds=2)
    key = gateway.make_key(max_parallel_requests=1)

    async def read_slowly():
        chunks = await proxy.call(key, Answer(0.005, chunks=12, pause=0.3), stream=True)
        return [chunk async for chunk in chunks], gateway.held()

    chunks, held = proxy.run(read_slowly())
    assert (len(chunks), held) == (12, 1)
    proxy.hook.finish()
    assert gateway.calls(key) == [["settled", "0.005", "f"]]


def test_a_stream_that_breaks_off_costs_all_that_was_held(gateway, proxy):
    key = gateway.make_key(max_budget=1)

    async def read():
        answer = Answer(0.005, breaks_with=ProviderError(500))
        async for _ in await proxy.call(key, answer, stream=True, messages=["w" * 200]):
            pass

    with pytest.raises(ProviderError):
        proxy.run(read())
    assert wait_for_calls(gateway, key, 1) == [["settled", HELD, "t"]]


def test_a_call_that_fails_is_cancelled(gateway, proxy):
    key = gateway.make_key(max_budget=1, max_parallel_requests=1)
    for _ in range(2):
        with pytest.raises(ProviderError):
            proxy.run(proxy.call(key, Failure(ProviderError(500)), Failure(ProviderError(429))))
        proxy.hook.finish()
    assert gateway.calls(key) == [["cancelled", "0", "f"]] * 2


def test_a_failure_that_cost_something_is_settled(gateway, proxy):
    key = gateway.make_key(max_budget=1)
    with pytest.raises(ProviderError):
        proxy.run(proxy.call(key, Failure(ProviderError(500), cost=0.001), Failure(ProviderError(500), cost=0.002)))
    proxy.hook.finish()
    assert gateway.calls(key) == [["settled", "0.003", "t"]]


@pytest.mark.parametrize("error", [Timeout(), ProviderError(499), asyncio.CancelledError()])
def test_a_call_that_nobody_waited_for_costs_all_that_was_held(gateway, proxy, error):
    key = gateway.make_key(max_budget=1)
    with pytest.raises(type(error)):
        proxy.run(proxy.call(key, Failure(error), messages=["w" * 200]))
    assert wait_for_calls(gateway, key, 1) == [["settled", HELD, "t"]]


def test_retries_and_fallbacks_are_one_call(gateway, proxy):
    key = gateway.make_key(max_budget=1, rpm_limit=1)
    broken = Failure(ProviderError(500))
    proxy.run(proxy.call(key, broken, broken, Failure(ProviderError(500), cost=0.001), Answer(0.004)))
    proxy.hook.finish()
    assert gateway.calls(key) == [["settled", "0.005", "f"]]


def test_a_call_that_another_hook_stops_afterwards_is_still_paid(gateway, proxy):
    key = gateway.make_key(max_budget=1)

    async def stopped():
        data = await proxy.call(key, Answer(0.004))
        await proxy.fail(None, data, HTTPException(400, "Bad words."))

    proxy.run(stopped())
    proxy.hook.finish()
    assert gateway.calls(key) == [["settled", "0.004", "f"]]


def test_two_hundred_calls_at_once_are_counted_once_each(gateway, proxy):
    key = gateway.make_key(max_budget=100)
    broken = Failure(ProviderError(503))

    async def all_at_once():
        calls = []
        for number in range(200):
            outcomes = [(Answer(0.001),), (broken, Answer(0.002)), (broken, broken), (Answer(0),)][number % 4]
            calls.append(proxy.call(key, *outcomes))
        return await asyncio.gather(*calls, return_exceptions=True)

    results = proxy.run(all_at_once())
    assert sum(isinstance(result, ProviderError) for result in results) == 50
    assert sum(isinstance(result, dict) for result in results) == 150
    proxy.hook.finish(30)
    counts = {}
    for state, cost, _ in gateway.calls(key):
        counts[state, cost] = counts.get((state, cost), 0) + 1
    assert counts == {("settled", "0"): 50, ("settled", "0.001"): 50, ("settled", "0.002"): 50, ("cancelled", "0"): 50}


def test_no_call_is_granted_beyond_a_limit_however_many_come_at_once(gateway, proxy):
    key = gateway.make_key(max_budget=0.1)

    async def all_at_once():
        calls = (proxy.call(key, Answer(0.02), messages=["w" * 200]) for _ in range(20))
        return await asyncio.gather(*calls, return_exceptions=True)

    results = proxy.run(all_at_once())
    refused = [result for result in results if isinstance(result, HTTPException)]
    assert {result.status_code for result in refused} == {429}
    proxy.hook.finish()
    assert len(gateway.calls(key)) == 20 - len(refused) <= 5


def test_a_refusal_by_a_limit_is_passed_on(gateway, proxy):
    key = gateway.make_key(max_budget=0.001)
    error = refusal(lambda: proxy.run(proxy.call(key, Answer(0.001))))
    assert error.status_code == 429
    assert error.detail.startswith("Budget has been exceeded!")
    assert (error.type, error.param) == ("budget_exceeded", "max_budget")
    key = gateway.make_key(rpm_limit=1)
    proxy.run(proxy.call(key, Answer(0)))
    error = refusal(lambda: proxy.run(proxy.call(key, Answer(0))))
    assert (error.status_code, error.type) == (429, "rate_limit_exceeded")
    assert 1 <= int(error.headers["Retry-After"]) <= 60


def test_refusals_of_the_caller_keep_their_status(gateway, proxy):
    assert refusal(lambda: proxy.run(proxy.call("sk-unknown", Answer(0)))).status_code == 401
    key = gateway.make_key(models=["gpt-5"])
    error = refusal(lambda: proxy.run(proxy.call(key, Answer(0))))
    assert (error.status_code, error.type) == (401, "key_model_access_denied")
    key = gateway.make_key(allowed_routes=["management_routes"])
    assert refusal(lambda: proxy.run(proxy.call(key, Answer(0)))).status_code == 403
    key = gateway.make_key(duration="1s")
    time.sleep(1.1)
    error = refusal(lambda: proxy.run(proxy.call(key, Answer(0))))
    assert (error.status_code, error.type) == (400, "expired_key")


def test_a_hook_without_permission_refuses_all_and_tells_the_operator(gateway, connect, caplog):
    key = gateway.make_key()
    for own_key in gateway.make_key(), "sk-unknown":
        proxy = connect(URL, own_key)
        error = refusal(lambda: proxy.run(proxy.call(key, Answer(0))))
        assert (error.status_code, "PG_ORG_KEY" in error.detail) == (503, False)
        assert "refused PG_ORG_KEY or PG_ORG_URL with 401" in caplog.text
        caplog.clear()


def test_the_key_is_the_one_that_litellm_accepted(gateway, proxy):
    payer, other = gateway.make_key(), gateway.make_key()
    proxy.run(proxy.call(payer, Answer(0.001), headers={"x-api-key": other, "x-litellm-api-key": f"Bearer {other}"}))
    proxy.hook.finish()
    assert gateway.calls(payer) == [["settled", "0.001", "f"]]
    assert gateway.calls(other) == []


def test_aliases_of_pg_org_choose_the_model(gateway, proxy):
    key = gateway.make_key(aliases={"fast": "gpt-4o-mini"})
    assert proxy.run(proxy.call(key, Answer(0.001), model="fast"))["model"] == "gpt-4o-mini"


def test_a_call_id_that_the_client_chose_is_no_way_around_limits(gateway, proxy):
    key = gateway.make_key(max_budget=1)

    async def twice_at_once():
        first = asyncio.ensure_future(proxy.call(key, Answer(0.001, pause=1.5), call_id="mine"))
        await asyncio.sleep(0.5)
        with pytest.raises(HTTPException) as info:
            await proxy.call(key, Answer(0.001), call_id="mine", metadata={"pg_org_mark": "guessed"})
        await asyncio.sleep(0.5)
        assert gateway.held() == 1
        await first
        return info.value

    assert proxy.run(twice_at_once()).status_code == 409
    proxy.run(proxy.call(key, Answer(0.002), call_id="mine"))
    with pytest.raises(ProviderError):
        proxy.run(proxy.call(key, Failure(ProviderError(500)), call_id="mine"))
    proxy.run(proxy.call(key, Answer(0.003), call_id="mine"))
    proxy.hook.finish()
    assert [cost for state, cost, _ in gateway.calls(key) if state == "settled"] == ["0.001", "0.002", "0.003"]
    assert sql("SELECT count(*) FROM org.usage WHERE request_id = 'mine'") == [["0"]]


def test_a_call_id_used_again_does_not_hide_a_stream_that_the_client_left(gateway, proxy):
    key = gateway.make_key(max_budget=1)

    async def leave_and_come_back():
        chunks = await proxy.call(key, Answer(0.005), call_id="again", stream=True, messages=["w" * 200])
        await chunks.__anext__()
        await chunks.aclose()
        with pytest.raises(HTTPException) as info:
            await proxy.call(key, Answer(0.001), call_id="again")
        return info.value

    assert proxy.run(leave_and_come_back()).status_code == 409
    assert wait_for_calls(gateway, key, 1) == [["settled", HELD, "t"]]


def test_a_client_that_leaves_while_pg_org_is_asked_holds_nothing(gateway, proxy):
    key = gateway.make_key(max_parallel_requests=1)

    async def leave():
        call = asyncio.ensure_future(proxy.call(key, Answer(0.001)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)

    for _ in range(5):
        proxy.run(leave())
    time.sleep(1)
    proxy.hook.finish()
    assert gateway.held() == 0


def test_a_model_without_a_price_costs_the_default(gateway, connect, caplog):
    settings = {"price": lambda model: None, "default_max_cost": "0.25"}
    proxy = connect(URL, gateway.make_key(permissions={"usage": True}), **settings)
    key = gateway.make_key(max_budget=0.3)
    proxy.run(proxy.call(key, Answer(None)))
    proxy.hook.finish()
    assert gateway.calls(key) == [["settled", "0.25", "f"]]
    assert "LiteLLM has no cost of request_id" in caplog.text
    assert refusal(lambda: proxy.run(proxy.call(key, Answer(None)))).status_code == 429
    proxy = connect(URL, gateway.make_key(permissions={"usage": True}), price=lambda model: None)
    error = refusal(lambda: proxy.run(proxy.call(key, Answer(None))))
    assert (error.status_code, "max_cost" in error.detail) == (422, True)


def ask(proxy, data, call_type):
    return asyncio.run(proxy.hook.async_pre_call_hook(None, None, data, call_type))


FREE = [
    ({"file_id": "f"}, "afile_retrieve"),
    ({"model": "gpt-4o"}, "aretrieve_batch"),
    ({"response_id": "r"}, "aget_responses"),
    ({"input": "Why?"}, "moderation"),
    ({"model": "mcp-tool-call"}, "call_mcp_tool"),
]
UNCOUNTED = [
    ({"model": "gpt-4o"}, "pass_through_endpoint"),
    ({"model": "gpt-4o"}, "acreate_batch"),
    ({"model": "gpt-realtime"}, "_arealtime"),
    ({"model": "gpt-5", "background": True}, "aresponses"),
    ({"query": "Why?", "model": None}, "asearch"),
]


def test_what_costs_nothing_is_not_asked_about(connect):
    proxy = connect("http://127.0.0.1:1", "sk-nobody")
    for data, call_type in FREE:
        assert ask(proxy, data, call_type) is data


def test_what_cannot_be_counted_is_closed_unless_it_is_allowed(connect):
    closed = connect("http://127.0.0.1:1", "sk-nobody")
    allowed = connect("http://127.0.0.1:1", "sk-nobody", allow_uncounted=True)
    for data, call_type in UNCOUNTED:
        assert refusal(lambda: ask(closed, data, call_type)).status_code == 403
        assert ask(allowed, data, call_type) is data


def test_an_image_with_a_background_is_asked_about(gateway, proxy):
    key = gateway.make_key(max_budget=1)
    proxy.run(proxy.call(key, Answer(0.04), call_type="image_generation", background="transparent"))
    proxy.hook.finish()
    assert gateway.calls(key) == [["settled", "0.04", "f"]]


def test_a_call_names_one_model(connect):
    proxy = connect("http://127.0.0.1:1", "sk-nobody", allow_uncounted=True)
    for data in {"model": "gpt-4o,gpt-5"}, {"model": ["gpt-4o"]}, {"model": "gpt-4o", "fallbacks": ["gpt-5"]}:
        assert refusal(lambda: ask(proxy, data, "acompletion")).status_code == 400


def test_a_free_request_with_the_same_call_id_settles_nothing(gateway, proxy):
    key = gateway.make_key(max_budget=1)

    async def read():
        chunks = await proxy.call(key, Answer(0.005), call_id="mine", stream=True)
        await chunks.__anext__()
        event = {"litellm_call_id": "mine", "call_type": "afile_content", "response_cost": 0}
        await proxy.hook.async_log_success_event(event, None, None, None)
        async for _ in chunks:
            pass

    proxy.run(read())
    proxy.hook.finish()
    assert gateway.calls(key) == [["settled", "0.005", "f"]]


@pytest.mark.parametrize(
    "usage",
    [
        {"cache_read_input_tokens": 7, "cache_creation_input_tokens": 2},
        {"prompt_tokens_details": {"cached_tokens": 7, "cache_creation_tokens": 2}},
        {"cache_read_input_tokens": 0, "input_tokens_details": {"cached_tokens": 7, "cache_creation_tokens": 2}},
    ],
)
def test_cached_tokens_are_reported_whatever_the_provider_calls_them(gateway, proxy, usage):
    key = gateway.make_key(max_budget=1)
    call_id = proxy.run(proxy.call(key, Answer(0.001, **usage)))["litellm_call_id"]
    proxy.hook.finish()
    columns = "prompt_tokens, cache_read_input_tokens, cache_creation_input_tokens"
    assert sql(f"SELECT {columns} FROM org.usage WHERE request_id = '{call_id}'") == [["10", "7", "2"]]
