"""Clients beside those of test/model/clients.py: one changes organizations, others read, and all note what they were
told and when."""

import contextlib
import http.client
import json
import threading
import time

from clients import connect

CHANGES_PER_ORGANIZATION = 5


class Worker(threading.Thread):
    """Asks again and again, each time until it is answered."""

    key = None

    def __init__(self, address, notes, pause=0.05):
        super().__init__(daemon=True)
        self.address = address
        self.notes = notes
        self.pause = pause
        self.connection = http.client.HTTPConnection(*address, timeout=1)
        self.attempts = []  # when it began and ended, and the status; None if there was no answer within a second
        self.stopped = threading.Event()

    def run(self):
        try:
            while not self.stopped.is_set():
                self.work()
                self.stopped.wait(self.pause)
        except Exception as error:  # pylint: disable=broad-except
            self.notes.problems.append(f"{type(self).__name__}: {error!r}")

    def work(self):
        raise NotImplementedError

    def stop(self):
        self.stopped.set()
        self.join(60)
        if self.is_alive():
            self.notes.problems.append(f"{type(self).__name__} was not answered for a minute")

    def ask(self, method, path, body=None, idempotency_key=None):
        """The reply, sent again until there is one."""
        headers = {"Authorization": f"Bearer {self.key}"}
        if idempotency_key:
            headers["Idempotency-Key"] = idempotency_key
        while True:
            began, status, reply = time.monotonic(), None, None
            try:
                self.connection.request(method, path, None if body is None else json.dumps(body), headers)
                response = self.connection.getresponse()
                status, reply = response.status, response.read()
            except (OSError, http.client.HTTPException):
                self.connection.close()
            self.attempts.append((began, time.monotonic(), status))
            if status == 200:
                return json.loads(reply)
            if status not in (None, 502, 503, 504):
                raise AssertionError(f"{method} {path} {body} was answered {status} {reply}")
            time.sleep(0.05)

    def back_after(self, event):
        """How long after the event the last request ended that was not answered with 200, and the next one was."""
        back = 0
        failed = False
        for _, ended, status in list(self.attempts):
            if ended < event:
                continue
            if status != 200:
                failed = True
            elif failed:
                back, failed = ended - event, False
        return back

    def is_back(self, since, seconds=1.0):
        """Whether nothing but 200 was answered for that long."""
        now = time.monotonic()
        recent = [status for began, _, status in self.attempts[-200:] if began > now - seconds]
        return now > since + seconds and len(recent) > 3 and set(recent) == {200}

    def longest_gap(self, event, until):
        """Between two answers with 200."""
        good = [ended for _, ended, status in self.attempts if status == 200]
        return max((later - max(earlier, event) for earlier, later in zip(good, good[1:]) if event < later < until),
                   default=0)  # fmt: skip


class Changer(Worker):
    """Makes organizations and changes them."""

    key = "sk-changer"

    def __init__(self, name, *more):
        super().__init__(*more)
        self.name_of_organizations = name
        self.number = 0
        self.made = {}  # how often each was changed

    def work(self):
        latest = f"{self.name_of_organizations}-{len(self.made)}"
        if self.made.get(latest, CHANGES_PER_ORGANIZATION) == CHANGES_PER_ORGANIZATION:
            latest = f"{self.name_of_organizations}-{len(self.made) + 1}"
            organization = dict(organization_id=latest, organization_alias=latest)
            self.ask("POST", "/organization/new", organization, f"new {latest}")
            self.made[latest] = 0
            return
        change = dict(organization_id=latest, metadata=dict(number=self.made[latest] + 1))
        self.ask("PATCH", "/organization/update", change, f"change {latest} {self.made[latest] + 1}")
        self.made[latest] += 1

    def check(self, database):
        """What was answered is there, and was done once."""
        with contextlib.closing(connect(database)) as connection:
            cursor = connection.cursor()
            cursor.execute(
                "SELECT organization_id, coalesce((metadata ->> 'number')::int, 0), count(audit_id) - 1"
                " FROM org.organization LEFT JOIN org.audit_log USING (organization_id)"
                " WHERE kind = 'organization' AND organization_id = ANY (%s) GROUP BY organization_id, metadata",
                [list(self.made)],
            )
            found = {organization: counts for organization, *counts in cursor.fetchall()}
        for organization, changes in self.made.items():
            if found.get(organization) != [changes, changes]:
                self.notes.problems.append(
                    f"{organization} was made and changed {changes} times, on record is {found.get(organization)}"
                )


class Reader(Worker):
    """Reads, without ever changing anything: so it may be answered by a standby."""

    key = "sk-reader"

    def __init__(self, organization, *more):
        super().__init__(*more)
        self.path = f"/organization/info?organization_id={organization}"

    def work(self):
        self.ask("GET", self.path)
