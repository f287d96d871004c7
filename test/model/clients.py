"""Clients that reserve, settle and cancel while things fail, and write down what they were told; and what must hold
then: everything that was answered is on record once, every counter is the sum of its ledger, and nobody has ever taken
more than a limit.

Databases are reached by the PG* environment.
"""

import collections
import contextlib
import http.client
import json
import pathlib
import random
import threading
import time
from decimal import Decimal

import psycopg2
import psycopg2.extras

ADMIN_KEY = "sk-admin"

TAKEN = pathlib.Path(__file__).with_name("taken.sql").read_text()

END_USERS = ["", "", "", "", "cust-1", "cust-2", "cust-3"]  # half of the calls are for nobody in particular


class World:
    """Two organizations, one short of money and one of time, and people with keys in both of them."""

    def __init__(self, database, number):
        self.database = database
        self.money, self.rates = self.organizations = f"money-{number}", f"rates-{number}"
        self.red = f"red-{number}"
        self.keys = []
        self.portions = []
        ann, ben = f"ann-{number}", f"ben-{number}"
        with contextlib.closing(connect(database)) as connection:
            self.cursor = connection.cursor()
            for user in ann, ben:
                self.call("user_new", user_id=user, auto_create_key=False)
            self.call("org_new", organization_alias="money", organization_id=self.money)
            self.call(
                "org_new",
                organization_alias="rates",
                organization_id=self.rates,
                max_parallel_requests=10,
                tpm_limit=1_800,
                limits=psycopg2.extras.Json(
                    [
                        dict(limit="parallel_requests", value=2, each="end_user"),
                        dict(limit="tokens", value=400, per="15s", tag="batch"),
                    ]
                ),
            )
            for organization in self.organizations:
                for user in ann, ben:
                    self.add("org_member_add", "internal_user", user, organization_id=organization)
            self.call("team_new", organization_id=self.money, team_id=self.red)
            self.add("team_member_add", "user", ben, organization_id=self.money, team_id=self.red)
            limited = self.key(self.money)
            self.key(self.money)
            self.key(self.money, team_id=self.red)
            self.key(self.money, team_id=self.red, user_id=ben)
            self.key(self.money, user_id=ben)
            self.key(self.money, user_id=ann)
            self.key(self.rates, user_id=ann)
            self.key(self.rates)
            self.key(self.rates, max_parallel_requests=2)
            self.key(self.rates, rpm_limit=12)
        money, red = dict(organization_id=self.money), dict(organization_id=self.money, team_id=self.red)
        self.portions = [
            ("org_update", money, "max_budget", 28),
            ("org_member_update", dict(money, user_id=ben), "max_budget_in_organization", 7),
            ("team_update", red, "max_budget", 8),
            ("team_member_update", dict(red, user_id=ben), "max_budget_in_team", 3),
            ("user_update", dict(user_id=ann), "max_budget", 9),
            ("key_update", dict(key=limited), "max_budget", 5),
        ]

    def hand_out(self, portions):
        """Raises the budgets to so many portions in all: each runs out soon, and is there again after the next."""
        with contextlib.closing(connect(self.database)) as connection:
            self.cursor = connection.cursor()
            for function, named, field, amount in self.portions:
                self.call(function, **named, **{field: amount * portions})
            of_each = [dict(limit="cost", value=5 * portions, each="end_user")]
            self.call("org_update", organization_id=self.money, limits=psycopg2.extras.Json(of_each))

    def call(self, function, **arguments):
        named = ", ".join(f"{name} => %({name})s" for name in arguments)
        self.cursor.execute(f"SELECT {function}({named})", arguments)

    def add(self, function, role, user_id, **where):
        self.call(function, member=psycopg2.extras.Json(dict(role=role, user_id=user_id)), **where)

    def key(self, organization_id, **more):
        secret = f"sk-{organization_id}-{len(self.keys)}"
        self.call("key_generate", organization_id=organization_id, key=secret, **more)
        self.keys.append(secret)
        return secret


class Failure(Exception):
    pass


class Notes:
    """What all clients were told."""

    def __init__(self):
        self.granted = {}  # by request_id: the most it may cost
        self.settled = {}  # by request_id: its cost
        self.cancelled = set()
        self.refused = set()
        self.unclear = set()  # expired before anybody knew whether they were granted
        self.reasons = collections.Counter()
        self.again = 0  # requests that had to be sent again
        self.problems = []


class Client(threading.Thread):
    """Makes one call after the other, after a pause if one was refused; what fails on the way is sent again until it is
    answered."""

    def __init__(self, name_of_calls, world, address, notes, deadline, pause=0):
        super().__init__(daemon=True)
        self.name_of_calls = name_of_calls
        self.random = random.Random(name_of_calls)
        self.world = world
        self.notes = notes
        self.deadline = deadline
        self.pause = pause
        self.connection = http.client.HTTPConnection(*address, timeout=30)

    def run(self):
        try:
            number = 0
            while time.monotonic() < self.deadline:
                number += 1
                self.make_call(f"{self.name_of_calls}-{number}")
        except Exception as error:  # pylint: disable=broad-except
            self.notes.problems.append(f"client {self.name_of_calls}: {error!r}")

    def make_call(self, request_id):
        fate = self.random.choices(["settle", "cancel", "abandon"], [8, 1, 1])[0]
        most = Decimal(self.random.randint(1, 100)) / 100
        request = dict(
            key=self.random.choice(self.world.keys),
            model="gpt-4o",
            max_cost=float(most),
            max_tokens=self.random.randint(1, 100),
            request_id=request_id,
            ttl_seconds=self.random.randint(1, 2) if fate == "abandon" else 600,
            end_user=self.random.choice(END_USERS) or None,
            tags=self.random.choice([[], [], ["batch"]]),
        )
        status, reply = self.post("/usage/reserve", request)
        if status == 429:
            self.notes.refused.add(request_id)
            self.notes.reasons[reason_of(reply["error"]["limit"])] += 1
            time.sleep(self.pause)
        elif status == 409 and fate == "abandon":
            self.notes.unclear.add(request_id)
        elif status != 200:
            raise Failure(f"{request} was answered {status} {reply}")
        else:
            self.notes.granted[request_id] = most
            if fate != "abandon":
                self.expect_again("/usage/reserve", request, "reservation_id", reply["reservation_id"])
                self.end_call(fate, request, most)

    def end_call(self, fate, request, most):
        named = dict(request_id=request["request_id"])
        time.sleep(self.random.choice([0, 0, 0, self.random.uniform(0, 0.2)]))
        if fate == "cancel":
            self.expect("/usage/cancel", named, "state", "cancelled")
            self.notes.cancelled.add(request["request_id"])
            return
        cost = (most * self.random.randint(0, 100) / 100).quantize(Decimal("0.0001"))
        tokens = self.random.randint(0, request["max_tokens"])
        outcome = dict(named, cost=float(cost), prompt_tokens=tokens // 2, completion_tokens=tokens - tokens // 2)
        self.expect("/usage/settle", outcome, "cost", float(cost))
        self.notes.settled[request["request_id"]] = cost
        self.expect_again("/usage/settle", dict(outcome, cost=7), "cost", float(cost))

    def expect_again(self, path, body, field, value):
        """One in ten is sent once more, as by somebody who is not sure."""
        if self.random.random() < 0.1:
            self.expect(path, body, field, value)

    def expect(self, path, body, field, value):
        status, reply = self.post(path, body)
        if status != 200 or reply[field] != value:
            raise Failure(f"{path} {body} was answered {status} {reply}, not with {field}={value}")

    def post(self, path, body):
        headers = {"Authorization": f"Bearer {ADMIN_KEY}", "Content-Type": "application/json"}
        give_up = time.monotonic() + 60
        while time.monotonic() < give_up:
            try:
                self.connection.request("POST", path, json.dumps(body), headers)
                response = self.connection.getresponse()
                reply = response.read()
                if response.status not in (502, 503, 504):  # which may be a proxy's
                    return response.status, json.loads(reply)
            except (OSError, http.client.HTTPException):
                self.connection.close()
            self.notes.again += 1
            time.sleep(self.random.uniform(0.05, 0.2))
        raise Failure(f"{path} {body} was not answered for a minute")


class Watcher(threading.Thread):
    """Looks, as often as it can without being in the way, at what is taken of every limit."""

    def __init__(self, database, world, notes):
        super().__init__(daemon=True)
        self.database = database
        self.world = world
        self.notes = notes
        self.stopped = threading.Event()
        self.looks = 0
        self.most_taken = {}  # by limit of somebody: share, and how much of how much

    def run(self):
        while not self.stopped.is_set():
            try:
                with contextlib.closing(connect(self.database)) as connection:
                    while not self.stopped.wait(0.05):
                        self.look(connection.cursor())
            except psycopg2.Error as error:
                # The server is restarted now and then.
                if error.pgcode and not error.pgcode.startswith("57P"):
                    self.notes.problems.append(f"cannot look: {error}")
                self.stopped.wait(0.05)

    def look(self, cursor):
        cursor.execute(TAKEN, dict(organizations=list(self.world.organizations)))
        for kind, name, limit, taken, most in cursor.fetchall():
            before = self.most_taken.get((kind, limit, name), (0,))
            self.most_taken[kind, limit, name] = max(before, (taken / most, taken, most))
        self.looks += 1

    def shares(self):
        """The most that was taken of each kind of limit."""
        shares = collections.defaultdict(int)
        for (kind, limit, _), (share, *_) in self.most_taken.items():
            shares[f"{kind} {limit}"] = max(shares[f"{kind} {limit}"], share)
        return shares

    def excesses(self):
        return [
            f"{kind} {name} has taken {taken} of {limit}={most}"
            for (kind, limit, name), (share, taken, most) in self.most_taken.items()
            if share > 1
        ]


def reason_of(limit):
    """Whose limit, and which."""
    each = f" each {limit['each']}" if limit["each"] else ""
    return limit["owner"], limit["field"] if limit["field"] != "limits" else f"limits {limit['limit']}{each}"


def connect(database):
    connection = psycopg2.connect(dbname=database)
    connection.autocommit = True
    return connection


def check_records(database, world, notes, verify_all=True):
    """All that was answered is on record once, and nothing else. All counters are verified, or those of the world's
    organizations alone: that takes less time than those of all that there were before."""
    problems = notes.problems
    with contextlib.closing(connect(database)) as connection:
        cursor = connection.cursor()

        def rows(statement):
            cursor.execute(f"{statement} WHERE organization_id = ANY (%s)", [list(world.organizations)])
            return cursor.fetchall()

        held = dict(rows("SELECT request_id, max_cost FROM org.reservation"))
        closed = {id: row for id, *row in rows("SELECT request_id, state, max_cost, cost FROM org.usage")}
        [[spend]] = rows("SELECT sum(spend) FROM org.organization")
        verified = [None] if verify_all else world.organizations
        wrong = [difference for organization in verified for difference in differences(cursor, organization)]

    def require(holds, what):
        if not holds:
            problems.append(what)

    require(not held.keys() & closed.keys(), f"held and over at once: {held.keys() & closed.keys()}")
    on_record = held.keys() | closed.keys()
    require(not notes.refused & on_record, f"refused but on record: {notes.refused & on_record}")
    invented = on_record - notes.granted.keys() - notes.unclear
    require(not invented, f"on record but never granted: {invented}")
    for request_id, most in notes.granted.items():
        recorded = held.get(request_id, closed.get(request_id, [None, None])[1])
        require(recorded == most, f"{request_id} was granted {most}, on record is {recorded}")
    for request_id, cost in notes.settled.items():
        recorded = closed.get(request_id)
        require(
            recorded and (recorded[0], recorded[2]) == ("settled", cost),
            f"{request_id} was settled at {cost}, on record is {recorded}",
        )
    for request_id in notes.cancelled:
        recorded = closed.get(request_id)
        require(recorded and recorded[0] == "cancelled", f"{request_id} was cancelled, on record is {recorded}")
    settled = {request_id for request_id, (state, *_) in closed.items() if state == "settled"}
    require(settled == notes.settled.keys(), f"settled by nobody: {settled - notes.settled.keys()}")
    require(spend == sum(notes.settled.values()), f"{spend} is spent, not {sum(notes.settled.values())}")
    require(wrong == [], f"usage_verify() returns {wrong}")


def differences(cursor, organization=None):
    """Between the ledger and all counters, or those of one organization."""
    cursor.execute("SELECT usage_verify(%s)", [organization])
    return cursor.fetchone()[0]
