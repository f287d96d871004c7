"""Import from LiteLLM: reads its tables with one psql, and writes those of pg_org with another, in one transaction.

Rows travel as JSON, so that columns and tables which a version of LiteLLM does
not have are no error; the many sums of days as columns. import.sql has the rules.
"""

import contextlib
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import threading
import time
import uuid

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
]
NEEDED = {"LiteLLM_UserTable", "LiteLLM_TeamTable", "LiteLLM_VerificationToken"}
# The tables with a sum for each day, key and model: whose sums they are, and the column that says so.
TABLES_OF_DAYS = [("user", "LiteLLM_DailyUserSpend", "user_id"), ("team", "LiteLLM_DailyTeamSpend", "team_id")]
COLUMNS_OF_DAYS = (
    "date", "api_key", "model", "model_group", "spend", "api_requests", "failed_requests", "prompt_tokens",
    "completion_tokens", "cache_read_input_tokens", "cache_creation_input_tokens",
)  # fmt: skip

FIND_COLUMNS = (
    "SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid"
    " WHERE c.relnamespace = to_regnamespace(quote_ident(:'schema')) AND c.relkind IN ('r', 'p', 'v')"
    " AND a.attnum > 0 AND NOT a.attisdropped"
)
# A migration that was begun, and neither finished nor rolled back.
FIND_UNFINISHED = (
    'SELECT migration_name FROM :"schema"."_prisma_migrations" WHERE finished_at IS NULL AND rolled_back_at IS NULL'
    " ORDER BY started_at DESC LIMIT 1"
)
FIND_PG_ORG = (
    "SELECT extversion, to_regclass('org.usage_carried') IS NOT NULL FROM pg_extension WHERE extname = 'pg_org'"
)

# The identifier of an imported key follows from the digest of its secret, so that a second import and a comparison know
# the key again: as SQL here, and in Python below.
KEY_ID = "md5('key of LiteLLM ' || digest)::uuid::text"


def key_id(digest):
    return str(uuid.UUID(hashlib.md5(f"key of LiteLLM {digest}".encode(errors="replace")).hexdigest()))


IMPORT_SQL = pathlib.Path(__file__).with_name("import.sql")
READ_PERCENT = 8  # of the time goes by until import.sql has all rows and tells its own percentages
END_OF_ROWS = b"\\.\n"


class Failure(Exception):
    """What keeps an import from being done, in one line."""


def add_arguments(parser):
    parser.add_argument(
        "--from", dest="source", required=True, metavar="URL",
        help="database of LiteLLM, as postgresql://… or any other connection string",
    )  # fmt: skip
    parser.add_argument("--schema", default="public", help="schema of its tables (%(default)s)")
    parser.add_argument(
        "--to", dest="target", default="", metavar="URL",
        help="database of pg_org (the environment's: DATABASE_URL or PGHOST and so on)",
    )  # fmt: skip
    parser.add_argument("--dry-run", action="store_true", help="show the same report and change nothing")


def run(arguments):
    os.environ["PGCLIENTENCODING"] = "UTF8"
    arguments.target = arguments.target or os.environ.get("DATABASE_URL", "")
    try:
        columns = check_source(arguments.source, arguments.schema)
        check_target(arguments.target)
        with Progress() as progress:
            written, problems = copy_across(arguments, columns, progress)
    except Failure as failure:
        print(f"pg_org: {failure}", file=sys.stderr)
        return 2
    show(written, problems, arguments.dry_run)
    return 0


def check_source(source, schema):
    """The columns of each table that is there."""
    columns = {}
    for line in ask(source, FIND_COLUMNS, "LiteLLM's database", schema=schema):
        table, _, column = line.partition("|")
        columns.setdefault(table, set()).add(column)
    missing = sorted(NEEDED - columns.keys())
    if missing:
        raise Failure(f'schema "{schema}" is not LiteLLM\'s: it has no table "{missing[0]}"')
    if "_prisma_migrations" in columns:
        for name in ask(source, FIND_UNFINISHED, "LiteLLM's database", schema=schema):
            raise Failure(f"LiteLLM's database is half migrated: {name} is not finished")
    return columns


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


def copy_across(arguments, columns, progress):
    """What was written and what did not fit. Nothing is committed unless all of it was read."""
    progress.show(0, "counting rows")
    rows = count_rows(arguments, columns)
    variables = {"dry_run": "yes" if arguments.dry_run else "no", "key_id": KEY_ID}
    with (
        subprocess.Popen(
            psql(arguments.source, *reading(arguments.schema, columns)), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as source,
        subprocess.Popen(
            psql(arguments.target, "-At", "-f", str(IMPORT_SQL), **variables),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        ) as target,
    ):  # fmt: skip
        said = Reader(target.stdout, progress)
        errors = [Reader(it) for it in (source.stderr, target.stderr)]
        try:
            if not pump(source.stdout, target.stdin, rows, progress):
                source.kill()
            elif source.wait():
                raise Failure(f"can't read LiteLLM's database: {first_error(errors[0].text())}")
            else:
                with contextlib.suppress(BrokenPipeError):
                    target.stdin.write(END_OF_ROWS)
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
        if status:
            raise Failure(f"nothing was imported: {first_error(errors[1].text())}")
    lines = [json.loads(line) for line in text.splitlines()]
    return [it for it in lines if "added" in it], [it for it in lines if "what" in it]


def count_rows(arguments, columns):
    names = [table for _, table, _ in TABLES + TABLES_OF_DAYS if table in columns]
    counts = " + ".join(f"(SELECT count(*) FROM {identifier(arguments.schema)}.{identifier(it)})" for it in names)
    return int(ask(arguments.source, f"SELECT {counts}", "LiteLLM's database")[0])


def reading(schema, columns):
    """Options of psql, to write all rows: those of TABLES, END_OF_ROWS, and those of TABLES_OF_DAYS."""

    def select(table, values):
        return f"SELECT {', '.join(values)} FROM {identifier(schema)}.{identifier(table)} t"

    rows = [
        select(table, (f"'{kind}'", f"({name})::text", "to_jsonb(t)::text"))
        for kind, table, name in TABLES if table in columns
    ]  # fmt: skip
    days = [
        select(table, (f"'{kind}'", *(it if it in columns[table] else "NULL" for it in (owner, *COLUMNS_OF_DAYS))))
        for kind, table, owner in TABLES_OF_DAYS if table in columns
    ]  # fmt: skip
    statements = ["BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", f"COPY ({' UNION ALL '.join(rows)}) TO STDOUT"]
    statements.append(f"\\echo '\\{END_OF_ROWS.decode().strip()}'")
    if days:
        statements.append(f"COPY ({' UNION ALL '.join(days)}) TO STDOUT")
    return [it for statement in statements for it in ("-c", statement)]


def identifier(name):
    return '"' + name.replace('"', '""') + '"'


def pump(source, target, rows, progress):
    """False if the other end stops reading: it has failed, and says why."""
    done = 0
    try:
        while piece := source.read1(1 << 16):
            target.write(piece)
            done += piece.count(b"\n")
            progress.show(READ_PERCENT * min(done / max(rows, 1), 1), "reading LiteLLM's tables")
        target.flush()
    except BrokenPipeError:
        return False
    return True


class Reader(threading.Thread):
    """Reads a pipe to its end, so that whoever writes to it never waits. Lines of progress are shown."""

    def __init__(self, pipe, progress=None):
        super().__init__(daemon=True)
        self.pipe, self.progress, self.lines = pipe, progress, []
        self.start()

    def run(self):
        for line in self.pipe:
            line = line.decode(errors="replace")
            if self.progress and line.startswith("progress "):
                _, percent, what = line.strip().split(" ", 2)
                self.progress.show(int(percent), what)
            else:
                self.lines.append(line)

    def text(self):
        self.join()
        return "".join(self.lines)


class Progress:
    """On a terminal a bar with what is being done, how far it is and how long it has taken; elsewhere a line for each
    step. The bar disappears at the end."""

    WIDTH = 30
    SECONDS_BETWEEN = 0.2

    def __init__(self):
        self.is_bar = sys.stderr.isatty()
        self.began = time.monotonic()
        self.percent, self.what = 0, ""
        self.lock, self.is_over = threading.Lock(), threading.Event()

    def __enter__(self):
        if self.is_bar:
            threading.Thread(target=self.draw_again, daemon=True).start()
        return self

    def __exit__(self, *_):
        with self.lock:
            self.is_over.set()
            if self.is_bar:
                print("\r\033[K", end="", file=sys.stderr, flush=True)

    def show(self, percent, what):
        is_new, self.percent, self.what = what != self.what, int(percent), what
        if is_new and self.is_bar:
            self.draw()
        elif is_new:
            print(f"{self.percent:3} %  {what}", file=sys.stderr, flush=True)

    def draw_again(self):
        while not self.is_over.wait(self.SECONDS_BETWEEN):
            self.draw()

    def draw(self):
        seconds = int(time.monotonic() - self.began)
        bar = "█" * (self.WIDTH * self.percent // 100)
        text = f"{bar:░<{self.WIDTH}} {self.percent:3} %  {seconds // 60}:{seconds % 60:02}  {self.what}"
        room = (os.get_terminal_size(sys.stderr.fileno()).columns or 80) - 1
        with self.lock:
            if not self.is_over.is_set():
                print(f"\r\033[K{text[:room]}", end="", file=sys.stderr, flush=True)


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
