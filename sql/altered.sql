-- Tables that their owner has altered: a call that can't read them any more fails
-- with an error, and the session goes on.
\getenv checkout PG_ABS_SRCDIR
\set helpers :checkout /test/helpers.sql
\i :helpers
SET statement_timeout = '60s';

-- Every table gets a row, so that each call below finds something.
SELECT org_new('Altered', 'altered', max_budget => 100, model_max_budget => '{"m": 50}') ->> 'organization_id' AS made;
SELECT user_new('altered-user', max_budget => 10, auto_create_key => false) ->> 'user_id' AS made;
SELECT org_member_add('altered', '{"role": "org_admin", "user_id": "altered-user"}', 5) ->> 'organization_id' AS made;
SELECT team_new('altered', team_id => 'altered-team', max_budget => 10,
                members_with_roles => '[{"role": "admin", "user_id": "altered-user"}]') ->> 'team_id' AS made;
SELECT key_generate('altered-user', 'altered', 'altered-team', key => 'sk-altered', max_budget => 9,
                    model_max_budget => '{"m": 8}', metadata => '{"a": 1}') ->> 'key' AS made;
SELECT key_generate('default_user_id', key => 'sk-altered-admin') ->> 'key' AS made;
SELECT usage_record('sk-altered', 'm', 1, request_id => 'recorded') ->> 'cost' AS cost;
SELECT usage_reserve('sk-altered', 'm', 1, request_id => 'held') ->> 'model' AS model;
SELECT org_block('altered', 'altered-idempotency', 'request', 'sk-altered-admin') ->> 'blocked' AS blocked;
SELECT org_unblock('altered') ->> 'blocked' AS blocked;
SELECT json_array_length(org_events(0, 1)) AS events;

CREATE TABLE test.call (place serial, call text);
INSERT INTO test.call (call) VALUES
    ($$org_list(api_key => 'sk-altered-admin')$$), ($$org_info('altered', api_key => 'sk-altered')$$),
    ($$org_update('altered', 'Other', models => '{m}', max_budget => 99, metadata => '{"b": 2}')$$),
    ($$org_patch('altered', '{"metadata": {"a": {"b": 1}}, "max_budget": 7}', cascade => true)$$),
    ($$org_block('altered', 'altered-idempotency', 'request', 'sk-altered-admin')$$),
    ($$org_daily_activity('{altered}', '2020-01-01', '2100-01-01')$$), ($$org_audit('altered')$$),
    ($$org_events(0)$$), ($$event_claim()$$), ($$event_acknowledge(1)$$),
    ($$org_member_add('altered', '{"role": "internal_user", "user_email": "new@altered.example"}', 4)$$),
    ($$org_member_update('altered', 'altered-user', max_budget_in_organization => 6)$$),
    ($$user_update('altered-user', models => '{m}', max_budget => 8)$$),
    ($$user_info('altered-user', api_key => 'sk-altered-admin')$$), ($$user_list()$$),
    ($$team_update('altered-team', max_budget => 9, models => '{m}', metadata => '{"b": 2}')$$),
    ($$team_info('altered-team', api_key => 'sk-altered')$$), ($$team_list()$$),
    ($$team_member_update('altered-team', 'altered-user', max_budget_in_team => 2)$$),
    ($$key_generate('altered-user', 'altered', 'altered-team', max_budget => 1, models => '{m}')$$),
    ($$key_update('sk-altered', max_budget => 8, metadata => '{"b": 2}')$$),
    ($$key_info('sk-altered', api_key => 'sk-altered')$$), ($$key_list(organization_id => 'altered')$$),
    ($$key_regenerate('sk-altered', grace_period => '1h')$$),
    ($$budget_new('altered-budget', max_budget => 1)$$), ($$budget_list()$$),
    ($$usage_reserve('sk-altered', 'm', 0.5, request_id => 'new')$$),
    ($$usage_settle(0.5, 'held')$$), ($$usage_record('sk-altered', 'm', 0.5, request_id => 'more')$$),
    ($$usage_limits('sk-altered')$$), ($$usage_verify()$$), ($$usage_repair()$$),
    ($$org_member_delete('altered', 'altered-user')$$), ($$team_delete('{altered-team}')$$),
    ($$user_delete('{altered-user}')$$), ($$key_delete('{sk-altered}')$$), ($$org_delete('{altered}')$$),
    ($$org_warm_up()$$), ($$org_setup()$$);
-- Gives each call's answer after a change of the tables, and undoes all of it.
CREATE FUNCTION test.answers(change text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    call     text;
    answers  text[];
BEGIN
    BEGIN
        EXECUTE change;
        FOR call IN SELECT c.call FROM test.call c ORDER BY place LOOP
            BEGIN
                EXECUTE 'SELECT ' || call;
                RAISE SQLSTATE 'UNDO1';
            EXCEPTION WHEN SQLSTATE 'UNDO1' THEN
                answers = answers || 'ok'::text;
            WHEN OTHERS THEN
                answers = answers || (sqlstate || ' ' || sqlerrm);
            END;
        END LOOP;
        RAISE SQLSTATE 'UNDO1';
    EXCEPTION WHEN SQLSTATE 'UNDO1' THEN
        RETURN QUERY SELECT * FROM unnest(answers);
    END;
END $$;

-- Each call works while nothing is altered, also without the triggers and constraints that would refuse it first.
SELECT DISTINCT answers('SELECT') AS answer;
BEGIN;
\set ECHO none
\o /dev/null
SELECT format('DROP TRIGGER %I ON %s', tgname, tgrelid::regclass)
  FROM pg_trigger JOIN pg_class c ON c.oid = tgrelid
 WHERE relnamespace = 'org'::regnamespace AND NOT tgisinternal AND tgparentid = 0 ORDER BY 1
\gexec
SELECT format('ALTER TABLE %s DROP CONSTRAINT %I CASCADE', conrelid::regclass, conname)
  FROM pg_constraint WHERE connamespace = 'org'::regnamespace AND contype IN ('f', 'c') AND coninhcount = 0 ORDER BY 1
\gexec
\o
\set ECHO all
SELECT DISTINCT answers('SELECT') AS answer;

-- Columns get another type, lose a constraint or are dropped; rows are duplicated, suppressed by a rule or deleted.
SELECT place, answer
  FROM (VALUES
    (1, 'ALTER TABLE org.api_key ALTER key_alias TYPE bigint USING 1'),
    (2, 'ALTER TABLE org.api_key ALTER spend DROP DEFAULT, ALTER spend TYPE text USING ''x'''),
    (3, 'ALTER TABLE org.api_key ALTER models DROP DEFAULT, ALTER models TYPE bigint USING 1'),
    (4, 'DROP INDEX org.user_role_idx;
         ALTER TABLE org."user" ALTER user_role DROP DEFAULT, ALTER user_role TYPE boolean USING true'),
    (5, 'ALTER TABLE org.organization ALTER metadata DROP DEFAULT, ALTER metadata TYPE text[] USING ''{a}'''),
    (6, 'ALTER TABLE org.budget ALTER tpm_limit TYPE integer USING 1'),
    (7, 'ALTER TABLE org.usage_counter ALTER counted_at TYPE text USING ''x'''),
    (8, 'ALTER TABLE org.reservation ALTER max_tokens TYPE text USING ''x'''),
    (9, 'ALTER TABLE org.idempotency ALTER reply TYPE bigint USING 1'),
    (10, 'ALTER TABLE org.migration ALTER version TYPE text USING version::text'),
    (11, 'ALTER TABLE org.api_key ALTER models DROP NOT NULL; UPDATE org.api_key SET models = NULL'),
    (12, 'ALTER TABLE org."user" ALTER user_role DROP NOT NULL; UPDATE org."user" SET user_role = NULL'),
    (13, 'UPDATE org.organization SET model_aliases = ''[[1], "a"]'', metadata = ''"a"'''),
    (14, 'UPDATE org.budget SET max_budget = ''NaN'', model_max_budget = ''[1, {"m": 1}]'''),
    (15, 'UPDATE org.api_key SET models = ''{{NULL}, {m}}'''),
    (16, 'ALTER TABLE org.api_key DROP key_alias'),
    (17, 'ALTER TABLE org.usage_counter DROP held_cost'),
    (18, 'ALTER TABLE org.api_key DROP CONSTRAINT api_key_pkey CASCADE, DROP CONSTRAINT api_key_key_id_key CASCADE;
          INSERT INTO org.api_key SELECT * FROM org.api_key'),
    (19, 'CREATE RULE none AS ON INSERT TO org.api_key DO INSTEAD NOTHING'),
    (20, 'CREATE RULE none AS ON UPDATE TO org.usage_counter DO INSTEAD SELECT 1'),
    (21, 'DELETE FROM org.event_counter'))
       AS change (place, command), answers(command) AS answer
 WHERE answer ~ '^(55000|XX)' GROUP BY place, answer ORDER BY place, answer;
-- The same session still works.
SELECT DISTINCT answers('SELECT') AS answer;
ROLLBACK;
SELECT DISTINCT answers('SELECT') AS answer;

-- These triggers suppress the rows that a call inserts, updates or deletes.
CREATE FUNCTION test.nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
SELECT relation, masked(answer) AS answer
  FROM (VALUES ('api_key'), ('organization'), ('team'), ('"user"'), ('usage_counter'), ('budget')) AS changed (relation),
       answers(format('CREATE TRIGGER nothing BEFORE INSERT OR UPDATE OR DELETE ON org.%s'
                      ' FOR EACH ROW EXECUTE FUNCTION test.nothing()', relation)) AS answer
 WHERE answer <> 'ok' GROUP BY 1, 2 ORDER BY 1, 2;

-- Functions declared for another version of the extension have unnamed, differently typed or too few arguments.
CREATE FUNCTION test.without_names(text, text, text, text) RETURNS json LANGUAGE c AS '$libdir/pg_org', 'org_info';
CREATE FUNCTION test.without_arguments() RETURNS json LANGUAGE c AS '$libdir/pg_org', 'org_info';
CREATE FUNCTION test.of_another_type(organization_id bigint, api_key text) RETURNS json LANGUAGE c
    AS '$libdir/pg_org', 'org_info';
CREATE FUNCTION test.another_api_key(organization_id text, api_key bigint) RETURNS json LANGUAGE c
    AS '$libdir/pg_org', 'org_info';
CREATE FUNCTION test.jsonb_for_json(organization_id text, member jsonb, idempotency_key text, request_id text,
                                    api_key text) RETURNS json LANGUAGE c AS '$libdir/pg_org', 'org_member_add';
CREATE FUNCTION test.another_order(api_key text, organization_id text) RETURNS json LANGUAGE c
    AS '$libdir/pg_org', 'org_info';
SELECT attempt('without_names(''x'', NULL, NULL, NULL)'), attempt('without_arguments()'),
       attempt('of_another_type(1, NULL)'), attempt('another_api_key(''altered'', 1)'),
       attempt('jsonb_for_json(''altered'', ''{"role": "org_admin"}'', NULL, NULL, NULL)') \gx
SELECT attempt('another_order(NULL, ''nobody'')');

DROP FUNCTION test.without_names, test.without_arguments, test.of_another_type, test.another_api_key,
              test.jsonb_for_json, test.another_order;
DROP FUNCTION test.answers(text), test.nothing();
DROP TABLE test.call;
CALL clear();
