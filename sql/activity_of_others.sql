-- Activity of teams, users, tags and end users, and days in other time zones than UTC.
\getenv checkout PG_ABS_SRCDIR
\set helpers :checkout /test/helpers.sql
\i :helpers

SELECT org_new('Acme', 'acme'), org_new('Beta', 'beta') \g /dev/null
SELECT user_new(id, user_alias => upper(id), auto_create_key => false)
  FROM unnest('{ann, bob, carl, dora, vera, nobody}'::text[]) AS id \g /dev/null
SELECT user_update('vera', user_role => 'proxy_admin_viewer') \g /dev/null
SELECT org_member_add('acme', '[{"role": "org_admin", "user_id": "ann"}, {"role": "internal_user", "user_id": "bob"},
                                {"role": "internal_user", "user_id": "carl"}, {"role": "internal_user", "user_id": "dora"}]'),
       org_member_add('beta', '[{"role": "internal_user", "user_id": "bob"}]') \g /dev/null
SELECT team_new('acme', 'One', 'one', members_with_roles => '[{"role": "admin", "user_id": "bob"}, {"role": "user", "user_id": "carl"}]'),
       team_new('acme', 'Two, with a comma', 'two,2', members_with_roles => '[{"role": "user", "user_id": "dora"}]'),
       team_new('beta', 'Three', 'three') \g /dev/null
SELECT key_generate(user_id, key => 'sk-' || user_id)
  FROM unnest('{ann, bob, carl, dora, vera, nobody}'::text[]) AS user_id \g /dev/null
SELECT key_generate('bob', organization_id => 'acme', team_id => 'one', key => 'sk-bob-one', key_alias => 'bob-one'),
       key_generate('carl', organization_id => 'acme', team_id => 'one', key => 'sk-carl-one', key_alias => 'carl-one'),
       key_generate('dora', organization_id => 'acme', team_id => 'two,2', key => 'sk-dora-two', key_alias => 'dora-two'),
       key_generate(organization_id => 'acme', key => 'sk-service', key_alias => 'service'),
       key_generate('bob', organization_id => 'beta', team_id => 'three', key => 'sk-bob-three', key_alias => 'bob-three') \g /dev/null
UPDATE org.organization SET created_at = '2026-01-01Z';
UPDATE org.team SET created_at = '2026-01-01Z';
UPDATE org."user" SET created_at = '2026-01-01Z';
UPDATE org.api_key SET key_id = 'k-' || key_alias, created_at = '2026-01-01Z' WHERE key_alias IS NOT NULL;

CREATE FUNCTION test.called(at timestamptz, key text, cost numeric, tags text[] DEFAULT NULL, end_user text DEFAULT NULL,
                            model text DEFAULT 'openai/gpt-4o')
RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('pg_org.now', at::text, true);
    RETURN usage_record(key, model, cost, prompt_tokens => 10, completion_tokens => 1, tags => tags,
                        end_user => end_user) ->> 'status';
END $$;
SELECT called('2026-03-01 01:00Z', 'sk-bob-one', 1, '{red, blue}', 'cust-1'),
       called('2026-03-01 23:30Z', 'sk-carl-one', 2, '{red}', 'cust-2'),
       called('2026-03-02 12:00Z', 'sk-dora-two', 4, '{blue}', 'cust-1', 'claude-3'),
       called('2026-03-02 13:00Z', 'sk-service', 8, '{"a,b"}', 'cust,3'),
       called('2026-03-03 00:15Z', 'sk-bob-three', 16, '{red}', 'cust-1'),
       called('2026-03-03 10:00Z', 'sk-bob', 32) \g /dev/null
RESET pg_org.now;

-- Each day with its spend in total and by entity, and the totals of the page.
CREATE FUNCTION test.told(reply json) RETURNS text LANGUAGE sql AS $$
    SELECT format('%s | %s', string_agg(format('%s: %s (%s)', day ->> 'date', day -> 'metrics' ->> 'spend',
                                               (SELECT string_agg(format('%s %s', key, value -> 'metrics' ->> 'spend'), ', '
                                                                  ORDER BY key)
                                                  FROM json_each(day -> 'breakdown' -> 'entities'))), '; ' ORDER BY place),
                  reply -> 'metadata' ->> 'total_spend')
      FROM json_array_elements(reply -> 'results') WITH ORDINALITY AS d (day, place)
$$;
SELECT told(team_daily_activity(NULL, '2026-03-01', '2026-03-31')) AS teams;
SELECT told(user_daily_activity(NULL, '2026-03-01', '2026-03-31')) AS users;
-- A call with two tags is in both of them, and once in the total.
SELECT told(tag_daily_activity(NULL, '2026-03-01', '2026-03-31')) AS tags;
SELECT told(customer_daily_activity(NULL, '2026-03-01', '2026-03-31')) AS customers;
-- The report of users is also there with all days on one page.
SELECT told(user_daily_activity_aggregated('bob', '2026-03-01', '2026-03-31')) AS bob,
       user_daily_activity_aggregated('bob', '2026-03-01', '2026-03-31') -> 'metadata' ->> 'total_pages' AS pages;
-- The whole reply for a day.
SELECT reply(team_daily_activity('{one}', '2026-03-01', '2026-03-01', key => 'sk-bob-one'))
    \g (format=unaligned tuples_only=on)

-- Names that are asked for, with commas in them, and names that are not wanted.
SELECT told(team_daily_activity('{"two,2"}', '2026-03-01', '2026-03-31')) AS team,
       told(tag_daily_activity('{"a,b"}', '2026-03-01', '2026-03-31')) AS tag,
       told(tag_daily_activity('{red,blue}', '2026-03-01', '2026-03-31')) AS tags,
       told(customer_daily_activity('{"cust,3"}', '2026-03-01', '2026-03-31')) AS customer;
SELECT told(team_daily_activity(NULL, '2026-03-01', '2026-03-31', exclude_team_ids => '{one,three}')) AS teams,
       told(customer_daily_activity(NULL, '2026-03-01', '2026-03-31', exclude_end_user_ids => '{cust-1}')) AS customers,
       told(org_daily_activity(NULL, '2026-03-01', '2026-03-31', exclude_organization_ids => '{beta}')) AS organizations;
SELECT told(customer_daily_activity('{cust-1}', '2026-03-01', '2026-03-31', model => 'claude-3')) AS of_model,
       told(customer_daily_activity('{cust-1}', '2026-03-01', '2026-03-31', key => 'sk-bob-one')) AS of_key,
       told(user_daily_activity('unknown', '2026-03-01', '2026-03-31')) AS of_nobody;
-- Pages have whole days.
SELECT page, told(user_daily_activity(NULL, '2026-03-01', '2026-03-31', page => page, page_size => 2)) AS told,
       told(tag_daily_activity(NULL, '2026-03-01', '2026-03-31', page => page, page_size => 2)) AS tags
  FROM unnest('{1, 2, 3, 9223372036854775807}'::bigint[]) AS page;

-- The report of spend by team or customer and day, or by key.
SELECT json_array_elements(spend_report('2026-03-01', '2026-03-31')) AS days;
SELECT json_array_elements(spend_report('2026-03-01', '2026-03-31', 'customer', timezone => 'Asia/Tokyo')) AS days;
SELECT json_array_elements(spend_report('2026-03-01', '2026-03-31', key => 'sk-bob-one')) AS of_key;
SELECT json_array_elements(spend_report('2026-03-01', '2026-03-31', 'customer', customer_id => 'cust-1',
                                        model => 'claude-3')) AS of_customer;
SELECT what, (SELECT string_agg(line ->> 'total_cost', ' ' ORDER BY (line ->> 'total_cost')::numeric)
                  FROM json_array_elements(report) AS line) AS costs
  FROM (VALUES ('all keys', spend_report('2026-03-01', '2026-03-31', 'api_key')),
               ('a team''s', spend_report('2026-03-01', '2026-03-31', 'api_key', team_id => 'one')),
               ('a team''s', spend_report('2026-03-01', '2026-03-31', 'customer', team_id => 'one')),
               ('a user''s', spend_report('2026-03-01', '2026-03-31', internal_user_id => 'bob')),
               ('a team''s for one', spend_report('2026-03-01', '2026-03-31', team_id => 'one', customer_id => 'cust-1')),
               ('nobody''s', spend_report('2026-03-01', '2026-03-31', team_id => 'one', internal_user_id => 'dora'))) AS reports (what, report);
SELECT arguments, attempt(format('spend_report(%s)', arguments))
  FROM unnest(ARRAY[$$'2026-03-01'$$, $$'2026-03-01', '2026-03-31', 'model'$$,
                    $$'2026-03-01', '2026-03-31', api_key => 'sk-ann'$$,
                    $$'2026-03-01', '2026-03-31', api_key => 'sk-bob'$$]) AS arguments;
SELECT json_array_length(spend_report('2026-03-01', '2026-03-31', api_key => 'sk-vera')) AS days_of_all,
       json_array_length(spend_report('2026-03-01', '2026-03-31', api_key => 'sk-ann')) AS days_of_acme;

-- Days in a time zone: of a name, of an offset, or of minutes west of UTC.
SELECT zone, told(org_daily_activity(NULL, '2026-03-01', '2026-03-31', timezone => zone)) AS organizations
  FROM unnest('{UTC, 0, Asia/Tokyo, +09:00, -540, America/Los_Angeles, -08, 480, +05:30, -330, ""}'::text[])
       WITH ORDINALITY AS z (zone, place) ORDER BY place;
SELECT told(org_daily_activity(NULL, '2026-03-02', '2026-03-02', timezone => 'Asia/Tokyo')) AS one_day,
       told(team_daily_activity('{one}', '2026-03-02', '2026-03-02', timezone => 'Asia/Tokyo')) AS of_team;
SELECT zone, attempt(format('org_daily_activity(NULL, %L, %L, timezone => %L)', '2026-03-01', '2026-03-31', zone))
  FROM unnest('{nowhere, localtime, EST+5, 960, 9e9, 1.5}'::text[]) AS zone;

-- Who sees what.
CREATE FUNCTION test.seen(function text, ids text) RETURNS TABLE (key text, seen text) LANGUAGE plpgsql AS $$
DECLARE
    call  text;
BEGIN
    FOREACH key IN ARRAY '{sk-vera, sk-ann, sk-bob, sk-carl, sk-dora, sk-nobody, sk-bob-one, sk-bob-three, sk-service}'::text[] LOOP
        call := format('%s(%s, %L, %L, api_key => %L)', function, ids, '2026-03-01', '2026-03-31', key);
        seen := attempt(call);
        IF seen = 'ok' THEN
            EXECUTE format('SELECT told(%s)', call) INTO seen;
        END IF;
        RETURN NEXT;
    END LOOP;
END $$;
SELECT * FROM seen('team_daily_activity', 'NULL');
SELECT * FROM seen('team_daily_activity', '''{one}''');
SELECT * FROM seen('team_daily_activity', '''{unknown}''');
SELECT * FROM seen('user_daily_activity', 'NULL');
SELECT * FROM seen('user_daily_activity', '''bob''');
SELECT * FROM seen('user_daily_activity', '''unknown''');
SELECT * FROM seen('user_daily_activity_aggregated', '''carl''');
SELECT * FROM seen('tag_daily_activity', 'NULL');
SELECT * FROM seen('customer_daily_activity', '''{cust-1}''');
-- A team can permit its members to see its activity.
SELECT team_permissions_update('one', '{/team/daily/activity}') \g /dev/null
SELECT * FROM seen('team_daily_activity', '''{one}''') WHERE key IN ('sk-carl', 'sk-dora');

-- Who comes later under the same identifier does not see what was before.
UPDATE org.team SET created_at = '2026-03-01 12:00Z' WHERE team_id = 'one';
UPDATE org."user" SET created_at = '2026-03-03 05:00Z' WHERE user_id = 'bob';
UPDATE org.organization SET created_at = '2026-03-02 12:30Z' WHERE organization_id = 'acme';
SELECT * FROM seen('team_daily_activity', '''{one}''') WHERE key IN ('sk-vera', 'sk-ann', 'sk-bob');
SELECT * FROM seen('user_daily_activity', '''bob''') WHERE key IN ('sk-vera', 'sk-bob');
SELECT * FROM seen('tag_daily_activity', 'NULL') WHERE key IN ('sk-vera', 'sk-ann');

-- Names survive their owners.
SELECT key_delete('{sk-bob-one}'), team_delete('{"two,2"}'), user_delete('{dora}'), org_delete('{beta}') \g /dev/null
CREATE FUNCTION test.names(reply json) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(DISTINCT format('%s = %s', thing.key, thing.value -> 'metadata' ->> name), ', ')
      FROM json_array_elements(reply -> 'results') AS day,
           unnest('{entities, api_keys}'::text[]) AS part, json_each(day -> 'breakdown' -> part) AS thing,
           unnest('{organization_alias, team_alias, user_alias, key_alias}'::text[]) AS name
     WHERE thing.value -> 'metadata' ->> name <> ''
$$;
SELECT names(org_daily_activity(NULL, '2026-03-01', '2026-03-31')) AS of_organizations;
SELECT names(team_daily_activity(NULL, '2026-03-01', '2026-03-31')) AS of_teams;
SELECT names(user_daily_activity(NULL, '2026-03-01', '2026-03-31')) AS of_users;

DROP FUNCTION test.names, test.seen, test.told, test.called;
CALL clear();
