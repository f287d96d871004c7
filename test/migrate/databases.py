"""Databases for the tests of moving in: LiteLLM's, from a template, and pg_org's. And the program, as a user runs it."""

import itertools
import os
import pathlib
import subprocess
import sys

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(CHECKOUT / "test"))

from texts import Session  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
KEYS = 300
SIZE = ["-v", "organizations=40", "-v", "users=150", "-v", f"keys={KEYS}"]

numbers = itertools.count()
sessions = {}  # by database


def close(database):
    """So that it can be copied, and that its settings may change."""
    if database in sessions:
        sessions.pop(database).close()


def psql(database, *arguments, check=True):
    close(database)
    command = ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-F", "\t", "-d", database, *arguments]
    return subprocess.run(command, check=check, capture_output=True, text=True)


def rows(database, statement):
    if database not in sessions:
        sessions[database] = Session(database)
    return sessions[database].rows(statement)


def value(database, statement):
    return rows(database, statement)[0][0]


def make(template="template0"):
    close(template)
    name = f"migrate_{os.getpid()}_{next(numbers)}"
    psql("postgres", "-c", f"CREATE DATABASE {name} TEMPLATE {template}")
    return name


def make_litellm():
    name = make()
    psql(name, "-f", str(HERE / "litellm.sql"))
    psql(name, *SIZE, "-f", str(HERE / "fixture.sql"))
    return name


def make_pg_org():
    name = make()
    psql(name, "-f", str(CHECKOUT / "tools/setup.sql"))
    return name


def import_litellm(source, target, *options):
    command = [str(CHECKOUT / "tools/pg_org"), "import-litellm", "--from", f"dbname={source}", "--to", f"dbname={target}"]
    return subprocess.run([*command, *options], capture_output=True, text=True)
