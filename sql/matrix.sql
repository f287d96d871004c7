-- Authorization matrix: every kind of caller calls every function about organization
-- A, which is their own, or a foreign one for bea, ben and the keys of B.
-- A call that succeeds is undone immediately.
\getenv checkout PG_ABS_SRCDIR
\set helpers :checkout /test/helpers.sql
\i :helpers
\set ECHO none
SET client_min_messages = warning;

SELECT org_new('A', 'A', models => '{m1}'), org_new('B', 'B') \g /dev/null
SELECT user_new(id, sso_user_id => 'of-' || id, auto_create_key => false)
  FROM unnest('{vera,ada,ann,vic,bea,ben,sam}'::text[]) AS id \g /dev/null
SELECT user_update('vera', user_role => 'proxy_admin_viewer') \g /dev/null
SELECT org_member_add('A', '[{"role":"org_admin","user_id":"ada"},{"role":"internal_user","user_id":"ann"},{"role":"internal_user_viewer","user_id":"vic"}]') \g /dev/null
SELECT org_member_add('B', '[{"role":"org_admin","user_id":"bea"},{"role":"internal_user","user_id":"ben"}]') \g /dev/null
SELECT team_new('A', team_id => 'red', members_with_roles => '[{"role":"admin","user_id":"ann"}]') \g /dev/null
-- A team of the platform: ada is its admin, ben a member.
SELECT team_new(team_id => 'blue', members_with_roles => '[{"role":"admin","user_id":"ada"},{"role":"user","user_id":"ben"}]') \g /dev/null
SELECT budget_new('free') \g /dev/null
SELECT customer_new('cust', max_budget => 1), customer_new('cust', max_budget => 1, organization_id => 'A') \g /dev/null
SELECT key_generate(user_id => 'default_user_id', key => 'sk-admin'), key_generate(user_id => 'vera', key => 'sk-viewer'),
       key_generate(user_id => 'ada', key => 'sk-orgadmin'), key_generate(user_id => 'ann', key => 'sk-member'),
       key_generate(user_id => 'vic', key => 'sk-memberviewer'),
       key_generate(user_id => 'bea', key => 'sk-foreignadmin'), key_generate(user_id => 'ben', key => 'sk-foreign'),
       key_generate(user_id => 'sam', key => 'sk-stranger'), key_generate(key => 'sk-nobody'),
       key_generate(organization_id => 'A', key => 'sk-ofa'), key_generate(organization_id => 'B', key => 'sk-ofb'),
       key_generate(organization_id => 'A', team_id => 'red', user_id => 'ann', key => 'sk-annred', key_alias => 'red'),
       key_generate(team_id => 'blue', key => 'sk-blue'),
       key_generate(key => 'sk-usage', permissions => '{"usage":true}'),
       key_generate(organization_id => 'A', key => 'sk-usageofa', permissions => '{"usage":true}'),
       key_generate(organization_id => 'B', key => 'sk-usageofb', permissions => '{"usage":true}') \g /dev/null
SELECT usage_reserve('sk-annred', 'm1', request_id => 'held') \g /dev/null
SELECT usage_record(key, 'm1', 1) FROM unnest('{sk-annred,sk-ofa,sk-ofb,sk-blue,sk-stranger}'::text[]) AS key \g /dev/null
SELECT key_update(key, max_budget => 1) FROM unnest('{sk-annred,sk-ofa,sk-ofb,sk-blue,sk-stranger}'::text[]) AS key \g /dev/null
SELECT usage_reserve_many(json_agg(json_build_object('key', key, 'model', 'm1', 'max_cost', 1)))
  FROM unnest('{sk-annred,sk-ofa,sk-ofb,sk-blue,sk-stranger}'::text[]) AS key \g /dev/null
SELECT key_update(key, clear => '{max_budget}') FROM unnest('{sk-annred,sk-ofa,sk-ofb,sk-blue,sk-stranger}'::text[]) AS key \g /dev/null

CREATE FUNCTION test.token_id(secret text) RETURNS text LANGUAGE sql AS $$
    SELECT key_id FROM org.api_key WHERE key_hash = encode(sha256(secret::bytea), 'hex')
$$;

CREATE TABLE test.caller (place serial, caller text, key text);
INSERT INTO test.caller (caller, key) VALUES
    ('admin', 'sk-admin'), ('viewer', 'sk-viewer'), ('orgadmin', 'sk-orgadmin'), ('member', 'sk-member'),
    ('m.viewer', 'sk-memberviewer'), ('key of A', 'sk-ofa'), ('foreign admin', 'sk-foreignadmin'),
    ('foreign', 'sk-foreign'), ('key of B', 'sk-ofb'), ('stranger', 'sk-stranger'), ('no user', 'sk-nobody'),
    ('usage', 'sk-usage'), ('usage of A', 'sk-usageofa'), ('usage of B', 'sk-usageofb');

CREATE TABLE test.call (place serial, call text);
INSERT INTO test.call (call) VALUES
    ('org_new(''C''{})'), ('org_update(''A'', organization_alias => ''a''{})'), ('org_update(''A'', max_budget => 1{})'),
    ('org_patch(''A'', ''{"blocked":true}''{})'), ('org_delete(''{A}''{})'), ('org_info(''A''{})'),
    ('org_update(''A'', quotas => jsonb_build_object(){})'), ('org_update(''A'', guardrails => ''["g"]''{})'),
    ('org_info_many(''{A}''{})'), ('org_info_many(''{A,nowhere}''{})'), ('org_block(''A''{})'), ('org_unblock(''A''{})'), ('org_audit(''A''{})'),
    ('org_daily_activity(''{A}'', ''2026-01-01'', ''2026-01-31''{})'),
    ('org_daily_activity(NULL, ''2026-01-01'', ''2026-01-31''{})'),
    ('team_daily_activity(''{red}'', ''2026-01-01'', ''2026-01-31''{})'),
    ('user_daily_activity(NULL, ''2026-01-01'', ''2026-01-31''{})'),
    ('user_daily_activity_aggregated(NULL, ''2026-01-01'', ''2026-01-31''{})'),
    ('tag_daily_activity(NULL, ''2026-01-01'', ''2026-01-31''{})'),
    ('customer_daily_activity(NULL, ''2026-01-01'', ''2026-01-31''{})'),
    ('spend_report(''2026-01-01'', ''2026-01-31''{})'),
    ('spend_logs(NULL{})'), ('spend_logs(organization_id => ''A''{})'), ('spend_logs_ui(NULL{})'),
    ('audit_list(NULL{})'), ('audit_list(organization_id => ''A''{})'),
    ('audit_info((SELECT max(audit_id) FROM org.audit_log WHERE organization_id = ''A''){})'), ('audit_info(''none''{})'),
    ('org_audit(''''{})'), ('org_audit_purge(now(){})'),
    ('org_retention({})'), ('org_retention_update(event_days => 5{})'), ('org_maintain({})'), ('usage_archive(''2001-01-01''{})'),
    ('org_events(NULL{})'), ('org_events(organization_id => ''A''{})'), ('org_event_purge(now(){})'),
    ('org_warm_up()'), ('event_claim(NULL{})'), ('event_acknowledge(1{})'),
    ('org_member_add(''A'', ''{"role":"internal_user","user_id":"new"}''{})'),
    ('org_member_update(''A'', ''ann'', role => ''org_admin''{})'), ('org_member_delete(''A'', ''ann''{})'),
    ('user_new(''new''{})'), ('user_update(''ann'', user_alias => ''Ann''{})'),
    ('user_update(''ann'', user_email => ''a@b''{})'), ('user_update(''ann'', user_role => ''proxy_admin''{})'), ('user_update(''ann'', max_budget => 1{})'),
    ('user_update(''ann'', clear => ''{max_budget}''{})'),
    ('user_update(user_email => ''ann@example.com'', user_alias => ''Ann''{})'), ('user_update(''unknown''{})'),
    ('user_new(''new'', teams => ''["red"]'', organizations => ''{B}''{})'),
    ('user_bulk_update(''[{"user_id":"ann","user_alias":"Ann"}]''{})'), ('user_info_v2(''ann''{})'),
    ('user_filter(NULL{})'), ('user_available_roles({})'),
    ('user_info(''ann''{})'), ('user_reset_spend(''ann'', 0{})'), ('user_delete(''{ann}''{})'),
    ('team_new(''A''{})'), ('team_update(''red'', team_alias => ''Red''{})'), ('team_info(''red''{})'),
    ('team_delete(''{red}''{})'), ('team_block(''red''{})'), ('team_unblock(''red''{})'),
    ('team_member_add(''red'', ''{"role":"user","user_id":"ada"}''{})'),
    ('team_new(NULL{})'), ('team_update(''red'', max_budget => 1{})'), ('team_update(''red'', spend => 0{})'), ('team_update(''red'', organization_id => ''B''{})'),
    ('team_bulk_member_add(''red'', ''[{"role":"user","user_id":"ada"}]''{})'),
    ('team_bulk_member_add(''red'', all_users => true{})'), ('team_available(api_key => NULL)'),
    ('team_reset_spend(''red'', 0{})'), ('team_permissions_list(''red''{})'), ('team_permissions_update(''red'', ''{/key/update}''{})'),
    ('team_info(''blue''{})'), ('team_update(''blue'', team_alias => ''Blue''{})'), ('team_block(''blue''{})'),
    ('team_delete(''{blue}''{})'), ('team_member_add(''blue'', ''{"role":"user","user_id":"ada"}''{})'),
    ('key_generate(team_id => ''blue''{})'), ('key_update(''sk-blue'', max_budget => 1{})'), ('key_info(''sk-blue''{})'),
    ('team_member_update(''red'', ''ann'', role => ''user''{})'), ('team_member_delete(''red'', ''ann''{})'),
    ('key_generate(organization_id => ''A''{})'), ('key_generate(team_id => ''red''{})'),
    ('key_generate(team_id => ''red'', organization_id => ''A'', user_id => ''ann''{})'),
    ('key_generate(user_id => ''ann''{})'), ('key_generate(user_id => ''default_user_id''{})'), ('key_generate(key => ''sk-chosen''{})'),
    ('key_generate(organization_id => ''A'', permissions => ''{"usage":true}''{})'),
    ('key_update(''sk-annred'', key_alias => ''mine''{})'), ('key_update(''sk-annred'', max_budget => 1{})'),
    ('key_generate(organization_id => ''A'', user_id => ''ben''{})'), ('key_generate(organization_id => ''A'', budget_id => ''free''{})'),
    ('key_service_account_generate(''red''{})'), ('sso_key(''of-ann''{})'),
    ('key_update(''sk-annred'', blocked => true{})'), ('key_update(''sk-annred'', allowed_routes => ''{/key/info}''{})'),
    ('key_update(''sk-annred'', budget_id => ''free''{})'), ('key_update(''sk-annred'', user_id => ''ada''{})'),
    ('key_update(''sk-annred'', organization_id => ''B''{})'), ('key_update(''sk-annred'', spend => 0{})'),
    ('key_bulk_update(''[{"key":"sk-annred"}]''{})'), ('key_reset_spend(''sk-annred'', 0{})'),
    ('key_info_many(''{sk-annred}''{})'), ('key_health({})'),
    ('key_regenerate(''sk-annred'', new_key => ''sk-chosen''{})'), ('key_regenerate(''sk-annred'', max_budget => 1{})'),
    ('key_update(''sk-annred'', permissions => ''{"usage":true}''{})'),
    ('key_update(''sk-annred'', permissions => ''{ }''{})'),
    ('key_info(''sk-annred''{})'), ('key_delete(''{sk-annred}''{})'), ('key_delete(key_aliases => ''{red}''{})'), ('key_regenerate(''sk-annred''{})'),
    ('key_regenerate(''sk-annred'', duration => ''1d''{})'),
    ('key_block(''sk-annred''{})'), ('key_unblock(''sk-annred''{})'),
    ('budget_new(''new''{})'), ('budget_update(''free'', max_budget => 1{})'), ('budget_info(''{free}''{})'),
    ('budget_list(NULL{})'), ('budget_delete(''free''{})'),
    ('customer_new(''new''{})'), ('customer_new(''new'', organization_id => ''A'', max_budget => 1{})'),
    ('customer_new(''new'', organization_id => ''A'', budget_id => ''free''{})'),
    ('customer_update(''cust'', alias => ''c''{})'), ('customer_update(''cust'', organization_id => ''A'', max_budget => 2{})'),
    ('customer_update(''cust'', organization_id => ''A'', budget_id => ''free''{})'),
    ('customer_update(''unknown'', organization_id => ''A''{})'),
    ('customer_info(''cust''{})'), ('customer_info(''cust'', ''A''{})'), ('customer_info(''unknown'', ''A''{})'),
    ('customer_list(NULL{})'), ('customer_list(''A''{})'), ('customer_list(''nowhere''{})'),
    ('customer_delete(''{cust}''{})'), ('customer_delete(''{cust}'', ''A''{})'),
    ('customer_block(''{cust}''{})'), ('customer_block(''{cust,new}'', ''A''{})'), ('customer_block(''{cust}'', ''nowhere''{})'),
    ('customer_unblock(''{cust}''{})'), ('customer_unblock(''{cust}'', ''A''{})'),
    ('usage_reserve(''sk-annred'', ''m1''{})'),
    ('usage_reserve_many(''[{"key":"sk-annred","model":"m1"}]''{})'),
    ('usage_settle(1, ''held''{})'), ('usage_settle_many(''[{"cost":1,"request_id":"held"}]''{})'),
    ('usage_cancel(''held''{})'), ('usage_extend(''held''{})'), ('usage_record(''sk-annred'', ''m1'', 1{})'),
    ('usage_reserve(model => ''m1'', token_id => test.token_id(''sk-annred''){})'),
    ('usage_limits(NULL{})'), ('usage_limits(''sk-annred''{})'),
    ('usage_refusals(NULL{})'), ('usage_refusals(organization_id => ''A''{})'),
    ('limit_try(''{"limit": "cost", "value": 1, "per": "1d"}'', ''A''{})'), ('limit_try(''{"limit": "cost", "value": 1, "per": "1d"}'', ''nowhere''{})'), ('limit_try(''{"limit": "cost", "value": 1, "per": "1d"}'', team_id => ''red''{})'),
    ('limit_try(''{"limit": "cost", "value": 1, "per": "1d"}'', team_id => ''blue''{})'), ('limit_try(''{"limit": "cost", "value": 1, "per": "1d"}'', ''A'', user_id => ''ann''{})'),
    ('limit_try(''{"limit": "cost", "value": 1, "per": "1d"}'', ''A'', ''red'', ''ann''{})'), ('limit_try(''{"limit": "cost", "value": 1, "per": "1d"}'', user_id => ''ann''{})'),
    ('limit_try(''{"limit": "cost", "value": 1, "per": "1d"}'', key => ''sk-annred''{})'), ('limit_try(''{"limit": "cost", "value": 1, "per": "1d"}'', key => ''sk-unknown''{})'),
    ('limit_try(''{"limit": "cost", "value": 1, "per": "1d"}'', ''A'', end_user => ''cust''{})'), ('limit_try(''{"limit": "cost", "value": 1, "per": "1d"}'', end_user => ''cust''{})'),
    ('usage_verify(NULL{})'), ('usage_verify(''A''{})'), ('usage_repair(NULL{})'), ('usage_repair(''A''{})'),
    ('usage_reset(''A''{})'), ('usage_reset(''B''{})'), ('usage_reset(''nowhere''{})'), ('usage_reset(''A'', team_id => ''red''{})'),
    ('usage_reset(''A'', team_id => ''unknown''{})'), ('usage_reset(team_id => ''red''{})'), ('usage_reset(team_id => ''blue''{})'),
    ('usage_reset(''A'', user_id => ''ann''{})'), ('usage_reset(''A'', user_id => ''sam''{})'), ('usage_reset(''nowhere'', user_id => ''ann''{})'),
    ('usage_reset(''A'', ''red'', ''ann''{})'), ('usage_reset(user_id => ''ann''{})'), ('usage_reset(user_id => ''unknown''{})'),
    ('usage_reset(key => ''sk-annred''{})'), ('usage_reset(key => ''sk-ofb''{})'), ('usage_reset(key => ''sk-blue''{})'),
    ('usage_reset(key => ''sk-unknown''{})'), ('usage_reset(''A'', end_user => ''cust''{})'), ('usage_reset(''A'', end_user => ''unknown''{})'),
    ('usage_reset(end_user => ''cust''{})'), ('usage_reset(''A'', end_user => ''cust'', "limit" => ''{"limit": "cost"}''{})'),
    ('org_update(''A'', limits => ''[{"limit": "cost", "value": 1}]''{})'), ('org_update(''A'', rpd_limit => 1{})'),
    ('org_member_update(''A'', ''ann'', limits => ''[{"limit": "cost", "value": 1}]''{})'),
    ('team_update(''red'', limits => ''[{"limit": "cost", "value": 1}]''{})'), ('team_update(''red'', team_member_budget => 1{})'),
    ('team_member_update(''red'', ''ann'', limits => ''[{"limit": "cost", "value": 1}]''{})'),
    ('user_update(''ann'', limits => ''[{"limit": "cost", "value": 1}]''{})'), ('user_update(''ann'', clear => ''{limits}''{})'),
    ('user_update(''ann'', max_parallel_requests => 1{})'), ('key_update(''sk-annred'', limits => ''[{"limit": "cost", "value": 1}]''{})'),
    ('key_update(''sk-annred'', temp_budget_increase => 1, temp_budget_expiry => ''2999-01-01''{})'), ('key_update(''sk-annred'', clear => ''{limits}''{})'),
    ('customer_update(''cust'', organization_id => ''A'', limits => ''[{"limit": "tokens", "value": 1}]''{})'),
    ('customer_update(''cust'', limits => ''[{"limit": "tokens", "value": 1}]''{})');

-- Gives yes or the SQLSTATE of the refusal, and undoes the call.
CREATE FUNCTION test.outcome(call text, key text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE 'SELECT ' || replace(replace(call, '({})', format('(api_key => %L)', key)), '{}',
                                  format(', api_key => %L', key));
    RAISE SQLSTATE 'YESOK';
EXCEPTION
    WHEN SQLSTATE 'YESOK' THEN RETURN 'yes';
    WHEN OTHERS THEN RETURN sqlstate;
END $$;

CREATE TABLE test.before AS SELECT test.fingerprint();
\set ECHO queries

-- A refusal is 42501; P0002 does not even reveal that the object exists.
SELECT replace(call, '{}', '') AS call, test.outcome(call, caller.key) AS outcome, caller.caller, caller.place AS column
  FROM test.call, test.caller ORDER BY call.place, caller.place
\crosstabview call caller outcome column

-- Lists show only the caller's own objects.
SELECT caller,
       json_array_length(org_list(api_key => key)) AS organizations, json_array_length(team_list(api_key => key)) AS teams,
       json_array_length(user_list(api_key => key) -> 'users') AS users, json_array_length(key_list(api_key => key) -> 'keys') AS keys,
       key_list(api_key => key, include_team_keys => true) ->> 'total_count' AS with_teams,
       team_list_v2(api_key => key) ->> 'total' AS teams_v2, user_list(api_key => key) ->> 'total' AS users_in_all,
       key_list(api_key => key) ->> 'total_count' AS keys_in_all, key_aliases(api_key => key) ->> 'total_count' AS aliases,
       json_array_length(spend_logs(api_key => key)) AS calls, spend_logs_ui(api_key => key) ->> 'total' AS calls_in_all,
       usage_refusals(api_key => key) ->> 'total' AS refusals
  FROM test.caller ORDER BY place;

-- The calls changed nothing.
SELECT test.fingerprint() = fingerprint AS unchanged FROM test.before;

-- Every function is in the matrix.
SELECT p.proname
  FROM pg_extension e
  JOIN pg_depend d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND d.classid = 'pg_proc'::regclass
  JOIN pg_proc p ON p.oid = d.objid
 WHERE e.extname = 'pg_org' AND NOT EXISTS (SELECT FROM test.call WHERE call LIKE p.proname || '(%')
 ORDER BY p.proname;

\set ECHO none
DROP TABLE test.call, test.caller, test.before;
DROP FUNCTION test.outcome, test.token_id;
CALL test.clear();
