-- The tables' owner gains no rights when others call: triggers run as the owner, and leave nothing behind in a
-- superuser's session.
\getenv checkout PG_ABS_SRCDIR
\set helpers :checkout /test/helpers.sql
\i :helpers

CREATE ROLE regress_pg_org_gateway;
SELECT org_grant_access('regress_pg_org_gateway');
SELECT key_generate('default_user_id', key => 'sk-admin') ->> 'key' AS key;
SELECT format('GRANT CREATE, TEMPORARY ON DATABASE %I TO org', current_database()) \gexec
CREATE TABLE test.ran (place serial, who name, what text);
GRANT INSERT ON test.ran TO PUBLIC;
GRANT USAGE ON SEQUENCE test.ran_place_seq TO PUBLIC;
SET ROLE org;
CREATE SCHEMA evil;
GRANT USAGE ON SCHEMA evil TO PUBLIC;

-- A deferred trigger runs at the end of the transaction, when a SET ROLE could be reset.
CREATE FUNCTION evil.rise() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    BEGIN
        RESET ROLE;
    EXCEPTION WHEN insufficient_privilege THEN NULL;
    END;
    INSERT INTO test.ran (who, what) VALUES (current_user, TG_NAME);
    IF (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
        CREATE ROLE regress_pg_org_evil SUPERUSER;
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER rise AFTER INSERT ON org.api_key DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION evil.rise();
RESET ROLE;
SELECT key_generate(key => 'sk-one') ->> 'key' AS key;
SET ROLE regress_pg_org_gateway;
SELECT key_generate(key => 'sk-two', api_key => 'sk-admin') ->> 'key' AS key;
SET ROLE org;
SELECT key_generate(key => 'sk-three') ->> 'key' AS key;
RESET ROLE;
SELECT who, what FROM test.ran ORDER BY place;
-- The same holds when the superuser's transaction or a trigger defers constraints.
BEGIN;
SET CONSTRAINTS ALL DEFERRED;
SELECT key_generate(key => 'sk-four') ->> 'key' AS key;
COMMIT;
SET ROLE org;
CREATE FUNCTION evil.wait() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    SET CONSTRAINTS ALL DEFERRED;
    RETURN NEW;
END $$;
CREATE TRIGGER wait BEFORE INSERT ON org.api_key FOR EACH ROW EXECUTE FUNCTION evil.wait();
RESET ROLE;
SELECT attempt($$key_generate(key => 'sk-five')$$);
SELECT who, what FROM test.ran ORDER BY place;
SET ROLE org;
DROP TRIGGER wait ON org.api_key;
DROP TRIGGER rise ON org.api_key;
RESET ROLE;

-- Deferred triggers on the caller's own tables run as the caller.
CREATE TABLE test.mine (a integer);
CREATE FUNCTION test.mine() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO test.ran (who, what) VALUES (current_user, TG_NAME);
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER mine AFTER INSERT ON test.mine DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION test.mine();
TRUNCATE test.ran;
BEGIN;
INSERT INTO test.mine VALUES (1);
SELECT key_generate(key => 'sk-six') ->> 'key' AS key;
COMMIT;
SELECT who = session_user AS as_caller, what FROM test.ran ORDER BY place;

-- These would outlive the call: a cursor, a temporary table, a prepared statement, another role.
CREATE FUNCTION test.with_trigger(command text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    SET LOCAL ROLE org;
    EXECUTE format('CREATE OR REPLACE FUNCTION evil.act() RETURNS trigger LANGUAGE plpgsql AS'
                   ' ''BEGIN EXECUTE %s; RETURN NULL; END''', replace(quote_literal(command), '''', ''''''));
    CREATE OR REPLACE TRIGGER act AFTER INSERT ON org.api_key FOR EACH ROW EXECUTE FUNCTION evil.act();
    RESET ROLE;
    RETURN test.attempt('key_generate()');
END $$;
SELECT command, with_trigger(command) AS answer FROM (VALUES
    ('DECLARE evil CURSOR WITH HOLD FOR SELECT 1'),
    ('CREATE TEMPORARY TABLE evil ()'),
    ('PREPARE evil AS SELECT 1'),
    ('LISTEN evil'),
    ('SET ROLE NONE'),
    ('SET SESSION AUTHORIZATION postgres'),
    ('CREATE ROLE regress_pg_org_evil SUPERUSER'),
    ('ALTER ROLE org SUPERUSER'),
    ('SELECT 1')) AS t (command);

-- Settings that a trigger changes are restored after the call.
SELECT with_trigger('SET search_path = evil, pg_catalog');
SELECT current_setting('search_path') AS search_path;
SELECT with_trigger('SET standard_conforming_strings = off');
SELECT with_trigger('SELECT set_config(''evil.setting'', ''x'', false)');
SELECT key_generate() IS NOT NULL AS made, current_setting('search_path') AS search_path,
       current_setting('standard_conforming_strings') AS standard_conforming_strings,
       coalesce(current_setting('evil.setting', true), '') AS setting,
       coalesce(current_setting('pg_org.call', true), '') AS call;
SELECT action, database_role = session_user AS by_caller, count(*) > 0 AS logged
  FROM org.audit_log WHERE kind = 'api_key' GROUP BY 1, 2 ORDER BY 1, 2;

-- Nobody has become a superuser.
SELECT rolname FROM pg_roles WHERE rolname = 'regress_pg_org_evil' OR rolname = 'org' AND rolsuper;

DROP SCHEMA evil CASCADE;
DROP TABLE test.ran, test.mine;
DROP FUNCTION test.mine(), test.with_trigger(text);
DROP OWNED BY regress_pg_org_gateway;
DROP ROLE regress_pg_org_gateway;
CALL clear();
