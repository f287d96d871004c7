"""Receivers of webhooks that are slow, endless or wrong: each holds up its own organization, and nothing else."""

import contextlib
import json
import re
import socket
import threading
import time

import pytest

from harness import ADMIN_KEY, until

TIMEOUT = 10  # seconds that a post may take
PATH = "/hook-of-secret-path?token=secret-query"
TAKEN = b"HTTP/1.1 204 No Content\r\n\r\n"


class Post:
    def __init__(self, event):
        self.event = event
        self.organization = event["organization_id"]
        self.kind = event["kind"]
        self.begin = time.monotonic()
        self.end = None

    @property
    def seconds(self):
        return self.end - self.begin


class Receiver:
    """Hands each post to `react`, with its connection, and keeps when it came and how long it was held."""

    def __init__(self, react=lambda post, connection: connection.sendall(TAKEN)):
        self.react = react
        self.posts = []
        self.connections = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection = self.listener.accept()[0]
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self.serve, args=[connection], daemon=True).start()

    def serve(self, connection):
        with connection, connection.makefile("rb") as stream:
            while stream.readline().startswith(b"POST "):
                size = 0
                while (line := stream.readline()) != b"\r\n":
                    name, _, value = line.partition(b":")
                    size = int(value) if name.lower() == b"content-length" else size
                post = Post(json.loads(stream.read(size)))
                self.posts.append(post)
                try:
                    self.react(post, connection)
                except OSError:
                    return
                finally:
                    post.end = post.end or time.monotonic()

    def of(self, organization, ended=False):
        return [post for post in list(self.posts) if post.organization == organization and (post.end or not ended)]

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)  # or accept() would go on
        self.listener.close()


def drip(connection, text):
    """A byte in each half second, until nobody is there."""
    while True:
        for byte in text:
            connection.sendall(bytes([byte]))
            time.sleep(0.5)


def pour(connection, text):
    while True:
        connection.sendall(text * 1000)


@pytest.fixture
def receiver(server):
    server.sql("DELETE FROM org.event")
    made = Receiver()
    yield made
    with contextlib.suppress(OSError):
        made.close()
    server.sql("DELETE FROM org.event")


@pytest.fixture
def make_deliverer(server, receiver, make_gateway):
    def make(*more):
        url = f"--webhook-url=http://127.0.0.1:{receiver.port}{PATH}"
        return make_gateway(
            server.url("org_gateway"),
            url,
            "--webhook-secret=s",
            f"--webhook-key={ADMIN_KEY}",
            "--log-level=debug",
            *more,
        )

    return make


@pytest.fixture
def deliverer(make_deliverer):
    return make_deliverer()


def retry_now(server, which="attempts > 0"):
    """As if the time until the next attempt were over."""
    server.sql(f"UPDATE org.event SET next_attempt_at = now() WHERE delivered_at IS NULL AND {which}")


def undelivered(server):
    return server.sql("SELECT count(*) FROM org.event WHERE delivered_at IS NULL")


def megabytes(gateway, which="VmRSS"):
    with open(f"/proc/{gateway.process.pid}/status", encoding="ascii") as status:
        return int(re.search(which + r":\s+(\d+) kB", status.read())[1]) / 1024


ENDLESS = {
    "headers": lambda post, connection: (
        connection.sendall(b"HTTP/1.1 200 OK\r\n"),
        pour(connection, b"X-More: and more and more and more and more\r\n"),
    ),
    "line": lambda post, connection: (connection.sendall(b"HTTP/1.1 200 OK\r\nX-Long: "), pour(connection, b"long")),
    "provisional": lambda post, connection: pour(connection, b"HTTP/1.1 100 Continue\r\n\r\n"),
    "garbage": lambda post, connection: pour(connection, b"\0"),
}


@pytest.mark.parametrize("what", ENDLESS)
def test_endless_headers(server, receiver, deliverer, what):
    before = megabytes(deliverer)
    receiver.react = ENDLESS[what]
    deliverer.make(f"endless {what}")
    until(lambda: receiver.of(f"endless {what}", ended=True), what="the post's end")
    assert receiver.posts[0].seconds < TIMEOUT / 2
    until(lambda: "event not taken" in deliverer.told(), what="a word in the log")
    grown = megabytes(deliverer, "VmHWM") - before
    print(f"grew by {grown:.1f} MB")
    assert grown < 15
    receiver.react = lambda post, connection: connection.sendall(TAKEN)
    retry_now(server)
    until(lambda: not undelivered(server), what="the event again")
    assert [post.event for post in receiver.posts] == [receiver.posts[0].event] * 2


FRAMINGS = [b"Content-Length: 1000000000000", b"Transfer-Encoding: chunked", b"X-Until: closed"]


@pytest.mark.parametrize("framing", FRAMINGS, ids=["length", "chunks", "neither"])
def test_endless_body_is_not_needed(server, receiver, deliverer, framing):
    def react(_, connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n")
        pour(connection, b"64\r\n" + b"x" * 100 + b"\r\n")

    before = megabytes(deliverer)
    receiver.react = react
    deliverer.make(f"endless body {framing.decode()}")
    until(lambda: not undelivered(server), TIMEOUT / 2, "the delivery")
    assert megabytes(deliverer, "VmHWM") - before < 15
    assert len(receiver.posts) == 1


SLOW = {
    "silent": lambda connection: connection.recv(1),
    "status": lambda connection: drip(connection, b"HTTP/1.1 200 OK" + b" " * 1000),
    "headers": lambda connection: (connection.sendall(b"HTTP/1.1 200 OK\r\n"), drip(connection, b"X-More: of it\r\n")),
}


@pytest.mark.parametrize("what", SLOW)
def test_slow_receiver_of_one_organization(server, receiver, deliverer, what):
    def react(post, connection):
        if post.organization.startswith("slow"):
            SLOW[what](connection)
        else:
            connection.sendall(TAKEN)

    receiver.react = react
    slow, prompt = f"slow {what}", f"prompt {what}"
    deliverer.make(slow)
    until(lambda: receiver.of(slow), what="the slow post")
    for number in range(5):
        start = time.monotonic()
        deliverer.make(f"{prompt} {number}")
        until(lambda: receiver.of(f"{prompt} {number}"))  # pylint: disable=cell-var-from-loop
        assert time.monotonic() - start < TIMEOUT / 2
    assert not receiver.of(slow, ended=True), "it is still under way"
    until(lambda: receiver.of(slow, ended=True), what="the slow post's end")
    assert TIMEOUT - 1 < receiver.of(slow)[0].seconds < TIMEOUT * 1.5
    until(lambda: "event not taken" in deliverer.told(), what="a word in the log")
    assert undelivered(server) == 1


def test_one_post_of_an_organization_at_a_time(server, receiver, make_deliverer):
    """From two gateways with several deliverers each, while some posts fail."""
    organizations = [f"ordered {number}" for number in range(6)]
    story = ["organization.created"] + ["organization.blocked", "organization.unblocked"] * 4
    refused = set()

    def react(post, connection):
        time.sleep(0.1)
        if post.kind != "organization.blocked" or post.organization in refused:
            return connection.sendall(TAKEN)
        refused.add(post.organization)
        connection.sendall(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")
        post.end = time.monotonic()
        retry_now(server, f"event_id = {post.event['event_id']}")

    receiver.react = react
    gateways = [make_deliverer(), make_deliverer()]
    for organization in organizations:
        gateways[0].make(organization)
        for kind in story[1:]:
            path = "/organization/" + kind.removeprefix("organization.").removesuffix("ed")
            assert gateways[1].post(path, dict(organization_id=organization)).status == 200
    until(lambda: not undelivered(server), what="the delivery of all")
    for organization in organizations:
        posts = receiver.of(organization)
        assert [post.kind for post in posts] == story[:2] + story[1:], "the refused one twice"
        for earlier, later in zip(posts, posts[1:]):
            assert earlier.end <= later.begin
    posts = list(receiver.posts)
    most = max(sum(post.begin <= other.begin < post.end for post in posts) for other in posts)
    print(f"{most} posts at once over {receiver.connections} connections")
    assert 2 <= most <= 8
    assert receiver.connections <= 8, "connections are kept"


def test_stop_waits_for_posts_under_way(server, receiver, deliverer):
    def react(_, connection):
        time.sleep(2)
        connection.sendall(TAKEN)

    receiver.react = react
    for number in range(3):
        deliverer.make(f"stop {number}")
    until(lambda: len(receiver.posts) == 3)
    deliverer.process.terminate()
    assert deliverer.process.wait(TIMEOUT) == 0
    assert undelivered(server) == 0


def test_extension_without_the_functions(server, make_deliverer):
    function = server.sql("SELECT 'event_claim'::regproc::regprocedure::text")
    server.sql(f"ALTER EXTENSION pg_org DROP FUNCTION {function}")
    deliverer = make_deliverer()
    deliverer.make("without the functions")
    until(lambda: "extension pg_org has no function event_claim" in deliverer.told(), what="a word in the log")
    server.sql(f"ALTER EXTENSION pg_org ADD FUNCTION {function}")
    until(lambda: not undelivered(server), what="the delivery")


def test_log_has_no_more_of_the_url_than_its_origin(receiver, make_deliverer):
    gateways = [make_deliverer(), make_deliverer("--log-format=text")]
    receiver.close()
    gateways[0].make("unheard of")
    until(lambda: any("event not taken" in gateway.told() for gateway in gateways), what="a word in the log")
    for gateway in gateways:
        assert f"http://127.0.0.1:{receiver.port}" in gateway.told()
        assert "secret-path" not in gateway.told() and "secret-query" not in gateway.told()
