"""pg_org backup-drill: a good backup passes, what a bad one lacks is named, and no database is left."""

import os
import pathlib
import shutil
import subprocess

import pytest

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]

# As the tables' owner; run once, before all tests.
FILL = """
SET ROLE org;
SELECT org_new('Drill', 'drill', max_budget => 100);
SELECT key_generate(organization_id => 'drill', key => 'sk-drill');
SELECT usage_record('sk-drill', 'm', 1.5, 'a call');
"""


def psql(database, statements):
    command = ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", database]
    return subprocess.run(command, input=statements, check=True, capture_output=True, text=True).stdout


def drill(*options, **environment):
    command = [CHECKOUT / "tools/pg_org", "backup-drill", *options]
    return subprocess.run(command, capture_output=True, text=True, env=os.environ | environment)


def dump(directory, database):
    file = directory / "dump"
    subprocess.run(["pg_dump", "-Fc", "-f", file, database], check=True)
    return file


@pytest.fixture(scope="module")
def database():
    psql(os.environ["PGDATABASE"], FILL)
    return os.environ["PGDATABASE"]


@pytest.fixture
def copy(database):
    """To be damaged."""
    name = f"{database}_copy"
    psql("postgres", f'CREATE DATABASE "{name}"')
    dumped = subprocess.run(["pg_dump", database], check=True, capture_output=True, text=True).stdout
    psql(name, dumped)
    yield name
    psql("postgres", f'DROP DATABASE "{name}"')


@pytest.fixture(autouse=True)
def leaves_no_database():
    yield
    assert psql("postgres", "SELECT datname FROM pg_database WHERE datname LIKE 'pg_org_drill%'") == ""


def test_a_good_backup(database, tmp_path):
    for options in [], ["--from", f"dbname={database}"], ["--dump", dump(tmp_path, database)]:
        done = drill(*options)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "\norg.usage: 1 rows\n" in done.stdout
        assert done.stdout.endswith("The backup is complete.\n")


def test_rows_that_the_backup_lacks(database, tmp_path):
    forgetful = tmp_path / "pg_dump"
    forgetful.write_text(f'#!/bin/sh\nexec {shutil.which("pg_dump")} --exclude-table-data=org.usage_until_* "$@"\n')
    forgetful.chmod(0o755)
    done = drill(PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "org.usage: 0 rows instead of 1\n" in done.stdout
    assert "usage_verify(): [{" in done.stdout


def test_counters_that_do_not_agree(copy, tmp_path):
    psql(copy, "DELETE FROM org.usage")
    done = drill("--dump", dump(tmp_path, copy))
    assert (done.returncode, done.stderr) == (1, "")
    assert "usage_verify(): [{" in done.stdout
    assert done.stdout.endswith("The backup is not complete.\n")


def test_a_backup_of_something_else(copy, tmp_path):
    psql(copy, "SET client_min_messages = warning; DROP SCHEMA org CASCADE; DROP EXTENSION pg_org")
    done = drill("--dump", dump(tmp_path, copy))
    assert done.returncode == 1, done.stdout + done.stderr
    assert "There are no tables of pg_org.\nThere is no extension pg_org.\n" in done.stdout


def test_a_damaged_backup(database, tmp_path):
    file = dump(tmp_path, database)
    os.truncate(file, file.stat().st_size // 2)
    done = drill("--dump", file)
    assert done.returncode == 2
    assert done.stderr.startswith("pg_org: pg_restore: error: ")


def test_a_server_that_is_away(tmp_path):
    done = drill("--server", f"host={tmp_path}")
    assert done.returncode == 2
    assert "No such file or directory" in done.stderr
