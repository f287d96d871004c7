"""Signing in with id tokens of a small issuer: POST /sso/key of a gateway of its own."""

import base64
import contextlib
import http.server
import json
import os
import re
import subprocess
import time
import urllib.error
import urllib.request
import uuid

import pytest

from conftest import ADMIN_KEY, CHECKOUT, sql
from nginx import wait_for
from serving import serving

ISSUER = "https://issuer.example.com"


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Key:
    """Of RSA, made by openssl."""

    def __init__(self, directory, kid):
        self.kid = kid
        self.path = directory / f"{kid}.pem"
        self.openssl("genrsa", "-out", self.path, "2048")

    def openssl(self, *command, **options):
        return subprocess.run(["openssl", *command], check=True, capture_output=True, **options).stdout

    def jwk(self):
        modulus = self.openssl("rsa", "-in", self.path, "-noout", "-modulus").decode().strip().removeprefix("Modulus=")
        return {"kty": "RSA", "kid": self.kid, "use": "sig", "n": base64url(bytes.fromhex(modulus)), "e": "AQAB"}

    def token(self, sub, **claims):
        header = {"alg": "RS256", "kid": self.kid}
        claims = {"iss": ISSUER, "aud": "pg_org", "sub": sub, "exp": int(time.time()) + 600, **claims}
        text = ".".join(base64url(json.dumps(part).encode()) for part in (header, claims))
        return f"{text}.{base64url(self.openssl('dgst', '-sha256', '-sign', self.path, input=text.encode()))}"


class Issuer:
    """Serves its JWKS, and counts how often it was asked for."""

    def __init__(self, *keys):
        self.keys = list(keys)
        self.asked = 0

    @contextlib.contextmanager
    def running(self):
        issuer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                issuer.asked += 1
                self.send_response(200)
                self.end_headers()
                self.wfile.write(json.dumps({"keys": [key.jwk() for key in issuer.keys]}).encode())

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.jwks = f"http://127.0.0.1:{server.server_port}/jwks"
        with serving(server):
            yield self


class Gateway:
    def __init__(self, directory, **options):
        self.log = directory / "gateway.log"
        options = {
            "port": 0,
            "admin_port": 0,
            "database_url": f"postgresql://org_gateway@/{os.environ['PGDATABASE']}?host={os.environ['PGHOST']}",
            **options,
        }
        command = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
        with open(self.log, "w") as log:
            binary = CHECKOUT / "build" / "gateway" / "pg_org_gateway"
            self.process = subprocess.Popen([binary, *command], stdout=log, stderr=log)

    def url(self):
        assert self.process.poll() is None, self.log.read_text()
        found = re.search(r"listening on (http://127\.0\.0\.1:\d+)", self.log.read_text())
        return found and found[1]

    def ask(self, path, fields=None, key=None):
        """Status and body."""
        headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})}
        body = None if fields is None else json.dumps(fields).encode()
        try:
            with urllib.request.urlopen(urllib.request.Request(self.url() + path, body, headers), timeout=30) as reply:
                return reply.status, json.load(reply)
        except urllib.error.HTTPError as reply:
            return reply.code, json.load(reply)

    def is_ready(self):
        with contextlib.suppress(OSError):
            return self.url() and self.ask("/health/readiness")[0] == 200

    def sign_in(self, token):
        return self.ask("/sso/key", {"id_token": token})


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    return tmp_path_factory.mktemp("sso")


@pytest.fixture(scope="module")
def keys(directory):
    return Key(directory, "old"), Key(directory, "new")


@pytest.fixture
def start(tmp_path):
    """Starts gateways, and stops them."""
    with contextlib.ExitStack() as stack:

        def start_one(**options):
            gateway = Gateway(tmp_path, **options)
            stack.callback(gateway.process.wait, 30)
            stack.callback(gateway.process.terminate)
            wait_for(gateway.is_ready, "the gateway is not ready")
            return gateway

        yield start_one


def options(jwks, directory, key=ADMIN_KEY):
    (directory / "sso_key").write_text(key + "\n")
    return dict(oidc_issuer=ISSUER, oidc_audience="pg_org", oidc_jwks=jwks, sso_key_file=directory / "sso_key")


@pytest.fixture
def issuer(keys):
    with Issuer(keys[0]).running() as issuer:
        yield issuer


@pytest.fixture
def person(gateway):
    """A user whom the issuer knows."""
    name = str(uuid.uuid4())
    gateway.post("/user/new", {"user_id": name, "sso_user_id": f"of-{name}", "auto_create_key": False})
    return name


def test_an_id_token_becomes_a_key_of_its_user(issuer, keys, person, start, tmp_path):
    gateway = start(**options(issuer.jwks, tmp_path), sso_key_duration="2h")
    status, made = gateway.ask("/sso/key", {"id_token": keys[0].token(f"of-{person}"), "user_id": "default_user_id"})
    assert (status, made["user_id"]) == (200, person)
    assert sql(f"SELECT expires - created_at FROM org.api_key WHERE key_id = '{made['token_id']}'") == [["02:00:00"]]
    assert gateway.ask(f"/user/info?user_id={person}", key=made["key"])[0] == 200
    assert gateway.ask("/user/new", {}, key=made["key"])[0] == 401
    assert made["key"] not in gateway.log.read_text()
    assert ADMIN_KEY not in gateway.log.read_text()


def test_a_verified_address_finds_a_user_once(gateway, issuer, keys, start, tmp_path):
    name = str(uuid.uuid4())
    address = f"{name}@example.com"
    gateway.post("/user/new", {"user_id": name, "user_email": address, "auto_create_key": False})
    signing = start(**options(issuer.jwks, tmp_path))
    assert signing.sign_in(keys[0].token(f"of-{name}", email=address))[0] == 404
    assert signing.sign_in(keys[0].token(f"of-{name}", email=address, email_verified=True))[1]["user_id"] == name
    assert signing.sign_in(keys[0].token(f"of-{name}"))[1]["user_id"] == name
    assert signing.sign_in(keys[0].token("of-another", email=address, email_verified=True))[0] == 404


def test_wrong_tokens_are_refused(issuer, keys, person, start, tmp_path):
    gateway = start(**options(issuer.jwks, tmp_path))
    sub = f"of-{person}"
    stranger = Key(tmp_path, "old")
    for token in (
        keys[0].token(sub, aud="another"),
        keys[0].token(sub, iss="https://another"),
        keys[0].token(sub, exp=int(time.time()) - 600),
        keys[0].token(sub).rpartition(".")[0] + ".",
        keys[1].token(sub),
        stranger.token(sub),
        "garbage",
        "",
        "a" * 100_000,
        "\0.\0.\0",
    ):
        status, body = gateway.sign_in(token)
        assert status in (401, 422), token
        assert token not in json.dumps(body) or not token
    for fields in {}, {"id_token": None}, {"id_token": 5}, {"id_token": [keys[0].token(sub)]}:
        assert gateway.ask("/sso/key", fields)[0] == 422
    assert gateway.ask("/sso/key", {"sso_user_id": sub})[0] == 422
    assert gateway.sign_in(keys[0].token(sub))[0] == 200


def test_new_keys_of_the_issuer_are_read_from_its_url(issuer, keys, person, start, tmp_path):
    gateway = start(**options(issuer.jwks, tmp_path))
    issuer.keys = [keys[1]]
    assert gateway.sign_in(keys[1].token(f"of-{person}"))[0] == 200
    assert gateway.sign_in(keys[0].token(f"of-{person}"))[0] == 401
    for _ in range(5):
        gateway.sign_in(keys[0].token(f"of-{person}"))
    assert issuer.asked < 5  # unknown keys do not make it ask each time


def test_keys_from_a_file_that_comes_late(keys, person, start, tmp_path):
    gateway = start(**options(tmp_path / "jwks.json", tmp_path))
    assert gateway.sign_in(keys[0].token(f"of-{person}"))[0] == 503
    (tmp_path / "jwks.json").write_text(json.dumps({"keys": [keys[0].jwk()]}))
    wait_for(lambda: gateway.sign_in(keys[0].token(f"of-{person}"))[0] == 200, "the file is not read")
    wait_for(lambda: "the issuer's keys are not read" in gateway.log.read_text(), "the log does not say why")


@pytest.mark.parametrize("key", ["sk-unknown", "member"])
def test_a_bad_key_of_the_gateway_is_no_fault_of_the_client(gateway, issuer, keys, person, start, tmp_path, key):
    own = gateway.make_key(user_id=person) if key == "member" else key
    signing = start(**options(issuer.jwks, tmp_path, own))
    assert signing.sign_in(keys[0].token(f"of-{person}"))[0] == 503
    wait_for(lambda: "the database refuses --sso-key" in signing.log.read_text(), "the log does not say why")


def test_without_an_issuer_nobody_signs_in(keys, person, start):
    assert start().sign_in(keys[0].token(f"of-{person}"))[0] == 404
