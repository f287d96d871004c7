"""TLS: the certificate, its renewal, and what is refused without it."""

import contextlib
import signal
import socket
import ssl
import subprocess

import pytest

from certificates import Certificate, trusting, unwary
from ground import PATIENCE, gateway_binary, until


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
    until(lambda: "the old one stays" in gateway.told())
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
