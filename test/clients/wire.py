"""What the replays of clients share: sending a request, and decoding its reply as strictly as the client does."""

import dataclasses
import datetime
import http.client
import json
import types
import typing
import urllib.parse
import uuid


@dataclasses.dataclass(frozen=True)
class Reply:
    """One answer, and the request that it answers, to show when it is not what the client needs."""

    request: str
    status: int
    headers: http.client.HTTPMessage
    text: str

    def __str__(self):
        return f"\n{self.request}\n-> {self.status} {self.text[:4000]}"

    def ok(self):
        """The decoded body of a 200: no client asked for less."""
        __tracebackhide__ = True
        assert self.status == 200, str(self)
        assert self.headers.get_content_type() == "application/json", str(self)
        return json.loads(self.text)

    def into(self, kind):
        """The body of a 200 as Go decodes it into that type."""
        __tracebackhide__ = True
        return self._decoded(kind, complete=False)

    def complete(self, kind):
        """The same, for clients that fail where a field is missing."""
        __tracebackhide__ = True
        return self._decoded(kind, complete=True)

    def refused(self, status, *texts):
        """The body of a refusal, which has each of these texts somewhere."""
        __tracebackhide__ = True
        assert self.status == status, str(self)
        for text in texts:
            assert text in self.text, f"{text!r} is missing: {self}"
        return json.loads(self.text)

    def _decoded(self, kind, complete):
        __tracebackhide__ = True
        body = self.ok()
        try:
            return decode(kind, body, complete=complete)
        except Undecodable as problem:
            raise AssertionError(f"{problem}: {self}") from None


class Client:
    """Sends each request on a connection of its own, with the same headers."""

    def __init__(self, url, **headers):
        self.address = urllib.parse.urlsplit(url).netloc
        self.headers = {"Content-Type": "application/json"} | headers

    def send(self, method, path, body=None, **query):
        if query:
            path += "?" + urllib.parse.urlencode(query)
        data = None if body is None else json.dumps(body)
        connection = http.client.HTTPConnection(self.address, timeout=30)
        try:
            connection.request(method, path, data, self.headers)
            response = connection.getresponse()
            return Reply(f"{method} {path} {data or ''}", response.status, response.headers, response.read().decode())
        finally:
            connection.close()

    def get(self, path, **query):
        return self.send("GET", path, **query)

    def post(self, path, body):
        return self.send("POST", path, body)

    def patch(self, path, body):
        return self.send("PATCH", path, body)

    def delete(self, path, body):
        return self.send("DELETE", path, body)


class Undecodable(Exception):
    pass


def decode(kind, value, where="the reply", complete=False):
    """A value of that type.  As in Go, null and what is missing become the type's zero value, and what the type does
    not name is skipped; anything of another type is an error, also 1.0 for an int."""
    if kind is typing.Any:
        return value
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        (kind,) = (one for one in typing.get_args(kind) if one is not type(None))
        return None if value is None else decode(kind, value, where, complete)
    if value is None:
        return _zero(kind)
    if dataclasses.is_dataclass(kind):
        return _decode_fields(kind, _checked(value, dict, where), where, complete)
    if typing.get_origin(kind) is list:
        (element,) = typing.get_args(kind)
        items = enumerate(_checked(value, list, where))
        return [decode(element, one, f"{where}[{index}]", complete) for index, one in items]
    if typing.get_origin(kind) is dict:
        element = typing.get_args(kind)[1]
        items = _checked(value, dict, where).items()
        return {name: decode(element, one, f"{where}.{name}", complete) for name, one in items}
    if kind is datetime.datetime:
        return _decode_time(_checked(value, str, where), where)
    if kind is float:
        return float(value if type(value) is int else _checked(value, float, where))
    return _checked(value, kind, where)


def _decode_fields(kind, value, where, complete):
    hints = typing.get_type_hints(kind)
    if complete and (missing := hints.keys() - value.keys()):
        raise Undecodable(f"{where} has no {sorted(missing)}")
    return kind(**{name: decode(hints[name], value.get(name), f"{where}.{name}", complete) for name in hints})


def _checked(value, kind, where):
    if type(value) is not kind:  # a bool is no int
        raise Undecodable(f"{where} is {json.dumps(value)[:100]}, not of type {kind.__name__}")
    return value


def _decode_time(value, where):
    try:
        return datetime.datetime.strptime(value, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=datetime.timezone.utc)
    except ValueError:
        raise Undecodable(f"{where} is {value!r}, not a time") from None


def _zero(kind):
    if dataclasses.is_dataclass(kind):
        return kind(**{name: decode(hint, None) for name, hint in typing.get_type_hints(kind).items()})
    if kind is datetime.datetime:
        return datetime.datetime.min
    return (typing.get_origin(kind) or kind)()


def fresh(what):
    """An identifier that no other test uses."""
    return f"{what}-{uuid.uuid4()}"


def fresh_email():
    return f"{uuid.uuid4()}@example.com"


def only(items):
    assert len(items) == 1, items
    return items[0]


def by(field, items):
    """The items by one of their fields."""
    return {item[field]: item for item in items}


def assert_reads_back(read, plan):
    """Each field as it was sent: Terraform, for one, reports whatever reads back in another way."""
    changed = {name: read.get(name) for name, value in plan.items() if read.get(name) != value}
    assert not changed, f"sent {({name: plan[name] for name in changed})}, read {changed}"


def assert_kept(reply, name, value):
    """A limit that is sent is one that holds, and reads back."""
    body = reply.ok()
    assert body.get(name) == value, f"{name} is lost: {reply}"
