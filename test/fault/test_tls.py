"""TLS: the certificate, its renewal, and what is refused without it."""

import contextlib
import signal
import socket
import ssl
import subprocess
import sys
import time

import pytest

from certificates import Certificate, trusting, unwary
from harness import PATIENCE, gateway_binary, until
from raw import AT_ONCE, LIVENESS, connect, connect_in_clear, request


@pytest.fixture
def certificate(tmp_path):
    return Certificate(tmp_path, "first")


def get(gateway, context, path="/health/liveliness"):
    """The reply, and the certificate it came with."""
    with socket.create_connection(("127.0.0.1", gateway.port), PATIENCE) as plain:
        with context.wrap_socket(plain, server_hostname="127.0.0.1") as connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n".encode())
            text = b"".join(iter(lambda: connection.recv(1 << 16), b""))
            return text.decode(), connection.getpeercert(binary_form=True)


def tls_gateway(server, make_gateway, *options):
    gateway = make_gateway(server.url("org_gateway"), *options, ready=False)
    until(lambda: "listening on https://" in gateway.told(), what="the gateway")
    return gateway


def test_requests_come_by_tls_and_not_in_clear_text(server, make_gateway, certificate):
    gateway = tls_gateway(server, make_gateway, *certificate.options)
    until(lambda: get(gateway, trusting(certificate), "/health/readiness")[0].startswith("HTTP/1.1 200 "))
    assert "I'm alive!" in get(gateway, trusting(certificate))[0]
    with socket.create_connection(("127.0.0.1", gateway.port), PATIENCE) as connection:
        connection.sendall(b"GET /health/liveliness HTTP/1.1\r\nHost: gateway\r\n\r\n")
        assert b"HTTP" not in connection.recv(1000)


def test_old_versions_of_tls_are_refused(server, make_gateway, certificate):
    gateway = tls_gateway(server, make_gateway, *certificate.options)
    with pytest.raises(OSError):
        get(gateway, unwary(ssl.TLSVersion.TLSv1_1))
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        assert "I'm alive!" in get(gateway, unwary(version))[0]


def test_a_new_certificate_is_taken_on_sighup_and_open_connections_stay(server, make_gateway, certificate):
    gateway = tls_gateway(server, make_gateway, *certificate.options)
    first = get(gateway, unwary())[1]
    with socket.create_connection(("127.0.0.1", gateway.port), PATIENCE) as plain:
        with unwary().wrap_socket(plain) as kept:
            kept.sendall(b"GET / HTTP/1.1\r\nHost: gateway\r\n\r\n")
            assert kept.recv(1 << 16).startswith(b"HTTP/1.1 200 ")
            certificate.make("second")
            gateway.process.send_signal(signal.SIGHUP)
            until(lambda: get(gateway, unwary())[1] != first, what="the new certificate")
            assert "I'm alive!" in get(gateway, trusting(certificate))[0]
            kept.sendall(b"GET /nowhere HTTP/1.1\r\nHost: gateway\r\n\r\n")
            until(lambda: b"HTTP/1.1 404 " in kept.recv(1 << 16))


def test_a_broken_certificate_is_not_taken(server, make_gateway, certificate):
    gateway = tls_gateway(server, make_gateway, *certificate.options)
    first = get(gateway, unwary())[1]
    certificate.cert.write_text("no certificate")
    gateway.process.send_signal(signal.SIGHUP)
    until(lambda: "keeping the old one" in gateway.told())
    assert get(gateway, unwary())[1] == first


@pytest.mark.parametrize("kind, other_kind", [("ec", "rsa"), ("rsa", "ec"), ("ec", "ec"), ("rsa", "rsa")])
def test_a_certificate_with_another_ones_key_is_not_taken(server, make_gateway, tmp_path, kind, other_kind):
    certificate = Certificate(tmp_path / "tls", "first", kind)
    stranger = Certificate(tmp_path / "other", "other", other_kind)
    gateway = tls_gateway(server, make_gateway, *certificate.options)
    first = get(gateway, unwary())[1]
    key = certificate.key.read_bytes()
    certificate.key.write_bytes(stranger.key.read_bytes())
    gateway.process.send_signal(signal.SIGHUP)
    until(lambda: "keeping the old one" in gateway.told())
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        assert get(gateway, unwary(version))[1] == first
    certificate.key.write_bytes(key)
    gateway.process.send_signal(signal.SIGHUP)
    until(lambda: "certificate reloaded" in gateway.told())
    assert get(gateway, unwary())[1] == first


def test_hundreds_who_never_shake_hands_keep_nobody_out(server, make_gateway, certificate):
    gateway = tls_gateway(server, make_gateway, *certificate.options, "--request-timeout=1000")
    with contextlib.ExitStack() as stack:
        silent = [
            stack.enter_context(socket.create_connection(("127.0.0.1", gateway.port), PATIENCE)) for _ in range(300)
        ]
        assert "I'm alive!" in get(gateway, unwary())[0]
        for connection in silent:
            assert connection.recv(1000) == b""


class Tls:
    """Of a client that sends when it likes what its TLS has to say."""

    def __init__(self, connection):
        self.connection = connection
        self.received, self.to_send = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = unwary().wrap_bio(self.received, self.to_send)

    def say(self, action):
        """What it takes the client to do that, or as much of it as it can before it needs a reply."""
        with contextlib.suppress(ssl.SSLWantReadError):
            action(self.tls)
        return self.to_send.read()

    def shake_hands(self):
        while text := self.say(lambda tls: tls.do_handshake()):
            self.connection.sendall(text)
            if self.tls.cipher():
                return
            self.received.write(self.connection.recv(1 << 16))


def client_hello():
    return Tls(None).say(lambda tls: tls.do_handshake())


@pytest.mark.parametrize("length", [1, 5, 100, None], ids=["a byte", "a record's head", "half a hello", "a hello"])
def test_a_handshake_that_is_not_gone_on_with_is_given_up(server, make_gateway, certificate, length):
    options = ["--threads=4", "--request-timeout=4000"]
    gateway = tls_gateway(server, make_gateway, *certificate.options, *options)
    with contextlib.ExitStack() as stack:
        stalled = [stack.enter_context(connect_in_clear(gateway)) for _ in range(50)]
        for connection in stalled:
            connection.sendall(client_hello()[:length])
        assert_let_in_at_once(gateway, 3)
        for connection in stalled:
            with contextlib.suppress(ConnectionResetError):
                while connection.recv(1 << 16):
                    pass


def test_half_a_record_holds_no_worker(server, make_gateway, certificate):
    gateway = tls_gateway(server, make_gateway, *certificate.options, "--threads=4", "--request-timeout=30000")
    with contextlib.ExitStack() as stack:
        halves = [Tls(stack.enter_context(connect_in_clear(gateway))) for _ in range(16)]
        for half in halves:
            half.shake_hands()
            record = half.say(lambda tls: tls.write(LIVENESS))
            half.connection.sendall(record[: len(record) // 2])
            half.rest = record[len(record) // 2 :]
        assert_let_in_at_once(gateway, 5)
        for half in halves:
            half.connection.sendall(half.rest)
            text = b""
            while b"I'm alive!" not in text:
                with contextlib.suppress(ssl.SSLWantReadError):
                    text += half.tls.read(1 << 16)
                    continue
                half.received.write(half.connection.recv(1 << 16))


def test_several_requests_in_one_record_are_all_served(server, make_gateway, certificate):
    gateway = make_gateway(server.url("org_gateway"), *certificate.options, "--threads=2")
    with connect(gateway) as connection:
        last = request("GET /nowhere HTTP/1.1", "Host: gateway", "Connection: close")
        connection.sendall(LIVENESS * 100 + last)
        text = b"".join(iter(lambda: connection.recv(1 << 16), b""))
        assert text.count(b"I'm alive!") == 100 and text.count(b"HTTP/1.1 404 ") == 1


def test_records_of_a_byte_are_read(server, make_gateway, certificate):
    gateway = make_gateway(server.url("org_gateway"), *certificate.options)
    with connect(gateway) as connection:
        for byte in request("GET /health/liveliness HTTP/1.1", "Host: gateway", "Connection: close"):
            connection.sendall(bytes([byte]))
        assert b"I'm alive!" in b"".join(iter(lambda: connection.recv(1 << 16), b""))


def assert_let_in_at_once(gateway, times):
    for _ in range(times):
        start = time.monotonic()
        assert "I'm alive!" in get(gateway, unwary())[0]
        assert time.monotonic() - start < 4 * AT_ONCE  # kept out, it would be for as long as hellos come


# While the processors are busy with other things, one connection may be refused, and the next is not.
def is_let_in(gateway):
    with contextlib.suppress(OSError):
        return "I'm alive!" in get(gateway, unwary())[0]
    return False


# Says the same hello on ever new connections, some of which are open at a time, until it is killed.
REPLAY = """
import collections, socket, sys
port, count, hello = int(sys.argv[1]), int(sys.argv[2]), bytes.fromhex(sys.argv[3])
opened = collections.deque()
while True:
    connection = socket.socket()
    connection.bind(("127.0.0.2", 0))
    try:
        connection.settimeout(1)
        connection.connect(("127.0.0.1", port))
        connection.sendall(hello)
    except OSError:
        pass
    opened.append(connection)
    if len(opened) > count:
        opened.popleft().close()
"""


@pytest.mark.parametrize("kind", ["ec", "large rsa"])
def test_one_who_says_hello_again_and_again_keeps_nobody_out(server, make_gateway, tmp_path, kind):
    certificate = Certificate(tmp_path / "tls", "replayed", kind)
    gateway = tls_gateway(server, make_gateway, *certificate.options)
    command = [sys.executable, "-c", REPLAY, str(gateway.port), "900", client_hello().hex()]
    with subprocess.Popen(command) as attacker:
        try:
            time.sleep(1)
            for _ in range(10):
                until(lambda: is_let_in(gateway), what="an answer beside the hellos")
            assert attacker.poll() is None
        finally:
            attacker.kill()
    assert_let_in_at_once(gateway, 1)


def test_a_slow_client_is_told_by_tls_as_well(server, make_gateway, certificate):
    gateway = tls_gateway(server, make_gateway, *certificate.options, "--request-timeout=1000")
    with socket.create_connection(("127.0.0.1", gateway.port), PATIENCE) as plain:
        with unwary().wrap_socket(plain) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHos")
            text = b"".join(iter(lambda: connection.recv(1 << 16), b""))
            assert text.startswith(b"HTTP/1.1 408 ")


def refusal(*options):
    """The one line that it says before it ends."""
    command = [gateway_binary(), "--admin-port=0", "--port=0", *options]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert ended.returncode == 1
    return ended.stderr


def test_clear_text_on_the_network_must_be_asked_for():
    assert refusal("--host=0.0.0.0") == (
        "pg_org_gateway: --host: is not the loopback, so give --tls-cert and --tls-key, or --insecure-http behind a proxy"
        " that does TLS\n"
    )


def test_files_that_are_no_certificate_are_named_at_start(certificate, tmp_path):
    nowhere = refusal("--tls-cert=/nowhere", f"--tls-key={certificate.key}")
    assert "can't use the certificate in /nowhere" in nowhere
    stranger = Certificate(tmp_path / "other", "other")
    assert "can't use the private key in" in refusal(f"--tls-cert={certificate.cert}", f"--tls-key={stranger.key}")


@pytest.mark.parametrize("kind, other_kind", [("ec", "rsa"), ("rsa", "ec"), ("ec", "ec"), ("rsa", "rsa")])
def test_a_certificate_with_another_ones_key_is_refused_at_start(tmp_path, kind, other_kind):
    certificate = Certificate(tmp_path / "tls", "first", kind)
    stranger = Certificate(tmp_path / "other", "other", other_kind)
    told = refusal(f"--tls-cert={certificate.cert}", f"--tls-key={stranger.key}")
    assert f"can't use the private key in {stranger.key}" in told and told.count("\n") == 1


def test_certificate_and_key_in_place_of_each_other_are_refused_at_start(certificate):
    told = refusal(f"--tls-cert={certificate.key}", f"--tls-key={certificate.cert}")
    assert f"can't use the certificate in {certificate.key}" in told and told.count("\n") == 1
