"""Everything about a database that has the extension, but the rows: as lines that two databases can be compared by.

No identifiers that differ from one database to the next, and privileges one by
one, whether they are written down or the defaults.
"""

import contextlib

import psycopg2


def privileges(acl, kind, owner):
    return f"""
        (SELECT string_agg(format('%s may %s%s by %s', coalesce(nullif(grantee, 0)::regrole::text, 'PUBLIC'),
                                  privilege_type, CASE WHEN is_grantable THEN ' and grant it' END, grantor::regrole),
                           ', ' ORDER BY coalesce(nullif(grantee, 0)::regrole::text, 'PUBLIC'), privilege_type)
           FROM aclexplode(coalesce({acl}, acldefault('{kind}', {owner}))))"""


FUNCTION = f"""
    pg_get_functiondef(p.oid), p.proowner::regrole, obj_description(p.oid, 'pg_proc'),
    {privileges('proacl', 'f', 'proowner')}
"""

# For each kind of object: its name and its properties.
THINGS = {
    "extension": "SELECT extname, extversion, extnamespace::regnamespace FROM pg_extension WHERE extname = 'pg_org'",
    "function of the extension": f"""
        SELECT p.oid::regprocedure, {FUNCTION} FROM pg_proc p JOIN pg_depend d ON d.objid = p.oid
          JOIN pg_extension e ON e.oid = d.refobjid
         WHERE d.classid = 'pg_proc'::regclass AND d.refclassid = 'pg_extension'::regclass AND extname = 'pg_org'""",
    "something else of the extension": """
        SELECT pg_describe_object(classid, objid, objsubid) FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
         WHERE d.refclassid = 'pg_extension'::regclass AND deptype = 'e' AND extname = 'pg_org'
           AND classid <> 'pg_proc'::regclass""",
    "schema": f"""
        SELECT nspname, nspowner::regrole, obj_description(oid, 'pg_namespace'), {privileges('nspacl', 'n', 'nspowner')}
          FROM pg_namespace WHERE nspname IN ('org', 'public')""",
    "function": f"SELECT p.oid::regprocedure, {FUNCTION} FROM pg_proc p WHERE pronamespace = 'org'::regnamespace",
    "relation": f"""
        SELECT c.oid::regclass, relkind, relowner::regrole, relpersistence, relrowsecurity, relforcerowsecurity,
               relreplident,
               (SELECT array_agg(option ORDER BY option) FROM unnest(reloptions) AS option),
               obj_description(c.oid, 'pg_class'),
               CASE WHEN relkind IN ('r', 'p', 'v') THEN {privileges('relacl', 'r', 'relowner')} END,
               CASE WHEN relkind = 'v' THEN pg_get_viewdef(c.oid) END
          FROM pg_class c WHERE relnamespace IN ('org'::regnamespace, 'public'::regnamespace)""",
    "column": f"""
        SELECT format('%s.%I', attrelid::regclass, attname),
               row_number() OVER (PARTITION BY attrelid ORDER BY attnum), format_type(atttypid, atttypmod),
               attcollation::regcollation, attnotnull, attstorage, attstattarget, pg_get_expr(adbin, adrelid),
               col_description(attrelid, attnum), attacl IS NOT NULL AND attacl <> '{{}}' AS granted, attacl
          FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid
          LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
         WHERE relnamespace = 'org'::regnamespace AND relkind IN ('r', 'p') AND attnum > 0 AND NOT attisdropped""",
    "constraint": """
        SELECT format('%s %I', conrelid::regclass, conname), pg_get_constraintdef(oid), convalidated
          FROM pg_constraint WHERE connamespace = 'org'::regnamespace""",
    "index": """
        SELECT indexrelid::regclass, pg_get_indexdef(indexrelid), indisvalid
          FROM pg_index JOIN pg_class c ON c.oid = indexrelid WHERE relnamespace = 'org'::regnamespace""",
    "trigger": """
        SELECT format('%s %I', tgrelid::regclass, tgname), pg_get_triggerdef(t.oid), tgenabled
          FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid
         WHERE relnamespace = 'org'::regnamespace AND NOT tgisinternal""",
    "policy": "SELECT format('%I %I', tablename, policyname), p FROM pg_policies p",
    "statistics": """
        SELECT stxname, pg_get_statisticsobjdef(oid) FROM pg_statistic_ext
         WHERE stxrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'org'::regnamespace)""",
}


def connect(database, **more):
    connection = psycopg2.connect(dbname=database, options="-c TimeZone=UTC -c DateStyle=ISO", **more)
    connection.autocommit = True
    return connection


def rows(database, statement, arguments=None, **more):
    with contextlib.closing(connect(database, **more)) as connection:
        cursor = connection.cursor()
        cursor.execute(statement, arguments)
        return cursor.fetchall() if cursor.description else []


def value(database, statement, arguments=None, **more):
    [[only]] = rows(database, statement, arguments, **more)
    return only


def describe(database):
    """By kind and name of each thing, what there is to say of it."""
    return {
        f"{kind} {name}": [str(fact) for fact in facts]
        for kind, statement in THINGS.items()
        for name, *facts in rows(database, statement)
    }


def contents(database):
    """By name of each table, how many rows it has, and a digest of them."""
    return {
        table: list(
            rows(
                database,
                "SELECT count(*), md5(string_agg(md5(t::text), '' ORDER BY t::text COLLATE \"C\"))"
                f" FROM ONLY {table} AS t",
            )[0]
        )
        for table, in rows(
            database,
            "SELECT c.oid::regclass::text FROM pg_class c"
            " WHERE relnamespace = 'org'::regnamespace AND relkind = 'r' ORDER BY relname",
        )
    }


def differences(found, expected):
    """In words; nothing if the two are the same."""
    return [
        f"{name} is {found.get(name, 'not there')}, not {expected.get(name, 'to be there')}"
        for name in sorted(found.keys() | expected.keys())
        if found.get(name) != expected.get(name)
    ]


def report(tests):
    """From each test's name and its problems to the status to exit with."""
    for name, problems in tests.items():
        print(f"{name}: {'failed' if problems else 'ok'}")
        for problem in problems[:20]:
            print(f"    {problem[:2000]}")
    failed = sum(map(bool, tests.values()))
    print(f"\n{failed} of {len(tests)} tests failed." if failed else f"\nAll {len(tests)} tests passed.")
    return 1 if failed else 0
