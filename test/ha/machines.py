"""The machines of the recipe in docs/operating.md, each in namespaces of its own: three database servers with etcd,
Patroni and PostgreSQL, two gateways, and haproxy before them. They run the files of deploy/patroni as they stand.

Everything happens in the network, mount and process namespaces that tools/test-ha made, with them it ends.
"""

import contextlib
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import threading
import time

import psycopg2

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
RECIPE = CHECKOUT / "deploy" / "patroni"
LOGS = CHECKOUT / "build" / "log" / "ha"
PRIVATE = pathlib.Path("/srv")  # a tmpfs
DATABASE = "pg_org"
SUPERUSER_PASSWORD = "change-this-1"
GATEWAY_PASSWORD = "change-this-3"
PROXY = ("10.0.0.20", 8080)
DISK = "4g"  # of each database server; takes memory only for what is written
PATIENCE = 90


class Failure(Exception):
    pass


def run(*command, **more):
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False, **more)
    if done.returncode:
        raise Failure(f"{' '.join(map(str, command))}: {done.stderr or done.stdout}")
    return done.stdout


def until(condition, what, seconds=PATIENCE, pause=0.05):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise Failure(f"{what} did not come within {seconds} s")
        time.sleep(pause)
    return found


def ask(method, address, path, body=None, timeout=1.0):
    """Status and JSON, or None and the error."""
    connection = http.client.HTTPConnection(*address, timeout=timeout)
    try:
        connection.request(method, path, None if body is None else json.dumps(body))
        response = connection.getresponse()
        text = response.read().decode()
        try:
            return response.status, json.loads(text)
        except ValueError:
            return response.status, text
    except (OSError, http.client.HTTPException) as error:
        return None, repr(error)
    finally:
        connection.close()


def recipe(name, **values):
    """A file of the recipe, with one machine's values."""
    text = (RECIPE / name).read_text()
    for placeholder, value in values.items():
        text = re.sub(rf"\b{placeholder}\b", value, text)
    return text


def variables(text):
    return dict(line.split("=", 1) for line in text.splitlines() if line and not line.startswith("#"))


def spawn(log, *command, **environment):
    """Without what this program says of databases in its own environment."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    with open(LOGS / f"{log}.log", "ab") as file:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            env={**own, **environment},
            cwd="/",
            start_new_session=True,
        )


def as_user(user):
    return ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups"]


class Node:
    """A database server."""

    def __init__(self, number, below=None):
        self.name = f"db{number}"
        self.address = f"10.0.0.1{number}"
        self.holder = subprocess.Popen(["unshare", "--net", "--mount", "--propagation", "private", "sleep", "infinity"])
        own = os.readlink("/proc/self/ns/net")
        self.network = until(lambda: self.namespace_of(self.holder.pid, other_than=own), "a namespace")
        until(lambda: os.readlink(f"/proc/{self.holder.pid}/exe").endswith("sleep"), "the mount namespace")
        ends = f"to-{self.name} type veth peer name eth0 netns {self.holder.pid}"
        run("ip", "link", "add", *ends.split())
        run("ip", "link", "set", f"to-{self.name}", "master", "bridge", "up")
        self.run("ip", "link", "set", "lo", "up")
        self.run("ip", "address", "add", f"{self.address}/24", "dev", "eth0")
        self.run("ip", "link", "set", "eth0", "up")
        if below:
            directory = pathlib.Path(below, self.name)
            directory.mkdir()
            shutil.chown(directory, "postgres", "postgres")
            self.run("mount", "--bind", directory, "/var/lib/postgresql")
        else:
            self.mount("/var/lib/postgresql", f"size={DISK},mode=750,uid=postgres,gid=postgres")
        self.mount("/var/run/postgresql", "mode=2775,uid=postgres,gid=postgres")
        self.mount("/var/lib/etcd", "mode=700,uid=etcd,gid=etcd")
        self.etcd = self.patroni = None
        self.start_etcd()

    @staticmethod
    def namespace_of(pid, other_than=None):
        with contextlib.suppress(OSError):
            namespace = os.readlink(f"/proc/{pid}/ns/net")
            return namespace if namespace != other_than else None

    def inside(self, *command):
        return ["nsenter", f"--target={self.holder.pid}", "--net", "--mount", "--", *command]

    def run(self, *command):
        return run(*self.inside(*command))

    def mount(self, directory, options):
        self.run("mount", "-t", "tmpfs", "-o", options, "tmpfs", os.path.realpath(directory))

    def start_etcd(self):
        environment = variables(recipe("etcd", NAME=self.name, ADDRESS=self.address))
        self.etcd = spawn(f"etcd-{self.name}", *self.inside(*as_user("etcd"), "etcd"), **environment)

    def start_patroni(self):
        environment = variables(recipe("patroni.env", NAME=self.name, ADDRESS=self.address))
        command = self.inside(*as_user("postgres"), "patroni", "/etc/patroni/config.yml")
        self.patroni = spawn(f"patroni-{self.name}", *command, HOME="/var/lib/postgresql", **environment)

    def processes(self, *names):
        """Of this machine, by the beginning of their command lines."""
        found = []
        for directory in pathlib.Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                pid = int(directory.name)
                command = (directory / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                if self.namespace_of(pid) == self.network and any(re.search(name, command) for name in names):
                    found.append(pid)
        return found

    def signal(self, number, *names):
        for pid in self.processes(*names):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def kill(self, *names):
        """At once, also what these processes start meanwhile."""
        while self.processes(*names):
            self.signal(signal.SIGKILL, *names)

    def cut_off(self):
        """From etcd and the other database servers; gateways still reach it."""
        rules = "".join(
            f"chain {hook} {{ type filter hook {hook} priority 0;"
            f' {way}ifname != "lo" ip {end} 10.0.0.11-10.0.0.13 drop; }}\n'
            for hook, way, end in [("input", "i", "saddr"), ("output", "o", "daddr")]
        )
        self.run("nft", f"table inet cut {{ {rules} }}")

    def join_again(self):
        self.run("nft", "delete table inet cut")

    def fill_disk(self):
        """Makes it as small as what is on it, which grows all the time."""

        def shrink():
            used = int(self.run("df", "--output=used", "-k", "/var/lib/postgresql").split()[-1])
            with contextlib.suppress(Failure):
                return self.run("mount", "-o", f"remount,size={used + 64}k", "/var/lib/postgresql") or True

        until(shrink, "a full disk", pause=0)

    def empty_disk(self):
        self.run("mount", "-o", f"remount,size={DISK}", "/var/lib/postgresql")

    def connect(self, database="postgres"):
        """To this server, whatever it is."""
        connection = psycopg2.connect(host=self.address, dbname=database, target_session_attrs="any")
        connection.autocommit = True
        return connection

    def psql(self, *arguments):
        return self.run(*as_user("postgres"), "psql", "-XqAt", "-h", "/var/run/postgresql", "-U", "postgres",
                        "-v", "ON_ERROR_STOP=1", *arguments)  # fmt: skip

    def sql(self, statement):
        with contextlib.closing(self.connect()) as connection:
            cursor = connection.cursor()
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else None

    def followers(self):
        return self.sql("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'")[0][0]


# Their titles: "postgres: pg_org: walsender …" of children, the path of the server itself, the program of Patroni.
POSTGRES = r"^postgres: |^\S*/postgres -D|pg_rewind|pg_basebackup"
PATRONI = r"^\S*python\S* \S*/patroni "
ETCD = r"^\S*etcd$|^etcd "


class Gateway:
    def __init__(self, name, address):
        self.name = name
        self.address = (address, 4000)
        self.configuration = pathlib.Path("/etc/pg-org") / f"gateway-{name}.conf"
        self.configuration.write_text(recipe("gateway.conf", ADDRESS=address))
        self.process = None
        self.start()

    def start(self):
        binary = os.environ.get("PG_ORG_GATEWAY", CHECKOUT / "build" / "gateway" / "pg_org_gateway")
        command = [binary, "--config", self.configuration, "--admin-port", "0", "--log-level", "warning"]
        self.process = spawn(f"gateway-{self.name}", *command)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def is_ready(self):
        return ask("GET", self.address, "/health/readiness")[0] == 200


class Cluster:
    """All of them, set up as the recipe says."""

    def __init__(self, asynchronous=False, below=None):
        shutil.rmtree(LOGS, ignore_errors=True)
        LOGS.mkdir(parents=True)
        run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", PRIVATE)
        self.install()
        run("ip", "link", "set", "lo", "up")
        run("ip", "link", "add", "bridge", "type", "bridge")
        for address in [PROXY[0], "10.0.0.21", "10.0.0.22"]:
            run("ip", "address", "add", f"{address}/24", "dev", "bridge")
        run("ip", "link", "set", "bridge", "up")
        self.nodes = [Node(number, below) for number in (1, 2, 3)]
        os.environ.update(
            PGHOST=",".join(node.address for node in self.nodes),
            PGUSER="postgres",
            PGPASSWORD=SUPERUSER_PASSWORD,
            PGCONNECT_TIMEOUT="2",
            PGTARGETSESSIONATTRS="read-write",
        )
        for node in self.nodes:
            node.start_patroni()
        until(lambda: self.is_whole(synchronous=True), "the cluster")
        self.synchronous = True
        # A former primary copies all that is kept when it joins again, which takes ten seconds for the recipe's 1 GB.
        self.configure(dict(postgresql=dict(parameters=dict(wal_keep_size="128MB"))))
        if asynchronous:
            self.replicate(synchronously=False)
        self.set_up_database()
        self.gateways = [Gateway("a", "10.0.0.21"), Gateway("b", "10.0.0.22")]
        for gateway in self.gateways:
            until(gateway.is_ready, f"gateway {gateway.name}")
        self.proxy = spawn("haproxy", "haproxy", "-db", "-f", "/etc/haproxy/haproxy.cfg")
        until(lambda: ask("GET", PROXY, "/health/readiness")[0] == 200, "haproxy")
        self.lease = Lease(self.nodes)

    @staticmethod
    def install():
        """The extension and the recipe's files, into copies of the system's directories that only they see."""
        config = os.environ.get("PG_CONFIG", "pg_config")
        staged = CHECKOUT / "build" / "test" / "stage"
        directories = [run(config, f"--{name}").strip() for name in ("sharedir", "pkglibdir")] + ["/etc"]
        for directory in directories:
            copy = PRIVATE / directory.strip("/").replace("/", "-")
            run("cp", "-a", directory, copy)
            if os.path.isdir(f"{staged}{directory}"):
                run("cp", "-r", f"{staged}{directory}/.", copy)
            run("mount", "--bind", copy, directory)
        files = {
            "patroni/config.yml": "patroni.yml",
            "haproxy/haproxy.cfg": "haproxy.cfg",
            "pg-org/database-url": "database-url",
            "pg-org/replica-urls": "replica-urls",
        }
        for path, name in files.items():
            pathlib.Path("/etc", path).parent.mkdir(exist_ok=True)
            pathlib.Path("/etc", path).write_text(recipe(name))

    def set_up_database(self):
        primary = self.primary()
        shutil.copy(CHECKOUT / "tools" / "setup.sql", PRIVATE / "setup.sql")
        primary.psql("-d", "postgres", "-c", f"CREATE DATABASE {DATABASE}")
        primary.psql("-d", DATABASE, "-f", PRIVATE / "setup.sql")
        for statement in [
            f"CREATE ROLE org_gateway LOGIN PASSWORD '{GATEWAY_PASSWORD}'",
            "SELECT org_grant_access('org_gateway')",
            "SELECT key_generate(user_id => 'default_user_id', key => 'sk-admin')",
            "SELECT key_generate(user_id => 'default_user_id', key => 'sk-changer')",
            "SELECT key_generate(user_id => 'default_user_id', key => 'sk-reader')",
        ]:
            primary.psql("-d", DATABASE, "-c", statement)

    def configure(self, change):
        """As patronictl edit-config does."""
        status, reply = ask("PATCH", (self.primary().address, 8008), "/config", change, timeout=10)
        if status != 200:
            raise Failure(f"/config was answered {status} {reply}")

    def replicate(self, synchronously):
        self.configure(dict(synchronous_mode=synchronously, synchronous_mode_strict=synchronously))
        primary = self.primary()
        until(
            lambda: (primary.sql("SHOW synchronous_standby_names") != [("",)]) == synchronously,
            "the other kind of replication",
        )
        self.synchronous = synchronously
        until(self.is_whole, "the whole cluster")

    def members(self):
        """As whoever of them answers says."""
        for node in self.nodes:
            status, reply = ask("GET", (node.address, 8008), "/cluster")
            if status == 200 and isinstance(reply, dict):
                return reply["members"]
        return []

    def is_whole(self, synchronous=None):
        """One leads, the others follow it and are up to date."""
        if synchronous is None:
            synchronous = self.synchronous
        members = self.members()
        leaders = [member for member in members if member["role"] == "leader" and member["state"] == "running"]
        followers = [
            member
            for member in members
            if member["role"] in ("replica", "sync_standby")
            and member["state"] in ("running", "streaming")
            and leaders
            and member.get("timeline") == leaders[0].get("timeline")
            and member.get("lag") == 0
        ]
        has_standby = any(member["role"] == "sync_standby" for member in followers)
        if len(leaders) != 1 or len(followers) != 2 or (synchronous and not has_standby):
            return False
        with contextlib.suppress(psycopg2.Error):
            return self.named(leaders[0]["name"]).followers() == 2

    def named(self, name):
        return next(node for node in self.nodes if node.name == name)

    def with_role(self, role):
        return until(
            lambda: next((self.named(member["name"]) for member in self.members() if member["role"] == role), None),
            f"a {role}",
        )

    def primary(self):
        return self.with_role("leader")

    def standby(self):
        """The synchronous one, if there is one."""
        return self.with_role("sync_standby" if self.synchronous else "replica")

    def etcd_leader(self):
        for node in self.nodes:
            status, reply = ask("POST", (node.address, 2379), "/v3/maintenance/status", {})
            if status == 200 and reply.get("leader") == reply["header"]["member_id"]:
                return node
        return None


class Lease(threading.Thread):
    """Notes who held Patroni's lease since when, as etcd knows it."""

    def __init__(self, nodes):
        super().__init__(daemon=True)
        self.nodes = nodes
        self.holders = []  # with the time since when
        self.start()

    def run(self):
        path = "/v2/keys/service/pg_org/leader?quorum=true"
        while True:
            for node in self.nodes:
                status, reply = ask("GET", (node.address, 2379), path, timeout=0.5)
                if status in (200, 404):
                    holder = reply["node"]["value"] if status == 200 else None
                    if not self.holders or self.holders[-1][1] != holder:
                        self.holders.append((time.monotonic(), holder))
                    break
            time.sleep(0.05)

    def ended_after(self, event):
        """How long the holder at that time kept it, or None if it still does."""
        return next((since - event for since, _ in list(self.holders) if since > event), None)
