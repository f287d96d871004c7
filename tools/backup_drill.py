"""Restore a backup into a throw-away database, and check that it is complete.

Without --dump it makes a backup, and the restored tables must have as many rows as there were when it was made. With
--dump it restores that one. In both cases the counters must agree with the ledger: usage_verify(). Exit status: 0 if
all is well, 1 if something differs, 2 if it could not be found out.
"""

import contextlib
import os
import pathlib
import secrets
import signal
import subprocess
import sys
import tempfile
import time

# The rows of each table; of a partitioned one, those of all its partitions.
COUNT_ROWS = """
SELECT format('SELECT %L, count(*) FROM %s', name, name)
  FROM (SELECT format('%I.%I', nspname, relname) AS name
          FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = relnamespace
         WHERE nspname IN ('org', 'org_archive') AND relkind IN ('r', 'p') AND NOT relispartition) AS tables
 ORDER BY name
\\gexec
"""
VERIFY = """
SELECT format('SELECT %s.usage_verify()', extnamespace::regnamespace) FROM pg_extension WHERE extname = 'pg_org'
\\gexec
"""
NEWEST_CHANGE = "SELECT date_trunc('second', max(occurred_at)) FROM org.audit_log"
BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY;\nSELECT pg_export_snapshot();\n"
END = "\\echo end\n"


class Failure(Exception):
    """What keeps the drill from finding out, in one line."""


def add_arguments(parser):
    backup = parser.add_mutually_exclusive_group()
    backup.add_argument("--dump", metavar="FILE", type=pathlib.Path,
                        help="backup to restore, of pg_dump -Fc, -Fd or -Ft")  # fmt: skip
    backup.add_argument("--from", dest="source", default=os.environ.get("DATABASE_URL", ""), metavar="URL",
                        help="database to back up (the environment's: DATABASE_URL or PGHOST and so on)")  # fmt: skip
    parser.add_argument("--server", default="dbname=postgres", metavar="URL",
                        help="any database of the server to restore on, as superuser (%(default)s)")  # fmt: skip


def run(arguments):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(2))  # so that the throw-away database is dropped
    try:
        with tempfile.TemporaryDirectory() as directory, throw_away_database(arguments.server) as database:
            dump, expected = arguments.dump, None
            if not dump:
                dump = pathlib.Path(directory, "pg_org.dump")
                expected = back_up(arguments.source, dump)
            start = time.monotonic()
            command("pg_restore", "-w", "--exit-on-error", "-d", database, str(dump))
            print(f"Restored in {time.monotonic() - start:.0f} s:")
            found = count(database)
            show(database, found)
            problems = differences(found if expected is None else expected, found) + verify(database)
    except Failure as failure:
        print(f"pg_org: {failure}", file=sys.stderr)
        return 2
    print(*problems, "The backup is not complete." if problems else "The backup is complete.", sep="\n")
    return 1 if problems else 0


@contextlib.contextmanager
def throw_away_database(server):
    name = f"pg_org_drill_{secrets.token_hex(4)}"
    ask(server, f"CREATE DATABASE {name} TEMPLATE template0")
    try:
        ask(server, f"REVOKE ALL ON DATABASE {name} FROM PUBLIC")
        yield with_name(server, name)
    finally:
        ask(server, f"DROP DATABASE {name} WITH (FORCE)")


def with_name(url, name):
    """The same server, but that database: of several names libpq takes the last."""
    if "://" in url:
        return f"{url}{'&' if '?' in url else '?'}dbname={name}"
    return f"{url if '=' in url else ''} dbname={name}"


def back_up(source, dump):
    """How many rows each table had when the backup was made: pg_dump reads the same snapshot as this."""
    pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with subprocess.Popen(psql(source), **pipes) as session:
        session.stdin.write(BEGIN + COUNT_ROWS + END)
        session.stdin.flush()
        snapshot, *counts = until_end(session)
        command("pg_dump", "-w", "-Fc", f"--snapshot={snapshot}", "-f", str(dump), "-d", source)
        session.stdin.close()
    return counted(counts)


def until_end(session):
    lines = []
    for line in session.stdout:
        if line == "end\n":
            return lines
        lines.append(line.rstrip("\n"))
    raise Failure(f"can't read the database: {first_error(session.stderr.read())}")


def count(database):
    return counted(ask(database, COUNT_ROWS))


def counted(lines):
    return {table: int(rows) for table, _, rows in (line.rpartition("|") for line in lines)}


def show(database, found):
    for table, rows in found.items():
        print(f"{table}: {rows:,} rows")
    if "org.audit_log" in found:
        print(f"newest change: {ask(database, NEWEST_CHANGE)[0] or 'none'}")


def differences(expected, found):
    missing = [] if found else ["There are no tables of pg_org."]
    return missing + [
        f"{table}: {found.get(table, 0):,} rows instead of {expected.get(table, 0):,}"
        for table in sorted({*found, *expected})
        if found.get(table) != expected.get(table)
    ]


def verify(database):
    answer = ask(database, VERIFY)
    if not answer:
        return ["There is no extension pg_org."]
    return [] if answer == ["[]"] else [f"usage_verify(): {' '.join(answer)}"]


def ask(database, statements):
    """The rows of the answers, columns separated by |."""
    return command(*psql(database), input=statements + "\n").splitlines()


def psql(database):
    return ["psql", "-XAtqw", "-v", "ON_ERROR_STOP=1", "-d", database]


def command(*words, **more):
    """What it prints."""
    try:
        done = subprocess.run(words, capture_output=True, text=True, **more)
    except FileNotFoundError as missing:
        raise Failure(f"{words[0]} is not installed") from missing
    if done.returncode:
        raise Failure(first_error(done.stderr))
    return done.stdout


def first_error(text):
    lines = text.strip().splitlines() or ["it failed"]
    return next((line for line in lines if "error:" in line.lower()), lines[0])
