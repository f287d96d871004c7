-- Shared by the regression scripts: the extension with its tables, and functions that
-- show replies and refusals in a form that is the same in every run.
\set ECHO none
\getenv checkout PG_ABS_SRCDIR
\set setup :checkout /tools/setup.sql
\i :setup
\unset ON_ERROR_STOP

CREATE SCHEMA IF NOT EXISTS test;
GRANT USAGE ON SCHEMA test TO PUBLIC;
SET search_path = public, test;

-- Runs a function or another command, and gives ok or the refusal.
CREATE OR REPLACE FUNCTION test.attempt(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    hint text;
BEGIN
    EXECUTE CASE WHEN command ~ '^[a-z0-9_.]+\(' THEN 'SELECT ' ELSE '' END || command;
    RETURN 'ok';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
    RETURN sqlstate || ' ' || sqlerrm || coalesce(' (' || nullif(hint, '') || ')', '');
END $$;

-- Masks the parts of a text that are random or depend on the time.
CREATE OR REPLACE FUNCTION test.masked(shown text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT regexp_replace(regexp_replace(regexp_replace(regexp_replace(shown,
        '\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)', '<time>', 'g'),
        '[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}', '<uuid>', 'g'),
        'sk-[0-9a-f]{48}', 'sk-<secret>', 'g'),
        'sk-\.\.\.[0-9a-f]{4}', 'sk-...<end>', 'g')
$$;

-- Gives the whole reply, masked, with a line for each field.
CREATE OR REPLACE FUNCTION test.reply(reply json) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT test.masked(regexp_replace(reply::text, ',("[a-z_]+":)', E',\n\\1', 'g'))
$$;

-- Gives a digest of all tables except those that keep what has happened: the audit log, the events, former owners and
-- refusals.
CREATE OR REPLACE FUNCTION test.fingerprint() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    relation regclass;
    contents text;
    fingerprint text = '';
BEGIN
    FOR relation IN SELECT oid FROM pg_class WHERE relnamespace = 'org'::regnamespace AND relkind IN ('r', 'p')
                                AND NOT relispartition
                                AND relname NOT IN ('audit_log', 'event', 'event_counter', 'former_owner',
                                                    'usage_refusal')
                     ORDER BY relname
    LOOP
        EXECUTE format('SELECT coalesce(string_agg(t::text, E''\n'' ORDER BY t::text), '''') FROM %s t', relation)
            INTO contents;
        fingerprint = md5(fingerprint || contents);
    END LOOP;
    RETURN fingerprint;
END $$;

-- Lists the budgets that were made with an owner and have none any more.
CREATE OR REPLACE FUNCTION test.unowned_budgets() RETURNS SETOF text LANGUAGE sql AS $$
    SELECT budget_id FROM org.budget WHERE auto_created EXCEPT
    (SELECT budget_id FROM org.organization UNION SELECT budget_id FROM org.membership
     UNION SELECT budget_id FROM org.team_member UNION SELECT budget_id FROM org.api_key
     UNION SELECT budget_id FROM org.end_user) ORDER BY 1
$$;

-- Resets the tables to the state after org_setup().
CREATE OR REPLACE PROCEDURE test.clear() LANGUAGE sql AS $$
    DELETE FROM org.api_key;
    DELETE FROM org.team;
    DELETE FROM org.organization;
    DELETE FROM org.end_user;
    DELETE FROM org.budget;
    DELETE FROM org."user" WHERE user_id <> 'default_user_id';
    DELETE FROM org.reservation;
    DELETE FROM org.usage;
    DELETE FROM org.usage_counter;
    DELETE FROM org.usage_refusal;
    DELETE FROM org.usage_daily;
    DELETE FROM org.usage_carried;
    DELETE FROM org.usage_archive;
    DELETE FROM org.retention;
    INSERT INTO org.retention DEFAULT VALUES;
    DELETE FROM org.former_owner;
    DELETE FROM org.idempotency;
    DELETE FROM org.event;
    SELECT org_audit_purge(clock_timestamp());
$$;

\pset null '(null)'
\set ECHO all
