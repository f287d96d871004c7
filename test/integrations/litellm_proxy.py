"""LiteLLM's proxy as far as its documentation says in which order, and with what, it calls a hook."""

import asyncio
import datetime
import hashlib
import types
import uuid

from pg_org_hook import HTTPException


class ProviderError(Exception):
    """What LiteLLM raises if a model can't be called."""

    def __init__(self, status_code):
        super().__init__(f"the provider replied {status_code}")
        self.status_code = status_code


class Timeout(ProviderError):
    def __init__(self):
        super().__init__(408)


class Answer:
    """What a model answers, and what LiteLLM says that it cost, after a pause. A stream pauses before each chunk, may
    break off midway, and has another cost if the client hangs up: None if LiteLLM doesn't tell."""

    def __init__(
        self, cost, prompt_tokens=10, completion_tokens=5, chunks=3, pause=0, breaks_with=None, cost_of_part=None, **usage
    ):
        self.cost = cost
        self.cost_of_part = cost_of_part
        self.usage = {"prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens, **usage}
        self.chunks = chunks
        self.pause = pause
        self.breaks_with = breaks_with


class Failure:
    """A model that can't be called, and what LiteLLM says that this cost."""

    def __init__(self, error, cost=0):
        self.error = error
        self.cost = cost


class Proxy:
    """Calls models, of which each has the outcome that the test gives it.

    The hooks are called as the proxy does: async_pre_call_hook once for each request; for each attempt that the router
    makes async_log_success_event or async_log_failure_event, in the background; async_post_call_failure_hook if the
    request fails, whoever made it fail.
    """

    def __init__(self, hook):
        self.hook = hook
        self.logging = set()

    async def call(self, key, *outcomes, model="gpt-4o", call_id=None, headers=None, call_type="acompletion", **body):
        """Make a call. Of the outcomes, each but the first is that of a retry or fallback."""
        caller = types.SimpleNamespace(
            api_key=hashlib.sha256(key.encode()).hexdigest(), end_user_id=body.get("user"), key_alias=None
        )
        body = {"model": model, "messages": [{"role": "user", "content": "Why?"}], "max_tokens": 10, **body}
        data = self.data(key, body, headers, call_id)
        try:
            changed = await self.hook.async_pre_call_hook(caller, None, data, call_type)
            data = changed or data
            answer = await self.route(data, outcomes)
            if not data.get("stream"):
                await asyncio.sleep(answer.pause)
                self.log_success(data, answer.cost, answer.usage)
                return data
            return self.stream(caller, data, answer)
        except (Exception, asyncio.CancelledError) as error:
            await self.fail(caller, data, error)
            raise

    @staticmethod
    def data(key, body, headers, call_id):
        """The request as add_litellm_data_to_request leaves it: the key is in secret_fields only."""
        visible = {name.lower(): value for name, value in (headers or {}).items()}
        if call_id:
            visible["x-litellm-call-id"] = call_id
        return {
            **body,
            "metadata": {**body.get("metadata", {}), "tags": body.pop("tags", []), "headers": visible},
            "proxy_server_request": {"url": "/chat/completions", "headers": visible, "body": dict(body)},
            "secret_fields": {"raw_headers": {"authorization": f"Bearer {key}", **visible}},
            "litellm_call_id": call_id or str(uuid.uuid4()),
        }

    async def route(self, data, outcomes):
        """The router: whom it asks next if one fails."""
        for outcome in outcomes:
            if isinstance(outcome, Answer):
                return outcome
            self.log_failure(data, outcome.cost)
        raise outcome.error

    async def stream(self, caller, data, answer):
        """What the client reads. As with every generator, who hangs up closes it."""
        provider = self.chunks(answer)
        try:
            chunks = self.hook.async_post_call_streaming_iterator_hook(
                user_api_key_dict=caller, response=provider, request_data=data
            )
            try:
                async for chunk in chunks:
                    yield chunk
            finally:
                await chunks.aclose()
            self.log_success(data, answer.cost, answer.usage)
        except GeneratorExit:
            if answer.cost_of_part is not None:
                self.log_success(data, answer.cost_of_part, answer.usage)
            raise
        except Exception as error:
            await self.fail(caller, data, error)
            raise

    @staticmethod
    async def chunks(answer):
        for number in range(answer.chunks):
            await asyncio.sleep(answer.pause)
            yield f"chunk {number}"
        if answer.breaks_with:
            raise answer.breaks_with

    def log_success(self, data, cost, usage):
        response = types.SimpleNamespace(usage=types.SimpleNamespace(**usage))
        self.later(self.hook.async_log_success_event, {**self.kwargs(data), "response_cost": cost}, response)

    def log_failure(self, data, cost):
        self.later(self.hook.async_log_failure_event, {**self.kwargs(data), "response_cost": cost}, None)

    def later(self, hook, kwargs, response):
        now = datetime.datetime.now()
        task = asyncio.ensure_future(hook(kwargs, response, now, now))
        self.logging.add(task)
        task.add_done_callback(self.logging.discard)

    @staticmethod
    def kwargs(data):
        return {
            "model": data["model"],
            "call_type": "acompletion",
            "stream": bool(data.get("stream")),
            "litellm_call_id": data["litellm_call_id"],
            "litellm_params": {"metadata": data["metadata"]},
        }

    async def fail(self, caller, data, error):
        if isinstance(error, HTTPException):  # of a hook, so that no attempt has logged it
            self.log_failure(data, 0)
        changed = await self.hook.async_post_call_failure_hook(
            request_data=data, original_exception=error, user_api_key_dict=caller, traceback_str="…"
        )
        assert changed is None

    def run(self, calls):
        """Run a coroutine, and what it has left to be logged."""

        async def all_of_it():
            try:
                return await calls
            finally:
                while self.logging:
                    await asyncio.gather(*self.logging)

        return asyncio.run(all_of_it())
