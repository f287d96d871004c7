-- The audit log records every change and who made it in the same transaction, and nobody can rewrite it.
\getenv checkout PG_ABS_SRCDIR
\set helpers :checkout /test/helpers.sql
\i :helpers
\set ECHO none
SELECT org_new('A', 'A', max_budget => 5, request_id => 'req-1') \g /dev/null
SELECT user_new('ada', 'ada@example.com', auto_create_key => false) \g /dev/null
SELECT org_member_add('A', '{"role":"org_admin","user_id":"ada"}') \g /dev/null
SELECT key_generate(user_id => 'ada', key_alias => 'ada''s', key => 'sk-ada') ->> 'token_id' AS ada_key \gset
-- Lists the entries of an organization, oldest first.
CREATE FUNCTION test.log(organization_id text, api_key text DEFAULT NULL)
RETURNS TABLE (actor text, key boolean, action text, kind text, id text, request_id text, before text, after text)
LANGUAGE sql AS $$
    SELECT entry ->> 'actor', entry ->> 'key_id' IS NOT NULL, entry ->> 'action', entry ->> 'kind',
           test.masked(entry ->> 'id'), entry ->> 'request_id',
           coalesce(entry -> 'before' ->> 'organization_alias', entry -> 'before' ->> 'team_alias'),
           coalesce(entry -> 'after' ->> 'organization_alias', entry -> 'after' ->> 'team_alias')
      FROM json_array_elements(org_audit(organization_id, api_key => api_key)) WITH ORDINALITY AS e (entry, place)
     ORDER BY place DESC
$$;
\set ECHO all

-- Each entry names the user of the calling key, or default_user_id for the tables' owner.
SELECT team_new('A', 'Red', 'red', request_id => 'req-2', api_key => 'sk-ada') \g /dev/null
SELECT team_update('red', team_alias => 'Rot', api_key => 'sk-ada') \g /dev/null
SELECT key_generate(team_id => 'red', api_key => 'sk-ada') ->> 'key' AS red_key \gset
SELECT key_regenerate(:'red_key', api_key => 'sk-ada') ->> 'key' AS red_key \gset
SELECT org_update('A', organization_alias => 'B') \g /dev/null
SELECT * FROM test.log('A', 'sk-ada');

-- This is one whole entry; no entry contains a secret.
SELECT test.reply(json_array_elements(org_audit('A', "limit" => 1)));
SELECT count(*) FROM org.audit_log WHERE before::text || after::text ~ '[0-9a-f]{64}';

-- An update logs the fields that changed; a creation or deletion logs the whole row.
SELECT key_update(:'red_key', max_budget => 3, metadata => '{"a": 1}', api_key => 'sk-ada'),
       key_update(:'red_key', max_budget => 4, models => '{}', clear => '{}', api_key => 'sk-ada'),
       key_block(:'red_key', api_key => 'sk-ada') \g /dev/null
SELECT action, before, after FROM org.audit_log
 WHERE kind = 'api_key' AND action IN ('key_update', 'key_block') ORDER BY occurred_at;
SELECT action, (SELECT string_agg(name, ' ' ORDER BY name) FROM jsonb_object_keys(before) AS name) AS before,
       (SELECT string_agg(name, ' ' ORDER BY name) FROM jsonb_object_keys(after) AS name) AS after
  FROM org.audit_log WHERE action = 'key_regenerate' OR kind = 'membership' ORDER BY occurred_at;

-- Saving the same values and spending are no changes; a refused or rolled-back change leaves no entry.
SELECT count(*) AS entries FROM org.audit_log \gset
SELECT org_update('A', organization_alias => 'B') \g /dev/null
UPDATE org.organization SET spend = spend + 1, model_spend = '{"m": 1}';
SELECT test.attempt('org_update(''A'', max_budget => -1)');
BEGIN;
SELECT org_block('A') \g /dev/null
ROLLBACK;
SELECT count(*) - :entries AS more FROM org.audit_log;

-- Plain SQL is logged too, under the database role, and so are cascaded deletes.
CREATE ROLE biller;
GRANT USAGE ON SCHEMA org TO biller;
GRANT SELECT, UPDATE ON org.organization TO biller;
SET ROLE biller;
UPDATE org.organization SET organization_alias = 'billed' WHERE organization_id = 'A';
RESET ROLE;
SELECT org_delete('{A}') \g /dev/null
SELECT * FROM test.log('A') OFFSET 13;
TRUNCATE org.team_member;
SELECT action, kind, organization_id FROM org.audit_log ORDER BY occurred_at DESC LIMIT 1;

-- An organization's admins read its log; only proxy admins and viewers read entries of no organization.
SELECT org_new('C', 'C'), org_member_add('C', '{"role":"internal_user","user_id":"ada"}') \g /dev/null
SELECT test.attempt('org_audit(''C'', api_key => ''sk-ada'')');
SELECT test.attempt('org_audit(''A'', api_key => ''sk-ada'')');
SELECT test.attempt('org_audit('''', api_key => ''sk-ada'')');
SELECT test.attempt('org_audit(NULL)');
SELECT DISTINCT entry ->> 'kind' AS of_no_organization FROM json_array_elements(org_audit('')) AS entry ORDER BY 1;

-- Pages come newest first.
SELECT json_array_length(org_audit('A')) AS entries \gset
SELECT org_audit('A', "limit" => 4) -> 3 ->> 'audit_id' AS last \gset
SELECT json_array_length(org_audit('A', "limit" => 4)) AS page, json_array_length(org_audit('A', after => :'last')) = :entries - 4 AS rest;
SELECT bool_and(newer >= older) AS newest_first
  FROM (SELECT entry ->> 'occurred_at' AS older, lag(entry ->> 'occurred_at') OVER (ORDER BY place) AS newer
          FROM json_array_elements(org_audit('A')) WITH ORDINALITY AS e (entry, place)) AS pairs;
SELECT test.attempt('org_audit(''A'', "limit" => 0)');
SELECT test.attempt('org_audit(''A'', after => ''nothing'')');

-- What moves leaves one log and enters the other; for events, the key is gone there and new here.
SELECT org_new('From', 'from'), org_new('To', 'to'), team_new('from', team_id => 'moving',
                members_with_roles => '[{"role": "user", "user_id": "mover"}]') \g /dev/null
SELECT key_generate(organization_id => 'from', key => 'sk-alone', key_alias => 'alone'),
       key_generate('mover', team_id => 'moving', key => 'sk-with-team', key_alias => 'with team') \g /dev/null
SELECT key_update('sk-alone', organization_id => 'to', user_id => 'mover', key_alias => 'moved'),
       team_update('moving', organization_id => 'to', team_alias => 'Moved') \g /dev/null
SELECT organization_id, action, kind, before, after FROM org.audit_log
 WHERE organization_id IN ('from', 'to') AND action IN ('key_update', 'team_update')
   AND kind <> 'membership' ORDER BY kind, organization_id, before, after;
SELECT organization_id, kind, data - 'token_id' AS data FROM org.event
 WHERE organization_id IN ('from', 'to') AND kind LIKE 'key.%' ORDER BY organization_id, data ->> 'key_alias', kind;
SELECT org_delete('{from, to}'), user_delete('{mover}') \g /dev/null

-- The log only grows; only the owner can purge old entries.
SELECT test.attempt('UPDATE org.audit_log SET actor = NULL');
SELECT test.attempt('DELETE FROM org.audit_log');
SELECT test.attempt('TRUNCATE org.audit_log');
SELECT key_generate(user_id => 'default_user_id', key => 'sk-admin') \g /dev/null
SELECT test.attempt('org_audit_purge(now(), api_key => ''sk-admin'')');
SELECT test.attempt('org_audit_purge(NULL)');
SELECT org_audit_purge(now() - interval '1 hour');
SELECT (org_audit_purge(clock_timestamp()) ->> 'deleted')::bigint > 0 AS purged;
SELECT count(*) FROM org.audit_log;

\set ECHO none
REVOKE ALL ON org.organization FROM biller;
REVOKE ALL ON SCHEMA org FROM biller;
DROP ROLE biller;
DROP FUNCTION test.log;
CALL test.clear();
