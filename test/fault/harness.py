"""The harness of the fault tests: servers of PostgreSQL, gateways, clients, and a line between them that can be cut."""

import contextlib
import http.client
import json
import os
import pathlib
import re
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import urllib.parse
import urllib.request

import psycopg2

from certificates import unwary
from serving import free_port

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
ADMIN_KEY = "sk-admin"
DATABASE = "fault"

# How soon all is well again once a fault is over; the promise is 2 s, the rest is for a machine that is busy.
RESUMED = 15
# Longer than anything takes that ends at all.
PATIENCE = 60


def as_server_user():
    """PostgreSQL refuses to run as root: then its processes are those of postgres."""
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"] if os.geteuid() == 0 else []


def pg_config(option):
    command = [os.environ.get("PG_CONFIG", "pg_config"), option]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def until(condition, seconds=PATIENCE, what="what was waited for"):
    """Waits for it; says after how many seconds it came, and what came."""
    start = time.monotonic()
    while True:
        found = condition()
        if found:
            return time.monotonic() - start, found
        assert time.monotonic() - start < seconds, f"{what} did not come within {seconds} s"
        time.sleep(0.02)


class Server:
    """A PostgreSQL server of its own, copied from a running one."""

    def __init__(self, origin, settings=(), standby=False, small_disk=None):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="pg_org_fault.", dir="/tmp"))
        if os.geteuid() == 0:
            shutil.chown(self.directory, "postgres", "postgres")
        self.port = free_port()
        self.settings = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": self.directory,
            "fsync": "off",
            "restart_after_crash": "on",
            **extension_settings(),
            **dict(settings),
        }
        self.under = self.mount(small_disk) if small_disk else []
        self.log = self.directory / "log"
        self.process = None
        self.sessions = threading.local()
        copy = ["pg_basebackup", "-D", self.directory / "cluster", "-c", "fast", "-X", "stream", "--no-sync"]
        self.run(*copy, *(["-R"] if standby else []), "-d", origin)
        self.start()

    def mount(self, size):
        """A disk of that size, which the server alone sees: below its directory, for as long as it runs."""
        disk = self.directory / "disk"
        disk.mkdir()
        mount = f"mount -t tmpfs -o size={size},mode=700,uid=postgres,gid=postgres tmpfs {disk}"
        return ["unshare", "-m", "sh", "-c", f'{mount} && exec "$@"', "sh"]

    def run(self, *command):
        done = subprocess.run(
            [*as_server_user(), *command], cwd="/", stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{command}: {done.stderr}"

    def launch(self):
        """Without waiting for it."""
        options = [word for name, value in self.settings.items() for word in ("-c", f"{name}={value}")]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [*self.under, *as_server_user(), "setpriv", "--pdeathsig", "INT"]
                + ["postgres", "-D", self.directory / "cluster", *options],
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def start(self):
        self.launch()
        until(self.is_up, what=f"the server, whose log is {self.log},")

    def is_up(self):
        """As pg_ctl finds it out, without a connection."""
        assert self.process.poll() is None, self.log.read_text()[-3000:]
        with contextlib.suppress(FileNotFoundError):
            lines = (self.directory / "cluster" / "postmaster.pid").read_text().split()
            return lines[:1] == [str(self.process.pid)] and lines[-1] in ("ready", "standby")

    def stop(self, mode="fast"):
        self.sessions = threading.local()
        signals = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}
        self.process.send_signal(signals[mode])
        self.process.wait(PATIENCE)

    def restart(self, mode="immediate"):
        self.stop(mode)
        self.start()

    def remove(self):
        if self.process.poll() is None:
            self.stop("immediate")
        log = self.log.read_text(errors="replace")
        shutil.rmtree(self.directory)
        assert not re.search(r"terminated by signal (?!9)|PANIC|TRAP", log), log[-5000:]

    def url(self, user="postgres", database=DATABASE, **more):
        """By the socket."""
        named = "".join(f"&{name}={value}" for name, value in more.items())
        return f"postgresql://{user}@/{database}?host={self.directory}&port={self.port}{named}"

    def connect(self, database=DATABASE):
        connection = psycopg2.connect(self.url(database=database))
        connection.autocommit = True
        return connection

    def session(self):
        """The thread's own, as new: a process of the server for each statement would take most of the time."""
        with contextlib.suppress(AttributeError, psycopg2.Error):
            self.sessions.connection.cursor().execute("DISCARD ALL")
            return self.sessions.connection
        self.sessions.connection = self.connect()
        return self.sessions.connection

    def sql(self, *statements, parameters=None):
        """The first value of the last one."""
        cursor = self.session().cursor()
        for statement in statements:
            cursor.execute(statement, parameters)
        return cursor.fetchone()[0] if cursor.description and cursor.rowcount > 0 else None

    def backends(self, condition="true"):
        """Those of gateways."""
        return self.sql(
            "SELECT coalesce(array_agg(pid), '{}') FROM pg_stat_activity"
            f" WHERE application_name = 'pg_org_gateway' AND {condition}"
        )

    def configure(self, **settings):
        """From its next start on."""
        with open(self.directory / "cluster" / "postgresql.auto.conf", "a", encoding="utf-8") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in settings.items())

    def terminate_backends(self):
        """Until they are gone; the gateway may have others by then."""
        pids = self.backends()
        self.sql("SELECT count(pg_terminate_backend(pid)) FROM unnest(%s) AS pid", parameters=[pids])
        until(lambda: not set(pids) & set(self.backends()))


def extension_settings():
    """Where the server that test/with-server started finds the extension."""
    with contextlib.closing(psycopg2.connect("")) as connection:
        cursor = connection.cursor()
        cursor.execute(
            "SELECT name, setting FROM pg_settings WHERE name IN"
            " ('extension_destdir', 'extension_control_path', 'dynamic_library_path')"
        )
        return dict(cursor.fetchall())


def gateway_binary():
    return os.environ.get("PG_ORG_GATEWAY", CHECKOUT / "build" / "gateway" / "pg_org_gateway")


class Gateway:
    """A real one, on a port of its own unless told which."""

    def __init__(self, database_url, *more, port=None, ready=True):
        self.port = port or free_port()
        self.tls = unwary() if any(option.startswith("--tls-cert") for option in more) else None
        self.log = tempfile.TemporaryFile()
        options = dict(
            port=self.port,
            admin_port=0,
            database_url=database_url,
            pool_timeout=3000,
            lock_timeout=500,
            statement_timeout=4000,
            log_level="info",
        )
        named = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", gateway_binary(), *named, *more],
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=self.log,
        )
        if ready:
            until(self.is_ready, what="the gateway")

    def is_ready(self):
        assert self.process.poll() is None, self.told()
        with contextlib.suppress(OSError, http.client.HTTPException):
            return self.ask("GET", "/health/readiness").status == 200

    def is_alive(self):
        return self.process.poll() is None

    def told(self):
        # Without moving the position of the file, at which the gateway writes.
        file = self.log.fileno()
        return os.pread(file, os.fstat(file).st_size, 0).decode()

    def logged(self, *messages):
        """Lines of its log with one of the messages. Those of libpq, which prints what a server says while it stops, are
        no JSON."""
        lines = [json.loads(line) for line in self.told().splitlines() if line.startswith("{")]
        return [line for line in lines if line["message"] in messages]

    def kill(self):
        self.process.kill()
        self.process.wait()

    def connection(self, source="127.0.0.1"):
        more = dict(timeout=PATIENCE, source_address=(source, 0))
        if self.tls:
            return http.client.HTTPSConnection("127.0.0.1", self.port, context=self.tls, **more)
        return http.client.HTTPConnection("127.0.0.1", self.port, **more)

    def ask(self, method, path, body=None, key=ADMIN_KEY, source="127.0.0.1", **headers):
        connection = self.connection(source)
        try:
            start = time.monotonic()
            sent = {name.replace("_", "-"): value for name, value in headers.items()}
            sent["Authorization"] = f"Bearer {key}"
            connection.request(method, path, None if body is None else json.dumps(body), sent)
            response = connection.getresponse()
            text = response.read().decode()
            return Reply(response.status, text, response.headers, time.monotonic() - start)
        finally:
            connection.close()

    def get(self, path, **more):
        return self.ask("GET", path, **more)

    def post(self, path, body, **more):
        return self.ask("POST", path, body, **more)

    def make(self, alias, **more):
        """An organization, whose id is its name."""
        return self.post("/organization/new", dict(organization_id=alias, organization_alias=alias), **more)

    def info(self, organization_id, **more):
        return self.get(f"/organization/info?organization_id={urllib.parse.quote(organization_id)}", **more)


def admin_url(gateway):
    return until(lambda: re.search(r'"admin":"([^"]*)"', gateway.told()))[1][1]


def fetch(url):
    """Status, type and text, of errors as well."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=PATIENCE) as reply:
            return reply.status, reply.headers["Content-Type"], reply.read().decode()
    except urllib.error.HTTPError as reply:
        return reply.code, reply.headers["Content-Type"], reply.read().decode()


def metrics(gateway):
    """Samples, by name and labels as they are written."""
    status, content_type, text = fetch(admin_url(gateway) + "/metrics")
    assert status == 200 and content_type.startswith("text/plain; version=0.0.4")
    samples = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            name, value = line.rsplit(" ", 1)
            assert re.fullmatch(r'[a-z_]+(\{([a-z]+="[^"]*",?)+\})?', name), line
            samples[name] = float(value)
    return samples


@contextlib.contextmanager
def gateways():
    """Makes gateways, which must have survived unless they were stopped or killed."""
    made = []

    def make(database_url, *options, **more):
        made.append(Gateway(database_url, *options, **more))
        return made[-1]

    yield make
    alive = [gateway.is_alive() or gateway.process.returncode in (0, -15, -9) for gateway in made]
    for gateway in made:
        gateway.kill()
        print(gateway.told()[-5000:])  # pytest shows it when the test failed
    assert all(alive)


class Reply:
    def __init__(self, status, text, headers, seconds):
        self.status = status
        self.text = text
        self.headers = headers
        self.seconds = seconds

    @property
    def body(self):
        return json.loads(self.text)

    @property
    def message(self):
        """In whichever envelope."""
        body = self.body
        return body["detail"]["error"] if "detail" in body else body["error"]["message"]

    def __repr__(self):
        return f"{self.status} {self.text} after {self.seconds:.2f} s"


class Answers:
    """Of a request that another thread makes."""

    def __init__(self, function):
        self.result = None
        self.failure = None
        self.thread = threading.Thread(target=self.make, args=[function], daemon=True)
        self.thread.start()

    def make(self, function):
        try:
            self.result = function()
        except Exception as failure:  # pylint: disable=broad-except
            self.failure = failure

    def get(self):
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive(), "no answer"
        if self.failure:
            raise self.failure
        return self.result


def at_once(functions):
    """Their results, all of them under way at the same time."""
    return [answers.get() for answers in [Answers(function) for function in functions]]


def assert_refused(reply, status=503):
    """In so many words, at once, and when to come again."""
    assert reply.status == status, reply
    assert reply.message and "Internal" not in reply.message, reply
    if status == 503:
        assert int(reply.headers["Retry-After"]) >= 1
    return reply


def assert_in_doubt(reply):
    assert_refused(reply)
    assert "may or may not have been done" in reply.message, reply
    return reply


class Line:
    """From the gateway to a server by TCP: may be frozen, so that nothing gets through and nobody is told, or break
    when the server answers a statement that some text was sent with."""

    def __init__(self, server):
        self.target = server.port
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.frozen = False
        self.breaks_after = None
        self.breaking = None
        self.accepted = 0
        self.closed = False
        self.pairs = []
        self.thread = threading.Thread(target=self.carry, daemon=True)
        self.thread.start()

    def url(self, user="org_gateway"):
        return f"postgresql://{user}@127.0.0.1:{self.port}/{DATABASE}?sslmode=disable"

    def carry(self):
        while not self.closed:
            if self.frozen:
                time.sleep(0.02)
                continue
            ends = {end: pair for pair in self.pairs for end in pair}
            for end in select.select([self.listener, *ends], [], [], 0.02)[0]:
                if end is self.listener:
                    self.accepted += 1
                    self.pairs.append((end.accept()[0], socket.create_connection(("127.0.0.1", self.target))))
                elif ends[end] in self.pairs:
                    self.pass_on(end, ends[end])

    def pass_on(self, end, pair):
        client, server = pair
        try:
            data = end.recv(1 << 16)
            if end is client and self.breaks_after and self.breaks_after in data:
                self.breaks_after, self.breaking = None, pair
            if data and not (end is server and self.breaking is pair):
                (server if end is client else client).sendall(data)
                return
        except OSError:
            pass
        self.pairs.remove(pair)
        client.close()
        server.close()

    def close(self):
        self.closed = True
        self.thread.join()
        for end in [self.listener, *(end for pair in self.pairs for end in pair)]:
            end.close()


@contextlib.contextmanager
def on_new_organizations(server, does):
    """Has each organization's insertion do something more."""
    server.sql(
        f"CREATE FUNCTION org.hinder() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$"
        f" BEGIN {does}; RETURN NEW; END$$",
        "CREATE TRIGGER hinder BEFORE INSERT ON org.organization FOR EACH ROW EXECUTE FUNCTION org.hinder()",
    )
    try:
        yield
    finally:
        server.sql("SET lock_timeout = '30s'", "DROP FUNCTION org.hinder CASCADE")


def slow_writes(server, seconds):
    return on_new_organizations(server, f"PERFORM pg_sleep({seconds})")


@contextlib.contextmanager
def locked(server, organization_id):
    """Nobody can change it."""
    with contextlib.closing(server.connect()) as holder:
        holder.autocommit = False
        holder.cursor().execute("SELECT FROM org.organization WHERE organization_id = %s FOR UPDATE", [organization_id])
        yield holder
