"""Make LiteLLM's proxy ask pg_org before each call of a model, and report what the call cost.

README.md beside this file says how to use it. It follows LiteLLM's documentation of call hooks and custom callbacks as
of October 2026 (LiteLLM 1.108), and needs nothing but Python 3.9.
"""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import hashlib
import heapq
import http.client
import itertools
import json
import logging
import math
import os
import ssl
import threading
import time
import urllib.parse
import uuid
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Callable, Dict, NamedTuple, Optional

try:
    from litellm.integrations.custom_logger import CustomLogger
except ImportError:
    CustomLogger = object

try:
    from fastapi import HTTPException
except ImportError:

    class HTTPException(Exception):
        def __init__(self, status_code, detail=None, headers=None):
            super().__init__(detail)
            self.status_code = status_code
            self.detail = detail
            self.headers = headers


log = logging.getLogger("pg_org")

ONE_DAY = 86400  # longer than pg_org lets a hold be
LARGEST_REPLY = 1 << 22
MOST_TOKENS = 10**9  # more than any answer has, and a cost that still is a number to pg_org
PROMPT_FIELDS = (
    "messages",
    "system",
    "instructions",
    "systemInstruction",
    "tools",
    "functions",
    "response_format",
    "prompt",
    "input",
    "contents",
    "query",
    "documents",
)
EARLIER_PROMPTS = "previous_response_id", "conversation"  # which the model reads again

# Parts of LiteLLM's names of calls that cost nothing.
FREE = "list", "get_", "retrieve", "delete", "cancel", "update", "status", "file", "video_content", "moderation", "mcp"
# Calls of which LiteLLM tells the cost much later, elsewhere or never, or whose cost has no bound to hold.
UNCOUNTED = {
    "pass_through_endpoint",
    "acreate_batch",
    "acreate_fine_tuning_job",
    "_arealtime",
    "arealtime_calls",
    "acreate_realtime_client_secret",
    "acreate_realtime_transcription_session",
    "_aresponses_websocket",
}
OTHER_MODELS = "fallbacks", "context_window_fallbacks", "content_policy_fallbacks"


# ---- Asking pg_org


class Refused(Exception):
    """pg_org's answer is no."""

    def __init__(self, status: int, body: dict, retry_after: Optional[str] = None):
        self.status = status
        self.retry_after = retry_after
        error = body.get("error")
        self.error = error if isinstance(error, dict) else {}
        super().__init__(self.error.get("message") or _texts(body.get("detail")) or f"pg_org replied {status}")

    @property
    def concerns_the_call(self) -> bool:
        """Rather than this program's own key or URL, which users can do nothing about."""
        if self.status in (400, 401, 403):
            return self.error.get("param") not in (None, "None")
        return self.status in (409, 422, 429)

    @property
    def is_final(self) -> bool:
        """Whether asking again is useless, even once this program's own key is put in order."""
        return self.concerns_the_call or (self.status in (400, 404) and self.error.get("type") != "expired_key")


class Unanswered(Exception):
    """pg_org may or may not have carried out the request."""


def _texts(detail) -> str:
    if isinstance(detail, list):
        return "; ".join(str(one.get("msg")) for one in detail if isinstance(one, dict))
    return ""


class Client:
    """Sends requests to pg_org. Each thread has a connection of its own, which stays open."""

    def __init__(self, url: str, key: str, timeout: float, ca_file: Optional[str]):
        address = urllib.parse.urlsplit(url)
        if address.scheme not in ("http", "https") or not address.hostname:
            raise ValueError(f"the URL of pg_org must begin with http:// or https://: {url!r}")
        if not key.isascii() or not key.isprintable():
            raise ValueError("the key for pg_org must be one line of ASCII")  # http.client's error would contain it
        self._address = address
        self._tls = ssl.create_default_context(cafile=ca_file) if address.scheme == "https" else None
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self._timeout = timeout
        self._thread = threading.local()

    def ask(self, path: str, fields: dict, until: float = math.inf) -> dict:
        """Ask once. Each call has a request_id, so asking again does no harm."""
        body = json.dumps({name: value for name, value in fields.items() if value is not None}).encode()
        timeout = min(self._timeout, until - time.monotonic())
        if timeout <= 0:
            raise Unanswered("there was no time left to ask")
        try:
            return self._exchange(path, body, timeout)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self._hang_up()
            raise Unanswered(f"{type(error).__name__}: {error}") from None

    def _exchange(self, path: str, body: bytes, timeout: float) -> dict:
        connection = self._connect(timeout)
        connection.request("POST", f"{self._address.path.rstrip('/')}/usage/{path}", body, self._headers)
        response = connection.getresponse()
        text = response.read(LARGEST_REPLY)
        if response.status >= 500:
            raise ValueError(f"pg_org replied {response.status}")
        reply = json.loads(text)
        if not isinstance(reply, dict):
            raise ValueError("pg_org's reply is no object")
        if response.status != 200:
            raise Refused(response.status, reply, response.headers["Retry-After"])
        return reply

    def _connect(self, timeout: float) -> http.client.HTTPConnection:
        connection = getattr(self._thread, "connection", None)
        if connection is None:
            host, port = self._address.hostname, self._address.port
            if self._tls:
                connection = http.client.HTTPSConnection(host, port, context=self._tls)
            else:
                connection = http.client.HTTPConnection(host, port)
            self._thread.connection = connection
        connection.timeout = timeout
        if connection.sock:
            connection.sock.settimeout(timeout)
        return connection

    def _hang_up(self):
        self._thread.connection.close()
        self._thread.connection = None


# ---- Reporting outcomes


@dataclass(order=True)
class Report:
    """An outcome for pg_org, and when to send it next."""

    due: float
    number: int
    path: str = field(compare=False)
    fields: dict = field(compare=False)
    record: Optional[dict] = field(compare=False, default=None, repr=False)  # what usage_record needs beside it
    attempts: int = field(compare=False, default=0)
    useless_after: float = field(compare=False, default=math.inf)

    @property
    def has_cost(self) -> bool:
        """Without one it concerns a hold, which expires."""
        return "cost" in self.fields

    def __str__(self):
        cost = f", cost {self.fields['cost']}" if self.has_cost else ""
        return f"{self.path} of request_id {self.fields['request_id']}{cost}"


class Reporter:
    """Sends reports in the background until pg_org has answered. Those it cannot keep are in the log."""

    PAUSES = 0.1, 0.5, 2, 5, 15, 60
    THREADS = 4

    def __init__(self, client: Client, most: int):
        self._client = client
        self._most = most
        self._reports: list = []
        self._numbers = itertools.count()
        self._being_sent = 0
        self._changed = threading.Condition()

    def start(self):
        for _ in range(self.THREADS):
            threading.Thread(target=self._work, name="pg_org report", daemon=True).start()

    def add(self, path: str, fields: dict, record: Optional[dict] = None, useless_after: float = math.inf):
        report = Report(time.monotonic(), next(self._numbers), path, fields, record, useless_after=useless_after)
        most = self._most if report.has_cost else self._most // 2
        with self._changed:
            if len(self._reports) < most:
                heapq.heappush(self._reports, report)
                self._changed.notify_all()
                return
        if report.has_cost:
            log.error("pg_org: lost, because %d reports wait already: %s", most, report)

    def _work(self):
        while True:
            report = self._next()
            again = False
            try:
                again = self._send(report)
            except Exception:
                log.exception("pg_org: lost: %s", report)
            with self._changed:
                self._being_sent -= 1
                if again:
                    heapq.heappush(self._reports, report)
                self._changed.notify_all()

    def _next(self) -> Report:
        with self._changed:
            while not self._reports or self._reports[0].due > time.monotonic():
                self._changed.wait(self._reports[0].due - time.monotonic() if self._reports else None)
            self._being_sent += 1
            return heapq.heappop(self._reports)

    def _send(self, report: Report) -> bool:
        """Whether to send it again."""
        if time.monotonic() > report.useless_after:
            return False
        try:
            self._client.ask(report.path, report.fields)
            return False
        except Refused as no:
            if report.path in ("cancel", "extend") and no.status in (400, 404):  # nothing is held any more
                return False
            if report.path == "settle" and no.status == 404 and report.record:
                report.path, report.fields = "record", {**report.fields, **report.record}
                report.due = time.monotonic()
                return True
            if no.is_final:
                log.error("pg_org: refused with %d: %s: %s", no.status, report, no)
                return False
            problem = no
        except Unanswered as unanswered:
            problem = unanswered
        report.due = time.monotonic() + self.PAUSES[min(report.attempts, len(self.PAUSES) - 1)]
        report.attempts += 1
        if report.attempts == len(self.PAUSES) and report.has_cost:
            log.error("pg_org: not reported yet, will go on trying: %s: %s", report, problem)
        return True

    def finish(self, seconds: float = 5):
        """Send what waits, and log what can't be sent."""
        end = time.monotonic() + seconds
        with self._changed:
            for report in self._reports:
                report.due = 0
            heapq.heapify(self._reports)
            self._changed.notify_all()
            while self._is_worth_waiting() and time.monotonic() < end:
                self._changed.wait(end - time.monotonic())
            for report in self._reports:
                if report.has_cost:
                    log.error("pg_org: lost at the end of the process: %s", report)

    def _is_worth_waiting(self) -> bool:
        return self._being_sent > 0 or any(report.has_cost or not report.attempts for report in self._reports)


# ---- Calls under way


@dataclass
class Call:
    """A call between its grant and its outcome."""

    call_id: str
    request_id: str
    key: str = field(repr=False)
    model: str
    max_cost: Optional[str]
    max_tokens: Optional[int]
    tags: Optional[list]
    end_user: Optional[str]
    mark: str = field(default_factory=lambda: uuid.uuid4().hex, repr=False)  # in the request's metadata
    deadline: float = 0  # when it counts as broken off
    extend_at: float = 0
    answering: bool = False  # the client got a part of the answer
    over: bool = False  # it failed, or the client left; what it cost may still come
    cancelled: bool = False
    costs_of_failures: Dict[Any, Decimal] = field(default_factory=dict)  # by when the attempt began


class Price(NamedTuple):
    """Of a token, in dollars, at most; and how many tokens there can be."""

    of_prompt_token: Decimal
    of_answer_token: Decimal
    max_prompt_tokens: Optional[int] = None
    max_answer_tokens: Optional[int] = None


def _boolean(text: str) -> bool:
    if text.lower() not in ("true", "false", "1", "0"):
        raise ValueError(f"must be true or false: {text!r}")
    return text.lower() in ("true", "1")


# What the environment may set, as PG_ORG_URL and so on.
SETTINGS: Dict[str, Callable[[str], Any]] = {
    "url": str,
    "key": str,
    "fail_open": _boolean,
    "allow_uncounted": _boolean,
    "timeout": float,
    "reserve_seconds": float,
    "hold_seconds": int,
    "default_max_cost": str,
    "default_max_tokens": int,
    "connections": int,
    "retry_queue": int,
    "ca_file": str,
}


class Hook(CustomLogger):
    """The callbacks of LiteLLM's proxy.

    price(model) is the Price of a model, or None if it has no price by tokens; grace is how many seconds LiteLLM has
    to tell what a call cost that broke off.
    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        fail_open: bool = False,
        allow_uncounted: bool = False,
        timeout: float = 15,
        reserve_seconds: float = 20,
        hold_seconds: int = 600,
        default_max_cost: Optional[str] = None,
        default_max_tokens: int = 4096,
        connections: int = 32,
        retry_queue: int = 100_000,
        ca_file: Optional[str] = None,
        price: Optional[Callable[[str], Optional[Price]]] = None,
        grace: float = 60,
    ):
        super().__init__()
        if not 1 <= hold_seconds <= ONE_DAY:
            raise ValueError(f"a hold lasts between 1 and {ONE_DAY} seconds")
        self._client = Client(url, key, timeout, ca_file)
        self._fail_open = fail_open
        self._allow_uncounted = allow_uncounted
        self._reserve_seconds = reserve_seconds
        self._hold_seconds = hold_seconds
        self._default_max_cost = None if default_max_cost is None else _money(default_max_cost)
        self._default_max_tokens = default_max_tokens
        self._price = price or price_in_litellm
        self._grace = grace
        self._askers = concurrent.futures.ThreadPoolExecutor(connections, "pg_org reserve")
        self._reporter = Reporter(self._client, retry_queue)
        self._calls: Dict[str, Call] = {}
        self._lock = threading.Lock()
        self._started = False

    @classmethod
    def from_environment(cls) -> Hook:
        if not os.environ.get("PG_ORG_URL") or not os.environ.get("PG_ORG_KEY"):
            raise ValueError("PG_ORG_URL and PG_ORG_KEY must be set: pg_org's address, and a key with permission usage")
        texts = {name: os.environ.get(f"PG_ORG_{name.upper()}") for name in SETTINGS}
        return cls(**{name: SETTINGS[name](text.strip()) for name, text in texts.items() if text})

    def finish(self, seconds: float = 5):
        """Send what is not reported yet, as at the end of the process."""
        self._give_up([call for call in self._all_calls() if call.over])
        self._reporter.finish(seconds)

    # ---- LiteLLM's hooks

    async def async_pre_call_hook(self, user_api_key_dict, cache, data, call_type):
        if _is_free(call_type):
            return data
        if call_type in UNCOUNTED or not data.get("model") or data.get("background") is True:
            if self._allow_uncounted:
                return data
            raise _error(403, "This kind of call is closed, because pg_org can't count what it costs.")
        if not isinstance(data["model"], str) or "," in data["model"] or any(data.get(name) for name in OTHER_MODELS):
            raise _error(400, "Ask for one model, without fallbacks: pg_org checks no others.", param="model")
        call_id = data.get("litellm_call_id")
        if not call_id:
            raise _error(403, "LiteLLM gives this call no id, so pg_org can't count it.")
        key = _secret_of_caller(user_api_key_dict, data)
        end_user = getattr(user_api_key_dict, "end_user_id", None) or _text(data.get("user"))
        until = time.monotonic() + self._reserve_seconds
        asking = self._askers.submit(self._reserve, call_id, key, end_user, data, call_type, until)
        try:
            data["model"] = await asyncio.wrap_future(asking)
        except asyncio.CancelledError:
            if not asking.cancel():  # it is being asked, and may be granted
                asking.add_done_callback(lambda asked: asked.exception() or self._cancel(call_id))
            raise
        return data

    async def async_post_call_streaming_iterator_hook(self, user_api_key_dict, response, request_data):
        call = self._call_of_request(request_data)
        try:
            async for chunk in response:
                if call:
                    self._go_on(call)
                yield chunk
        except (asyncio.CancelledError, GeneratorExit):
            if call:
                self._expect_cost_soon(call)
            raise

    async def async_log_success_event(self, kwargs, response_obj, start_time, end_time):
        if _is_free(kwargs.get("call_type")):
            return  # clients choose call ids, and might choose that of a call that costs something
        cost, usage = _cost(kwargs), _usage(response_obj)
        if cost is None and not usage and kwargs.get("stream"):
            return  # a part of a stream
        call = self._take(kwargs.get("litellm_call_id"))
        if not call:
            return
        if cost is None:
            cost = Decimal(call.max_cost or 0)
            log.warning("pg_org: LiteLLM has no cost of request_id %s: %s is settled", call.request_id, cost)
        self._settle(call, cost + sum(call.costs_of_failures.values()), usage)

    async def async_log_failure_event(self, kwargs, response_obj, start_time, end_time):
        # LiteLLM may try again, with the same model or another: only what has been spent matters here.
        cost = _cost(kwargs)
        call = self._calls.get(kwargs.get("litellm_call_id"))
        if call and cost:
            call.costs_of_failures[start_time] = cost

    async def async_post_call_failure_hook(
        self, request_data, original_exception, user_api_key_dict, traceback_str=None
    ):
        call = self._call_of_request(request_data)
        if not call or call.over:
            return
        if call.costs_of_failures or call.answering or _was_given_up(original_exception):
            self._expect_cost_soon(call)
        else:
            self._cancel(call.call_id)

    # ---- Before the call

    def _reserve(self, call_id, key, end_user, data, call_type, until) -> str:
        """Enter the call into those under way, and return the model to call. Runs in a thread."""
        max_cost, max_tokens = self._most(data, call_type)
        request_id = _request_id(call_id, data)
        call = Call(call_id, request_id, key, data["model"], max_cost, max_tokens, _tags(data), end_user)
        self._keep(call)
        _metadata(data)[-1]["pg_org_mark"] = call.mark
        try:
            return self._ask_until_answered(call, until)
        except Refused as no:
            if no.concerns_the_call:
                self._take(call_id)
                raise _error(no.status, str(no), no.error.get("type"), no.error.get("param"), no.retry_after) from None
            log.error("pg_org: refused PG_ORG_KEY or PG_ORG_URL with %d: %s", no.status, no)
            give_up = self._take
        except Unanswered as problem:
            log.error("pg_org: no answer to reserve of request_id %s: %s", request_id, problem)
            give_up = self._cancel  # it may have been granted
        if self._fail_open:
            log.warning("pg_org: call without a grant, request_id %s", request_id)
            return call.model
        give_up(call_id)
        raise _error(503, "The limits of this call can't be checked now.", "service_unavailable", retry_after="1")

    def _keep(self, call: Call):
        with self._lock:
            other = self._calls.get(call.call_id)
            if other and not other.cancelled:  # what LiteLLM tells of one could be taken for the other's
                raise _error(409, f"Another call with x-litellm-call-id {call.call_id} is under way, or just over.")
            self._calls[call.call_id] = call
            self._extend(call)
            if not self._started:  # only now, since servers fork after they have loaded their modules
                self._started = True
                atexit.register(self.finish)
                self._reporter.start()
                threading.Thread(target=self._watch, name="pg_org watch", daemon=True).start()

    def _most(self, data, call_type):
        """The most that the call can cost, and the most tokens that it can have."""
        price = self._price(data["model"])
        prompt = [data[name] for name in PROMPT_FIELDS if data.get(name) is not None]
        prompt_tokens = len(json.dumps(prompt, ensure_ascii=False, default=str).encode(errors="replace"))
        answer_tokens = 0
        if "embedding" not in call_type and "rerank" not in call_type:
            asked = _highest(data, "max_completion_tokens", "max_tokens", "max_output_tokens")
            answer_tokens = asked or (price and price.max_answer_tokens) or self._default_max_tokens
            answer_tokens = min(answer_tokens * (_highest(data, "n", "best_of") or 1), MOST_TOKENS)
        if not price:
            return self._default_max_cost, prompt_tokens + answer_tokens
        if price.max_prompt_tokens:
            reads_more = any(data.get(name) for name in EARLIER_PROMPTS)
            prompt_tokens = price.max_prompt_tokens if reads_more else min(prompt_tokens, price.max_prompt_tokens)
        most = prompt_tokens * price.of_prompt_token + answer_tokens * price.of_answer_token
        return _money(most), prompt_tokens + answer_tokens

    def _ask_until_answered(self, call: Call, until: float) -> str:
        fields = {
            "key": call.key,
            "model": call.model,
            "max_cost": call.max_cost,
            "max_tokens": call.max_tokens,
            "request_id": call.request_id,
            "ttl_seconds": self._hold_seconds,
            "tags": call.tags,
            "end_user": call.end_user,
        }
        pauses = itertools.chain((0.1, 0.5), itertools.repeat(2))
        while True:
            try:
                return self._client.ask("reserve", fields, until)["model"]
            except (Unanswered, KeyError) as problem:
                pause = next(pauses)
                if time.monotonic() + pause > until:
                    raise Unanswered(str(problem)) from None
            time.sleep(pause)

    # ---- After the call

    def _call_of_request(self, data) -> Optional[Call]:
        """By its mark: a request that was refused may have the call id of another, and clients can't guess marks."""
        call = self._calls.get(data.get("litellm_call_id"))
        marks = [metadata.get("pg_org_mark") for metadata in _metadata(data)]
        return call if call and call.mark in marks else None

    def _take(self, call_id: Optional[str]) -> Optional[Call]:
        with self._lock:
            return self._calls.pop(call_id, None)

    def _go_on(self, call: Call):
        """Keep the hold of a stream for as long as it runs."""
        call.answering = True
        if time.monotonic() > call.extend_at:
            self._extend(call)
            fields = {"request_id": call.request_id, "ttl_seconds": self._hold_seconds}
            self._reporter.add("extend", fields, useless_after=call.deadline)

    def _extend(self, call: Call):
        now = time.monotonic()
        call.extend_at, call.deadline = now + self._hold_seconds / 2, now + self._hold_seconds

    def _expect_cost_soon(self, call: Call):
        call.over = True
        call.deadline = time.monotonic() + self._grace

    def _cancel(self, call_id: Optional[str]):
        """End the hold. The call is remembered for a while, in case that it has cost something after all."""
        call = self._calls.get(call_id)
        if call and not call.cancelled:
            call.cancelled = True
            self._expect_cost_soon(call)
            useless_after = time.monotonic() + self._hold_seconds
            self._reporter.add("cancel", {"request_id": call.request_id}, useless_after=useless_after)

    def _settle(self, call: Call, cost: Decimal, usage: Optional[dict] = None, failed: Optional[bool] = None):
        fields = {"request_id": call.request_id, "cost": _money(cost), "failed": failed, **(usage or {})}
        record = {"key": call.key, "model": call.model, "tags": call.tags, "end_user": call.end_user}
        self._reporter.add("settle", fields, record)

    def _watch(self):
        while True:
            time.sleep(0.5)
            self._settle_overdue()

    def _settle_overdue(self):
        now = time.monotonic()
        self._give_up([call for call in self._all_calls() if call.deadline < now])

    def _all_calls(self) -> list:
        with self._lock:
            return list(self._calls.values())

    def _give_up(self, calls: list):
        """Stop waiting for success. What nobody has told the cost of may have cost as much as was held."""
        for call in calls:
            with self._lock:
                if self._calls.get(call.call_id) is not call:
                    continue
                del self._calls[call.call_id]
            cost = sum(call.costs_of_failures.values(), Decimal(0))
            if not cost and not call.cancelled:
                cost = Decimal(call.max_cost or 0)
                log.warning("pg_org: LiteLLM told no cost of request_id %s: %s is settled", call.request_id, cost)
            if cost or not call.cancelled:
                self._settle(call, cost, failed=True)


# ---- Reading what LiteLLM hands over


def _is_free(call_type: Optional[str]) -> bool:
    return any(part in (call_type or "") for part in FREE)


def _secret_of_caller(user_api_key_dict, data) -> str:
    """The key that LiteLLM has accepted. It keeps the digest; the secret is in one of the headers."""
    accepted = getattr(user_api_key_dict, "api_key", None)
    if accepted and accepted.startswith("sk-"):
        return accepted
    for value in _raw_headers(data).values():
        secret = str(value).strip()
        if secret[:7].lower() == "bearer ":
            secret = secret[7:].strip()
        if accepted and hashlib.sha256(secret.encode()).hexdigest() == accepted:
            return secret
    raise _error(401, "pg_org needs the key of the caller, as LiteLLM received it.", "auth_error", "key")


def _raw_headers(data) -> dict:
    secrets = data.get("secret_fields") or {}
    headers = secrets.get("raw_headers") if isinstance(secrets, dict) else getattr(secrets, "raw_headers", None)
    return dict(headers or {})


def _request_id(call_id: str, data) -> str:
    """LiteLLM's id of the call. But clients may choose that, and must not get one grant for several calls."""
    request = data.get("proxy_server_request") or {}
    headers = {name.lower() for name in (*_raw_headers(data), *(request.get("headers") or ()))}
    chosen = "x-litellm-call-id" in headers or "litellm_call_id" in (request.get("body") or ())
    if headers and not chosen:
        return call_id
    return f"{call_id.encode()[:200].decode(errors='ignore')}:{uuid.uuid4()}"


def _metadata(data) -> list:
    """That of the request, and LiteLLM's own last, which is another where providers have a field metadata."""
    found = [data[name] for name in ("metadata", "litellm_metadata") if isinstance(data.get(name), dict)]
    if not found:
        data["metadata"] = {}
    return found or [data["metadata"]]


def _tags(data) -> Optional[list]:
    tags = []
    for holder in (data, *_metadata(data)):
        more = holder.get("tags")
        if isinstance(more, list):
            tags += (tag for tag in more if isinstance(tag, str))
    return list(dict.fromkeys(tags)) or None


def _cost(kwargs) -> Optional[Decimal]:
    cost = kwargs.get("response_cost")
    if cost is None:
        cost = (kwargs.get("standard_logging_object") or {}).get("response_cost")
    try:
        cost = Decimal(str(cost))
    except ArithmeticError:
        return None
    return cost if cost.is_finite() and cost >= 0 else None


def _usage(response) -> dict:
    """The tokens, by their names in pg_org."""
    usage = _member(response, "usage")
    details = _member(usage, "prompt_tokens_details", "input_tokens_details")
    tokens = {
        "prompt_tokens": _member(usage, "prompt_tokens", "input_tokens"),
        "completion_tokens": _member(usage, "completion_tokens", "output_tokens"),
        "cache_read_input_tokens": _member(usage, "cache_read_input_tokens") or _member(details, "cached_tokens"),
        "cache_creation_input_tokens": _member(usage, "cache_creation_input_tokens")
        or _member(details, "cache_creation_tokens"),
    }
    return {name: count for name, count in tokens.items() if isinstance(count, int) and count >= 0}


def _member(value, *names):
    for name in names:
        member = value.get(name) if isinstance(value, dict) else getattr(value, name, None)
        if member is not None:
            return member
    return None


def _was_given_up(error: BaseException) -> bool:
    """By a timeout, or because the client left (499): the model may have answered, and nobody listened."""
    if isinstance(error, asyncio.CancelledError):
        return True
    return getattr(error, "status_code", None) in (408, 499, 504) or "Timeout" in type(error).__name__


def _error(status, message, kind=None, param=None, retry_after=None) -> HTTPException:
    error = HTTPException(status, message, {"Retry-After": retry_after} if retry_after else None)
    error.type, error.param = kind or "None", param or "None"  # LiteLLM puts them into its reply
    return error


def _money(amount) -> str:
    return format(round(Decimal(str(amount)), 15).normalize(), "f")


def _count(value) -> Optional[int]:
    return value if isinstance(value, int) and value > 0 else None


def _highest(data, *names) -> Optional[int]:
    return max(filter(None, (_count(data.get(name)) for name in names)), default=None)


def _text(value) -> Optional[str]:
    return value if isinstance(value, str) and value else None


# ---- Prices


def price_in_litellm(model: str) -> Optional[Price]:
    """The highest price of the deployments of that name, in the proxy's configuration and LiteLLM's map of costs."""
    prices = []
    for deployment in _deployments(model):
        price = _price_of(deployment)
        if not price:
            return None
        prices.append(price)

    def most(values):
        values = list(values)
        return None if None in values else max(values)

    return Price(
        max(price.of_prompt_token for price in prices),
        max(price.of_answer_token for price in prices),
        most(price.max_prompt_tokens for price in prices),
        most(price.max_answer_tokens for price in prices),
    )


def _deployments(model: str) -> list:
    """What the proxy's configuration says of each, by the names of LiteLLM's map of costs."""
    try:
        from litellm.proxy.proxy_server import llm_router

        found = llm_router.get_model_list(model_name=model)
    except Exception:  # another LiteLLM, or none: then the model goes by its own name
        found = None
    deployments = []
    for one in found or [{}]:
        parameters, info = one.get("litellm_params") or {}, one.get("model_info") or {}
        name = info.get("base_model") or parameters.get("model") or model
        name = model if "*" in name else name
        own = {**info, **parameters}
        deployments.append({**_in_cost_map(name), **{key: own[key] for key in own if own[key] is not None}})
    return deployments


def _in_cost_map(name: str) -> dict:
    try:
        from litellm import model_cost
    except ImportError:
        return {}
    return model_cost.get(name) or model_cost.get(name.split("/", 1)[-1]) or {}


def _price_of(deployment: dict) -> Optional[Price]:
    if deployment.get("mode", "chat") not in ("chat", "completion", "responses", "embedding"):
        return None

    def highest(*prefixes):
        prices = (value for name, value in deployment.items() if name.startswith(prefixes))
        return max((Decimal(str(price)) for price in prices if isinstance(price, (int, float))), default=None)

    of_prompt = highest("input_cost_per_token", "cache_creation_input_token_cost")
    of_answer = highest("output_cost_per_token", "output_cost_per_reasoning_token")
    if of_prompt is None or of_answer is None:
        return None
    most = (_count(deployment.get(name)) for name in ("max_input_tokens", "max_output_tokens"))
    return Price(of_prompt, of_answer, *most)


def __getattr__(name):
    """The hook of the environment, made when the proxy asks for it."""
    if name == "hook":
        globals()["hook"] = Hook.from_environment()
        return globals()["hook"]
    raise AttributeError(name)
