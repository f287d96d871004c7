"""Import from LiteLLM: reads its tables with one psql, and writes those of pg_org with another, in one transaction.

The rows travel as JSON, so that columns and tables which a version of LiteLLM
does not have are no error. import.sql has the rules.
"""

import contextlib
import json
import os
import pathlib
import subprocess
import sys
import threading

# The tables that are imported: the kind of their rows, the name, and the SQL expression that identifies a row.
TABLES = [
    ("budget", "LiteLLM_BudgetTable", "budget_id"),
    ("organization", "LiteLLM_OrganizationTable", "organization_id"),
    ("model", "LiteLLM_ModelTable", "id"),
    ("team", "LiteLLM_TeamTable", "team_id"),
    ("user", "LiteLLM_UserTable", "user_id"),
    ("key", "LiteLLM_VerificationToken", "token"),
    ("deleted key", "LiteLLM_DeletedVerificationToken", "id"),
    ("deprecated key", "LiteLLM_DeprecatedVerificationToken", "token"),
    ("customer", "LiteLLM_EndUserTable", "user_id"),
    ("tag", "LiteLLM_TagTable", "tag_name"),
    ("team member", "LiteLLM_TeamMembership", "user_id || ' in ' || team_id"),
    ("member", "LiteLLM_OrganizationMembership", "user_id || ' in ' || organization_id"),
    ("day of a user", "LiteLLM_DailyUserSpend", "id"),
    ("day of a team", "LiteLLM_DailyTeamSpend", "id"),
]
# Columns of days that nobody reads; there are many days.
UNREAD = "'{id,created_at,updated_at,custom_llm_provider,mcp_namespaced_tool_name,endpoint,successful_requests}'::text[]"
NEEDED = {"LiteLLM_UserTable", "LiteLLM_TeamTable", "LiteLLM_VerificationToken"}

FIND_TABLES = "SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace(quote_ident(:'schema')) AND relkind IN ('r', 'p', 'v')"
# A migration that was begun, and neither finished nor rolled back.
FIND_UNFINISHED = (
    'SELECT migration_name FROM :"schema"."_prisma_migrations" WHERE finished_at IS NULL AND rolled_back_at IS NULL'
    " ORDER BY started_at DESC LIMIT 1"
)
FIND_PG_ORG = "SELECT extversion, to_regclass('org.usage_carried') IS NOT NULL FROM pg_extension WHERE extname = 'pg_org'"

IMPORT_SQL = pathlib.Path(__file__).with_name("import.sql")


class Failure(Exception):
    """What keeps an import from being done, in one line."""


def add_arguments(parser):
    parser.add_argument("--from", dest="source", required=True, metavar="URL", help="database of LiteLLM, as postgresql://… or any other connection string")
    parser.add_argument("--schema", default="public", help="schema of its tables (%(default)s)")
    parser.add_argument("--to", dest="target", default="", metavar="URL", help="database of pg_org (the environment's: DATABASE_URL or PGHOST and so on)")
    parser.add_argument("--dry-run", action="store_true", help="show the same report and change nothing")


def run(arguments):
    os.environ["PGCLIENTENCODING"] = "UTF8"
    arguments.target = arguments.target or os.environ.get("DATABASE_URL", "")
    try:
        names = check_source(arguments.source, arguments.schema)
        check_target(arguments.target)
        written, problems = copy_across(arguments, names)
    except Failure as failure:
        print(f"pg_org: {failure}", file=sys.stderr)
        return 2
    show(written, problems, arguments.dry_run)
    return 0


def check_source(source, schema):
    """The tables of LiteLLM that are there."""
    names = set(ask(source, FIND_TABLES, "LiteLLM's database", schema=schema))
    missing = sorted(NEEDED - names)
    if missing:
        raise Failure(f'schema "{schema}" is not LiteLLM\'s: it has no table "{missing[0]}"')
    if "_prisma_migrations" in names:
        for name in ask(source, FIND_UNFINISHED, "LiteLLM's database", schema=schema):
            raise Failure(f"LiteLLM's database is half migrated: {name} is not finished")
    return names


def check_target(target):
    found = ask(target, FIND_PG_ORG, "pg_org's database")
    if not found:
        raise Failure("pg_org's database does not have the extension: CREATE EXTENSION pg_org")
    if not found[0].endswith("|t"):
        raise Failure("pg_org's database does not have the tables of this version: SELECT org_setup()")


def ask(database, statement, name, **variables):
    """The rows of a query, columns separated by |."""
    answer = subprocess.run(psql(database, "-At", **variables), input=statement, capture_output=True, text=True)
    if answer.returncode:
        raise Failure(f"can't read {name}: {first_error(answer.stderr)}")
    return answer.stdout.splitlines()


def psql(database, *options, **variables):
    settings = [it for name, value in variables.items() for it in ("-v", f"{name}={value}")]
    return ["psql", "-Xqw", "-v", "ON_ERROR_STOP=1", *settings, *(["-d", database] if database else []), *options]


def first_error(text):
    lines = [line.strip() for line in text.splitlines() if line.strip()] or ["psql failed"]
    line = next((line for line in lines if "ERROR:" in line or "FATAL:" in line), lines[0])
    for mark in ("ERROR:", "FATAL:", "error:"):
        line = line.rpartition(mark)[2]
    return line.strip()


def copy_across(arguments, names):
    """What was written and what did not fit. Nothing is committed unless all of it was read."""
    reading = " UNION ALL ".join(
        f"SELECT '{kind}', ({name})::text, (to_jsonb(t){f' - {UNREAD}' if kind.startswith('day') else ''})::text"
        f" FROM {identifier(arguments.schema)}.{identifier(table)} t"
        for kind, table, name in TABLES if table in names
    )  # fmt: skip
    with (
        subprocess.Popen(
            psql(arguments.source, "-c", f"COPY ({reading}) TO STDOUT"), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as source,
        subprocess.Popen(
            psql(arguments.target, "-At", "-f", str(IMPORT_SQL), dry_run="yes" if arguments.dry_run else "no"),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        ) as target,
    ):  # fmt: skip
        progress = Progress()
        said = Reader(target.stdout, progress)
        errors = [Reader(it) for it in (source.stderr, target.stderr)]
        try:
            if not pump(source.stdout, target.stdin, progress):
                source.kill()
            elif source.wait():
                raise Failure(f"can't read LiteLLM's database: {first_error(errors[0].text())}")
            else:
                target.stdin.close()
            status = target.wait()
            text = said.text()
        finally:
            # Without the end of its input, the other psql would take what it has for all there is.
            for process in (target, source):
                if process.poll() is None:
                    process.kill()
            with contextlib.suppress(BrokenPipeError):
                target.stdin.close()
            progress.end()
        if status:
            raise Failure(f"nothing was imported: {first_error(errors[1].text())}")
    lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    return [it for it in lines if "added" in it], [it for it in lines if "what" in it]


def identifier(name):
    return '"' + name.replace('"', '""') + '"'


def pump(source, target, progress):
    """False if the other end stops reading: it has failed, and says why."""
    rows = 0
    try:
        while piece := source.read1(1 << 16):
            target.write(piece)
            rows += piece.count(b"\n")
            progress.show(f"reading: {rows:,} rows")
        target.flush()
    except BrokenPipeError:
        return False
    return True


class Reader(threading.Thread):
    """Reads a pipe to its end, so that whoever writes to it never waits."""

    def __init__(self, pipe, progress=None):
        super().__init__(daemon=True)
        self.pipe, self.progress, self.lines = pipe, progress, []
        self.start()

    def run(self):
        for line in self.pipe:
            line = line.decode(errors="replace")
            if line.startswith("progress "):
                if self.progress:
                    self.progress.show(line.removeprefix("progress ").strip())
            else:
                self.lines.append(line)

    def text(self):
        self.join()
        return "".join(self.lines)


class Progress:
    """One line on the terminal, if there is one, that says what is being done."""

    def __init__(self):
        self.is_shown = sys.stderr.isatty()

    def show(self, text):
        if self.is_shown:
            print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)

    def end(self):
        self.show("")


def show(written, problems, is_dry_run):
    for it in problems:
        name = f"{it['kind']} {printable(it['id'])}" + (f", {it['field']}" if it["field"] else "")
        print(f"{name}: {printable(it['what'])}; {printable(it['done'])}")
    if problems:
        print()
    for it in written:
        print(f"{it['kind']}: {it['added']:,} new, {it['changed']:,} changed")
    print(f"{len(problems):,} did not fit: see above." if problems else "Everything fitted.")
    if is_dry_run:
        print("Nothing was changed: this was a dry run.")


def printable(text):
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in str(text))
