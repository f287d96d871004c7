"""Imports LiteLLM's tables from the database of a fresh gateway, and compares both: test_import.py runs it."""

import os
import subprocess
import sys

import databases
from litellm_stand_in import LiteLLM

KEY = "sk-litellm-master"

database = os.environ["PGDATABASE"]
os.environ["PGOPTIONS"] = "-c search_path=litellm"
databases.psql(database, "-c", "CREATE SCHEMA litellm", "-f", str(databases.HERE / "litellm.sql"))
databases.psql(database, *databases.SIZE, "-f", str(databases.HERE / "fixture.sql"))
del os.environ["PGOPTIONS"]
done = databases.import_litellm(database, database, "--schema", "litellm")
assert done.returncode == 0, done.stderr
with LiteLLM("litellm", KEY).running() as url:
    command = [str(databases.CHECKOUT / "tools/pg_org"), "compare-litellm", "--litellm", url, "--pg-org", os.environ["PG_ORG_URL"]]
    keys = {"LITELLM_API_KEY": KEY, "PG_ORG_API_KEY": os.environ["PG_ORG_ADMIN_KEY"]}
    sys.exit(subprocess.run(command, env={**os.environ, **keys}).returncode)
