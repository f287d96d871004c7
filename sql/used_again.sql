-- A reused identifier: an organization's log, events and activity begin with its creation, and exclude what an earlier
-- organization of the same identifier did. Proxy admins and viewers see everything.
\getenv checkout PG_ABS_SRCDIR
\set helpers :checkout /test/helpers.sql
\i :helpers
\set ECHO none
SELECT user_new(id, auto_create_key => false) FROM unnest('{old,new,vera}'::text[]) AS id \g /dev/null
SELECT user_update('vera', user_role => 'proxy_admin_viewer') \g /dev/null
SELECT key_generate(user_id => 'default_user_id', key => 'sk-admin'),
       key_generate(user_id => 'vera', key => 'sk-viewer'),
       key_generate(user_id => 'new', key => 'sk-new'),
       key_generate(key => 'sk-events', permissions => '{"events": true}') \g /dev/null
DELETE FROM org.event;
-- Shows what each caller sees of A: its log, its events and its spend.
CREATE FUNCTION test.told()
RETURNS TABLE (caller text, log text, events text, spent numeric) LANGUAGE sql AS $$
    SELECT key, CASE WHEN key = 'sk-events' THEN NULL ELSE
           (SELECT string_agg(entry ->> 'action', ' ' ORDER BY place DESC)
              FROM json_array_elements(org_audit('A', api_key => key)) WITH ORDINALITY AS e (entry, place)) END,
           (SELECT string_agg(event ->> 'kind', ' ' ORDER BY place)
              FROM json_array_elements(org_events(organization_id => 'A', api_key => key)) WITH ORDINALITY
                   AS e (event, place)),
           CASE WHEN key = 'sk-events' THEN NULL ELSE
           (org_daily_activity('{A}', '2000-01-01', '9999-12-31', api_key => key)
            -> 'metadata' ->> 'total_spend')::numeric
           END
      FROM unnest('{sk-admin,sk-viewer,sk-events,sk-new}'::text[]) AS key
$$;
\set ECHO all

-- The first organization has a settled call, and two calls that are settled after its deletion.
SELECT org_new('First', 'A', max_budget => 100), org_member_add('A', '{"role":"org_admin","user_id":"old"}') \g /dev/null
SELECT key_generate(organization_id => 'A', key => 'sk-of-first') \g /dev/null
SELECT usage_record('sk-of-first', 'm', 1, 'recorded'), usage_reserve('sk-of-first', 'm', 2, request_id => 'late'),
       usage_reserve('sk-of-first', 'm', 4, request_id => 'later') \g /dev/null
SELECT org_delete('{A}') \g /dev/null
SELECT max(audit_id) AS entry_of_first FROM org.audit_log WHERE organization_id = 'A' AND action = 'org_delete' \gset
SELECT usage_settle(2, 'late') \g /dev/null

-- The second organization belongs to another customer.
SELECT org_new('Second', 'A', max_budget => 100), org_member_add('A', '{"role":"org_admin","user_id":"new"}') \g /dev/null
SELECT now() + interval '2 days' AS in_two_days \gset
SET pg_org.now = :'in_two_days';
SELECT usage_settle(4, 'later') \g /dev/null
RESET pg_org.now;
SELECT * FROM told();
-- A page can't begin after an entry of the first organization.
SELECT attempt(format('org_audit(''A'', after => %L, api_key => ''sk-new'')', :'entry_of_first')) AS admin,
       attempt(format('org_audit(''A'', after => %L, api_key => ''sk-viewer'')', :'entry_of_first')) AS viewer;
SELECT string_agg(event ->> 'kind', ' ') AS all_events_of_new
  FROM json_array_elements(org_events(api_key => 'sk-new')) AS event;

-- The second organization's spend counts from the first day on, also with keys that are deleted by then.
SELECT key_generate(organization_id => 'A', key => 'sk-of-second', user_id => 'new'),
       usage_record('sk-of-second', 'm', 8), usage_record('sk-of-second', 'm', 16), key_delete('{sk-of-second}') \g /dev/null
SELECT * FROM told();
SELECT usage_verify();

-- The sums by day are the same after a repair.
DELETE FROM org.usage_daily;
SELECT json_array_length(usage_repair()) > 0 AS repaired;
SELECT caller, spent FROM told();

-- A key of the organization with the permission events sees no more events than its admins.
SELECT key_generate(organization_id => 'A', key => 'sk-events-of-a', permissions => '{"events": true}') \g /dev/null
SELECT count(*) FILTER (WHERE event ->> 'kind' = 'organization.created') AS created,
       count(*) FILTER (WHERE event ->> 'kind' = 'organization.deleted') AS deleted
  FROM json_array_elements(org_events(api_key => 'sk-events-of-a')) AS event;

\set ECHO none
DROP FUNCTION test.told;
CALL test.clear();
