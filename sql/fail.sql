-- Errors of rules have a mark that distinguishes them from PostgreSQL's own errors.
\getenv checkout PG_ABS_SRCDIR
\set helpers :checkout /test/helpers.sql
\i :helpers

-- Gives the SQLSTATE, schema, column and message of a command's error.
CREATE FUNCTION test.failure(command text, OUT code text, OUT schema text, OUT argument text, OUT message text)
LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE command;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, schema = SCHEMA_NAME, argument = COLUMN_NAME,
                            message = MESSAGE_TEXT;
END $$;
SELECT org_new('Acme', 'acme', max_budget => 1), key_generate(organization_id => 'acme', key => 'sk-acme') \g /dev/null

-- These are errors of rules, one of each kind.
SELECT failure.* FROM unnest(ARRAY[
    $$SELECT org_new('Beta', max_budget => -1)$$, $$SELECT org_new(NULL)$$, $$SELECT org_info('acme', api_key => 'sk-nobody')$$,
    $$SELECT org_new('Beta', api_key => 'sk-acme')$$, $$SELECT org_info('nowhere')$$, $$SELECT org_new('Acme', 'acme')$$,
    $$SELECT org_new('Beta', budget_id => 'none')$$, $$SELECT org_patch('acme', '{}', if_match => '"0"')$$,
    $$SELECT usage_reserve('sk-acme', 'm', 2)$$, $$SELECT usage_settle(1, 'never')$$]) WITH ORDINALITY AS t (command, place),
    failure(command) ORDER BY place;
-- These are PostgreSQL's own errors; no schema can have the name that marks a rule's error.
SELECT failure.* FROM unnest(ARRAY[
    $$INSERT INTO org.organization (organization_id) VALUES (NULL)$$, $$SELECT 1 / 0$$, $$CREATE SCHEMA pg_org$$])
    WITH ORDINALITY AS t (command, place), failure(command) ORDER BY place;
-- A trigger can mark its error as a rule's error.
CREATE FUNCTION test.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.organization_alias = 'Said' THEN
        RAISE EXCEPTION 'no % here', NEW.organization_alias USING SCHEMA = 'pg_org', COLUMN = 'organization_alias';
    END IF;
    RAISE EXCEPTION 'no % here', NEW.organization_alias;
END $$;
CREATE TRIGGER refuse BEFORE INSERT ON org.organization FOR EACH ROW EXECUTE FUNCTION test.refuse();
SELECT failure.* FROM unnest('{Said,Unsaid}'::text[]) AS alias, failure(format('SELECT org_new(%L)', alias));
DROP FUNCTION test.refuse CASCADE;
DROP FUNCTION test.failure;
CALL clear();
