"""Ask pg_org before each call of a model, and report afterwards what the call cost.

README.md beside this package says how to use it. It needs nothing but Python 3.9.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import logging
import os
import ssl
import threading
import time
import urllib.parse
import uuid
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Optional

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from . import types

__all__ = ["Call", "Client", "NotSent", "Refused", "Unanswered", "new_request_id"]

log = logging.getLogger("pg_org")

CALL_FIELDS = "key", "token_id", "model", "tags", "end_user"  # of a reservation, which usage_record takes too


class Refused(Exception):
    """pg_org's answer is no: status, JSON and Retry-After, to be passed on to the user as they are."""

    def __init__(self, status: int, body: Any, retry_after: Optional[str]):
        error = body.get("error") if isinstance(body, dict) else None
        super().__init__(error["message"] if isinstance(error, dict) and "message" in error else json.dumps(body))
        self.status = status
        self.body = body
        self.retry_after = retry_after


class Unanswered(Exception):
    """There was no answer, however often pg_org was asked: it may or may not have carried out the request."""


class NotSent(Exception):
    """To be raised in the block of a call if the provider did not receive the request, or charged nothing for it."""


def new_request_id() -> str:
    """Never used twice. It begins with the time, because such ids are looked up faster in a large ledger."""
    return f"{time.time_ns() // 1_000_000:012x}-{uuid.uuid4()}"


class Client:
    """Sends requests to pg_org until there is an answer. Each thread has a connection of its own, which stays open.

    timeout is in seconds and for one answer, pauses are those between the tries. The file unreported keeps the costs
    that could not be reported; each process needs a file of its own.
    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        timeout: float = 15,
        pauses: tuple[float, ...] = (0.1, 0.5, 2, 5),
        unreported: str = "unreported.jsonl",
    ):
        address = urllib.parse.urlsplit(url)
        if address.scheme not in ("http", "https") or not address.hostname:
            raise ValueError(f"the URL of pg_org must begin with http:// or https://: {url!r}")
        if not key.isascii() or not key.isprintable():
            raise ValueError("the key for pg_org must be one line of ASCII")  # http.client's error would contain it
        self._address = address
        self._tls = ssl.create_default_context() if address.scheme == "https" else None
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self._timeout = timeout
        self._pauses = pauses
        self._unreported = unreported
        self._writing = threading.Lock()
        self._thread = threading.local()

    def reserve(self, **fields: Unpack[types.UsageReserveRequest]) -> types.Reservation:
        """Ask whether a call may be made, and hold its cost. Give it a request_id, or a lost answer holds twice."""
        return self._ask("reserve", fields)

    def settle(self, **fields: Unpack[types.UsageSettleRequest]) -> types.SettledCall:
        """Report what a finished call cost."""
        return self._ask("settle", fields)

    def cancel(self, **fields: Unpack[types.UsageCancelRequest]) -> types.CancelledCall:
        """Report that a call was not made."""
        return self._ask("cancel", fields)

    def extend(self, **fields: Unpack[types.UsageExtendRequest]) -> types.ExtendedCall:
        """Keep the hold of a call that lasts longer."""
        return self._ask("extend", fields)

    def record(self, **fields: Unpack[types.UsageRecordRequest]) -> types.RecordedCall:
        """Report a call that was never reserved."""
        return self._ask("record", fields)

    def call(self, *, extended: bool = False, **fields: Unpack[types.UsageReserveRequest]) -> Call:
        """A block around one call of a model. See Call."""
        return Call(self, extended, dict(fields))

    def send_unreported(self) -> int:
        """Report the costs that could not be reported before, and count those that still could not be.

        Call it when the program starts, and now and then: it is never too late. One thread of a process at a time.
        """
        being_sent = f"{self._unreported}.being_sent"
        with self._writing:
            if not os.path.exists(being_sent):  # else an earlier run was interrupted
                with contextlib.suppress(FileNotFoundError):
                    os.rename(self._unreported, being_sent)
        if not os.path.exists(being_sent):
            return 0
        remaining = 0
        with open(being_sent, encoding="utf-8") as file:
            for line in file:
                remaining += not self._report(json.loads(line))
        os.remove(being_sent)
        return remaining

    def _report(self, outcome: dict[str, Any], call: Optional[dict[str, Any]] = None) -> bool:
        """Settle a call, or else keep its cost to be reported later. A call that is known can also be recorded."""
        try:
            try:
                self._ask("settle", outcome)
            except Refused as error:
                if error.status != 404 or call is None:
                    raise
                self._ask("record", {**call, **outcome})  # a failover has forgotten the reservation
        except (Refused, Unanswered) as error:
            log.error("the cost %s of %s is not reported: %s", outcome["cost"], outcome["request_id"], error)
            with self._writing, open(self._unreported, "a", encoding="utf-8") as file:
                print(json.dumps(outcome, default=str), file=file)
            return False
        return True

    def _ask(self, path: str, fields: Any) -> Any:
        """Ask until there is an answer. Repeating is safe, because each call has a request_id."""
        body = json.dumps(fields, default=str).encode()  # str for Decimal: every digit of it
        for pause in (*self._pauses, None):
            try:
                status, reply, retry_after = self._exchange(path, body)
            except (OSError, http.client.HTTPException, ValueError) as error:
                self._hang_up()  # not reached, or cut off: the request may or may not have been carried out
                problem = f"{type(error).__name__}: {error}"
            else:
                if status == 200:
                    return reply
                if status < 500:
                    raise Refused(status, reply, retry_after)
                problem = f"it replied {status}"
            if pause is not None:
                time.sleep(pause)
        raise Unanswered(f"pg_org does not answer to {path}: {problem}")

    def _exchange(self, path: str, body: bytes) -> tuple[int, Any, Optional[str]]:
        connection = self._connection()
        connection.request("POST", f"{self._address.path.rstrip('/')}/usage/{path}", body, self._headers)
        response = connection.getresponse()
        text = response.read()
        reply = json.loads(text, parse_float=Decimal) if response.status < 500 else None
        return response.status, reply, response.headers["Retry-After"]

    def _connection(self) -> http.client.HTTPConnection:
        if getattr(self._thread, "connection", None) is None:
            host, port = self._address.hostname or "", self._address.port
            self._thread.connection = (
                http.client.HTTPSConnection(host, port, timeout=self._timeout, context=self._tls)
                if self._tls
                else http.client.HTTPConnection(host, port, timeout=self._timeout)
            )
        return self._thread.connection

    def _hang_up(self) -> None:
        self._thread.connection.close()
        self._thread.connection = None


class Call:
    """One call of a model: reserved when the block begins, and over when it ends.

    The block settles what the call cost. If it doesn't, because an exception left it, the call is cancelled where that
    is NotSent, and otherwise settled as failed, with max_cost, because it may have cost that much.
    """

    def __init__(self, client: Client, extended: bool, fields: dict[str, Any]):
        if fields.get("max_cost") is None:
            raise ValueError("a call needs max_cost, which is what it costs if it breaks off; 0 for free models")
        self._client = client
        self._extended = extended
        self._fields: dict[str, Any] = {"request_id": new_request_id(), "ttl_seconds": 600, **fields}
        self._over = threading.Event()
        self.request_id: str = self._fields["request_id"]
        self.model: str = fields.get("model") or ""  # after the block has begun, the one to call: aliases are resolved

    def __enter__(self) -> Call:
        self.model = self._client._ask("reserve", self._fields)["model"]
        if self._extended:
            threading.Thread(target=self._extend, name="pg_org extend", daemon=True).start()
        return self

    def settle(self, cost: Decimal | float | str, *, failed: bool = False, **tokens: int) -> None:
        """Report what the call cost; tokens are prompt_tokens and so on. What can't be reported now is kept."""
        if self._over.is_set():
            raise ValueError(f"the call {self.request_id} is settled already")
        self._over.set()
        outcome = {"request_id": self.request_id, "cost": cost, **tokens}
        if failed:
            outcome["failed"] = True
        call = {name: self._fields[name] for name in CALL_FIELDS if name in self._fields}
        self._client._report(outcome, call)

    def __exit__(self, kind: Optional[type[BaseException]], *_: object) -> None:
        if self._over.is_set():
            return
        if kind is None or not issubclass(kind, NotSent):
            self.settle(self._fields["max_cost"], failed=True)
            return
        self._over.set()
        with contextlib.suppress(Refused, Unanswered):  # the hold expires by itself
            self._client.cancel(request_id=self.request_id)

    def _extend(self) -> None:
        """At half of its time, for as long as the block runs, so that a crash frees the room soon."""
        seconds = self._fields["ttl_seconds"]
        while not self._over.wait(seconds / 2):
            try:
                self._client.extend(request_id=self.request_id, ttl_seconds=seconds)
            except Unanswered:
                pass  # the next one may be in time
            except Refused as error:
                log.warning("the hold of request_id %s has ended: %s", self.request_id, error)
                return
