-- usage_refusals: how many calls each limit has refused, hour by hour.
\getenv checkout PG_ABS_SRCDIR
\set helpers :checkout /test/helpers.sql
\i :helpers
\set usage :checkout /test/usage.sql
\i :usage
\set ECHO none
-- Asks for so many calls at once, and tells how many are refused.
CREATE FUNCTION test.ask(key text, tags text[] DEFAULT '{}', calls integer DEFAULT 1, end_user text DEFAULT NULL, cost numeric DEFAULT 0) RETURNS bigint LANGUAGE sql AS $$
    SELECT count(answer -> 'error')
      FROM json_array_elements(usage_reserve_many((
               SELECT json_agg(json_build_object('key', key, 'model', 'm', 'max_cost', cost, 'max_tokens', 1, 'tags', tags, 'end_user', end_user)) FROM generate_series(1, calls)))) AS answer
$$;
-- Shows the limits of a reply, one per row.
CREATE FUNCTION test.refusals(reply json)
RETURNS TABLE (organization_id text, owner text, id text, "limit" text, field text, per text, model text, tag text, each text, value text, hour text, refused text, last text) LANGUAGE sql AS $$
    SELECT r ->> 'organization_id', r ->> 'owner', r ->> 'id', r ->> 'limit', r ->> 'field', r ->> 'per', r ->> 'model', r ->> 'tag', r ->> 'each', r ->> 'value',
           substr(r ->> 'hour', 6, 11), r ->> 'refused', substr(r ->> 'last_refused_at', 6, 11)
      FROM json_array_elements(reply -> 'refusals') WITH ORDINALITY AS e (r, place) ORDER BY place
$$;
CREATE FUNCTION test.whose(reply json) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(concat(owner, ' ', id, ' ' || organization_id, ': ', refused), ', ' ORDER BY owner, id, organization_id) FROM refusals(reply)
$$;
-- Every owner of acme has a limit of its own tag that lets nothing through.
CREATE FUNCTION test.nothing(tag text) RETURNS json LANGUAGE sql AS $$
    SELECT json_build_array(json_build_object('limit', 'requests', 'value', 0, 'per', '1h', 'tag', tag))
$$;
CREATE PROCEDURE test.begin_with_limits() LANGUAGE plpgsql AS $$
BEGIN
    CALL begin_again();
    PERFORM user_new(id, auto_create_key => false) FROM unnest('{bob,olga,grace,zoe}'::text[]) AS id;
    PERFORM org_new('Beta', 'beta', limits => nothing('organization')),
            org_member_add('acme', '[{"role": "org_admin", "user_id": "olga"}, {"role": "internal_user", "user_id": "bob"}, {"role": "internal_user", "user_id": "grace"}]'),
            org_member_add('beta', '[{"role": "internal_user", "user_id": "ann"}, {"role": "org_admin", "user_id": "bob"}]'),
            team_member_add('red', '[{"role": "admin", "user_id": "grace"}, {"role": "user", "user_id": "bob"}]'),
            team_new(team_id => 'blue', limits => nothing('team'), members_with_roles => '[{"role": "admin", "user_id": "zoe"}]');
    PERFORM key_generate('bob', 'acme', key => 'sk-bob'), key_generate(organization_id => 'acme', key => 'sk-acme'), key_generate('ann', 'beta', key => 'sk-beta'),
            key_generate('zoe', key => 'sk-zoe'), key_generate('default_user_id', key => 'sk-gate'), key_generate('olga', key => 'sk-olga'), key_generate('grace', key => 'sk-grace'),
            key_generate('ann', key => 'sk-lone'), key_generate(team_id => 'blue', key => 'sk-blue'),
            key_generate('bob', 'beta', key => 'sk-two'), key_generate('bob', key => 'sk-free');
    PERFORM org_update('acme', limits => nothing('organization')), team_update('red', limits => nothing('team')), user_update('ann', limits => nothing('user'));
    PERFORM org_member_update('acme', id, limits => nothing('member')), team_member_update('red', id, limits => nothing('team_member')) FROM unnest('{ann,bob}'::text[]) AS id;
    PERFORM org_member_update('beta', 'bob', limits => nothing('member'));
    PERFORM key_update(key, limits => nothing('key')) FROM unnest('{sk-ann,sk-bob,sk-acme,sk-beta,sk-zoe,sk-blue}'::text[]) AS key;
    PERFORM customer_new('cust', limits => nothing('platform')), customer_new('cust', organization_id => 'acme', limits => nothing('end_user'));
    CALL settle_in();
    UPDATE org.end_user SET created_at = '2001-01-01Z';
    UPDATE org.api_key SET key_id = substr(secret, 4) FROM unnest('{sk-olga,sk-grace,sk-blue}'::text[]) AS secret WHERE key_hash = encode(sha256(secret::bytea), 'hex');
END $$;
SET client_min_messages = warning;
CALL begin_with_limits();
SET pg_org.now = '2030-06-12 10:59:59Z';
\set ECHO all

-- Counting -----------------------------------------------------------------------
-- A call counts for the limit that its refusal names, whatever of it is limited.
SELECT org_update('acme', max_budget => 1, budget_duration => '30d', rpm_limit => 1, max_parallel_requests => 1) \g /dev/null
SELECT ask('sk-ann', cost => 2), ask('sk-ann', cost => 2, calls => 3), ask('sk-ann', calls => 2), ask('sk-ann', '{team}', 5);
SELECT * FROM refusals(usage_refusals());
SELECT refused, last_refused_at FROM org.usage_refusal ORDER BY 1;
-- A reply as it is written.
SELECT reply(usage_refusals(page_size => 1)) \g (format=unaligned tuples_only=on)
SELECT usage_refusals(team_id => 'red') AS none;
-- Calls that are granted, refused for another reason or repeated are not counted, nor are those of a batch that is undone.
CALL begin_with_limits();
SELECT ask('sk-bob'), ask('sk-unknown'), usage_reserve_many('[{"key": "sk-bob", "request_id": "r"}, {"key": "sk-bob", "model": "m", "max_cost": -1}]') -> 0 -> 'error' ->> 'param' AS param;
SELECT key_block('sk-acme') \g /dev/null
SELECT ask('sk-acme', '{key}'), attempt($$usage_reserve('sk-bob', 'm', 0, 1, tags => '{key}')$$);
BEGIN;
SELECT ask('sk-bob', '{key}');
ROLLBACK;
SELECT total FROM json_to_record(usage_refusals()) AS t (total text);
-- Of limits that differ only in their fields, windows or scopes each has its own count; one that has another value keeps it.
SELECT key_update('sk-bob', max_budget => 0, budget_duration => '1d', rpd_limit => 0, limits => '[{"limit": "cost", "value": 0, "per": "1d", "model": "m"},
    {"limit": "requests", "value": 0, "per": "1d", "tag": "a"}, {"limit": "requests", "value": 0, "per": "2d", "tag": "a"}, {"limit": "tokens", "value": 5, "each": "model", "tag": "b"}]') \g /dev/null
SELECT ask('sk-bob', cost => 1), ask('sk-bob', '{a}', 2);
SELECT key_update('sk-bob', clear => '{rpd_limit,max_budget}') \g /dev/null
SELECT ask('sk-bob', cost => 1, calls => 3), ask('sk-bob', '{a}', 4);
SELECT key_update('sk-bob', limits => '[{"limit": "requests", "value": 0, "per": "2d", "tag": "a"}, {"limit": "tokens", "value": 0, "each": "model", "tag": "b"}]') \g /dev/null
SELECT ask('sk-bob', '{a}', 5), ask('sk-bob', '{b}', 6);
SELECT key_update('sk-bob', limits => '[{"limit": "cost", "value": 0.5, "each": "model", "tag": "b"}]') \g /dev/null
SELECT ask('sk-bob', '{b}', cost => 0.75);
SELECT key_update('sk-bob', limits => '[{"limit": "cost", "value": 0.25, "each": "model", "tag": "b"}]') \g /dev/null
SELECT ask('sk-bob', '{b}', cost => 0.75);
SELECT owner, id, "limit", field, per, model, tag, each, value, refused FROM refusals(usage_refusals());
-- A key and its budget may have limits that differ only in their values.
SELECT budget_new('same', limits => '[{"limit": "tokens", "value": 3}]') \g /dev/null
SELECT key_update('sk-acme', blocked => false, budget_id => 'same', limits => '[{"limit": "tokens", "value": 5}]') \g /dev/null
SELECT answer FROM answers(usage_reserve_many('[{"key": "sk-acme", "model": "m", "max_tokens": 6}, {"key": "sk-acme", "model": "m", "max_tokens": 4}]'));
SELECT owner, id, "limit", field, value, refused FROM refusals(usage_refusals(key => 'sk-acme'));
-- A limit for each of something has one row, so that nobody can fill the table.
SELECT org_update('acme', limits => '[{"limit": "requests", "value": 0, "per": "1h", "each": "end_user", "tag": "each"}]') \g /dev/null
SELECT sum(ask('sk-ann', '{each}', 1, 'cust-' || i)) FROM generate_series(1, 20) AS i;
SELECT owner, id, each, refused FROM refusals(usage_refusals()) WHERE each = 'end_user';
SELECT count(*) FROM org.usage_refusal WHERE each = 'end_user';

-- Hours ---------------------------------------------------------------------------------
CALL begin_with_limits();
SELECT ask('sk-ann', '{organization}', 2), ask('sk-ann', '{key}');
SET pg_org.now = '2030-06-12 11:00:00Z';
SELECT ask('sk-ann', '{organization}', 4);
SET pg_org.now = '2030-06-13 23:30:00Z';
SELECT org_update('acme', limits => '[{"limit": "requests", "value": 1, "per": "1h", "tag": "organization"}]') \g /dev/null
SELECT ask('sk-ann', '{organization}', 9), ask('sk-ann', '{key}', 16);
SELECT owner, value, hour, refused, last FROM refusals(usage_refusals(by_hour => true));
SELECT owner, value, hour, refused, last FROM refusals(usage_refusals(by_hour => false));
SELECT start_date, end_date, timezone, string_agg(concat(owner, ' ', refused), ', ' ORDER BY owner) AS refused
  FROM (VALUES ('2030-06-13', '2030-06-13', NULL), (NULL, '2030-06-12', NULL), ('2030-06-14', NULL, NULL), ('2030-06-14', NULL, 'Europe/Berlin'), ('2030-06-12 10:59:59', '2030-06-12', NULL),
               ('2030-06-12 11:00:00', '2030-06-12', NULL), ('2030-06-12 12:10:00', '2030-06-13', NULL), (NULL, '2030-06-12 10:20:00', NULL), ('2030-06-12T11:30:00Z', NULL, '-300')) AS asked (start_date, end_date, timezone)
  LEFT JOIN LATERAL refusals(usage_refusals(start_date => start_date, end_date => end_date, timezone => timezone)) ON true
 GROUP BY 1, 2, 3 ORDER BY 1, 2, 3;
-- Pages.
SELECT page, owner, hour, refused, r ->> 'total' AS total, r ->> 'page' AS number, r ->> 'page_size' AS size, r ->> 'total_pages' AS pages
  FROM unnest('{1,2,3,4,9223372036854775807}'::bigint[]) AS page CROSS JOIN LATERAL usage_refusals(page => page, page_size => 2, by_hour => true) AS r LEFT JOIN LATERAL refusals(r) ON true;
SELECT attempt(call) FROM unnest(ARRAY['usage_refusals(page => 0)', 'usage_refusals(page_size => 0)', 'usage_refusals(page_size => 1001)', 'usage_refusals(start_date => ''yesterday'')',
    'usage_refusals(start_date => ''2030-06-13'', end_date => ''2030-06-12'')', 'usage_refusals(timezone => ''Nowhere'')', 'usage_refusals(api_key => ''sk-unknown'')']) AS call;
-- They are shown and kept for 35 days; the tables are not maintained in time.
BEGIN;
SET pg_org.now = '2030-07-17 10:59:59Z';
SELECT owner, refused FROM refusals(usage_refusals());
SET pg_org.now = '2030-07-17 11:00:01Z';
SELECT owner, refused FROM refusals(usage_refusals(start_date => '2030-01-01'));
SELECT count(*) FROM org.usage_refusal;
SELECT step FROM json_array_elements(org_maintain() -> 'steps') AS step WHERE step ->> 'step' = 'refusals_deleted';
SELECT count(*) FROM org.usage_refusal;
SELECT step FROM json_array_elements(org_maintain() -> 'steps') AS step WHERE step ->> 'step' = 'refusals_deleted';
SET pg_org.now = '2030-07-19 00:00:00Z';
SELECT whose(usage_refusals()), step, reply ->> 'is_complete' AS is_complete FROM org_maintain() AS reply, json_array_elements(reply -> 'steps') AS step WHERE step ->> 'step' = 'refusals_deleted';
SELECT count(*) FROM org.usage_refusal;
ROLLBACK;
SET pg_org.now = '2030-06-12 10:59:59Z';

-- Whose -----------------------------------------------------------------------------------
-- Each kind of owner, and who sees it.
CALL begin_with_limits();
SELECT sum(ask(key, ARRAY[tag], 1, 'cust')) FROM unnest('{sk-ann,sk-bob,sk-acme,sk-beta,sk-zoe,sk-blue,sk-lone,sk-two,sk-free}'::text[]) AS key, unnest('{organization,team,member,team_member,user,platform,end_user,key}'::text[]) AS tag;
SELECT organization_id, owner, id, refused FROM refusals(usage_refusals()) ORDER BY 2, 3, 1;
SELECT key, whose(usage_refusals(api_key => key)) AS refusals, usage_refusals(api_key => key) ->> 'total' AS total
  FROM unnest('{sk-gate,sk-olga,sk-grace,sk-ann,sk-bob,sk-acme,sk-beta,sk-zoe,sk-blue,sk-lone,sk-two,sk-free}'::text[]) AS key;
SELECT whose(usage_refusals(organization_id => 'acme')) AS acme, whose(usage_refusals(organization_id => 'acme', api_key => 'sk-lone')) AS of_ann, whose(usage_refusals(organization_id => 'beta', api_key => 'sk-olga')) AS of_others;
SELECT whose(usage_refusals(team_id => 'red')) AS red, whose(usage_refusals(team_id => 'blue')) AS blue, whose(usage_refusals(user_id => 'ann')) AS ann, whose(usage_refusals(user_id => 'ann', team_id => 'red')) AS ann_in_red,
       whose(usage_refusals(key => 'sk-ann')) AS by_secret, whose(usage_refusals(key => 'ann')) AS by_token_id, whose(usage_refusals(key => 'sk-unknown')) AS unknown, whose(usage_refusals(end_user => 'cust')) AS cust,
       whose(usage_refusals(end_user => 'cust', organization_id => 'acme')) AS cust_of_acme \gx
-- A viewer of the platform sees all; who was admin of a team sees its refusals no more.
SELECT user_update('zoe', user_role => 'proxy_admin_viewer') \g /dev/null
SELECT usage_refusals(api_key => 'sk-zoe') ->> 'total' = usage_refusals() ->> 'total' AS sees_all;
SELECT user_update('zoe', user_role => 'internal_user'), team_member_update('red', 'grace', role => 'user') \g /dev/null
SELECT whose(usage_refusals(api_key => 'sk-grace')) AS of_member;
-- With an owner that is moved or deleted its counts go, and one of the same name begins with none.
SELECT key_update('sk-zoe', organization_id => 'beta'), team_update('blue', organization_id => 'beta') \g /dev/null
SELECT whose(usage_refusals());
SELECT key_delete('{sk-bob}'), team_member_delete('red', 'bob'), customer_delete('{cust}'), customer_delete('{cust}', 'acme') \g /dev/null
SELECT whose(usage_refusals());
SELECT org_member_delete('acme', 'ann'), user_delete('{ann}'), team_delete('{red}') \g /dev/null
SELECT whose(usage_refusals());
SELECT org_delete('{acme}') \g /dev/null
SELECT org_new('Acme', 'acme') \g /dev/null
SELECT whose(usage_refusals());
SELECT org_delete('{beta}'), user_delete('{zoe}') \g /dev/null
SELECT count(*) FROM org.usage_refusal;

\set ECHO none
RESET pg_org.now;
DROP FUNCTION test.ask, test.whose, test.refusals, test.nothing;
DROP PROCEDURE test.begin_with_limits;
CALL test.clear();
