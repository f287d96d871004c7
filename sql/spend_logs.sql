-- Calls of the ledger, one by one: spend_logs and spend_logs_ui.
\getenv checkout PG_ABS_SRCDIR
\set helpers :checkout /test/helpers.sql
\i :helpers
SET timezone = 'UTC';

SELECT org_new('Acme', 'acme'), org_new('Beta', 'beta') \g /dev/null
SELECT user_new(id, auto_create_key => false) FROM unnest('{ann, bob, eve, lea, vera}'::text[]) AS id \g /dev/null
SELECT user_update('vera', user_role => 'proxy_admin_viewer') \g /dev/null
SELECT org_member_add('acme', '[{"role": "org_admin", "user_id": "ann"}, {"role": "internal_user", "user_id": "bob"},
                                {"role": "internal_user", "user_id": "lea"}]'),
       org_member_add('beta', '[{"role": "org_admin", "user_id": "eve"}, {"role": "internal_user", "user_id": "bob"}]')
       \g /dev/null
SELECT team_new('acme', 'Red', 'red', members_with_roles => '[{"role": "admin", "user_id": "lea"}]'),
       team_new(team_alias => 'Blue', team_id => 'blue', members_with_roles => '[{"role": "admin", "user_id": "lea"}]')
       \g /dev/null
SELECT key_generate(user_id, key => 'sk-' || user_id) FROM unnest('{ann, bob, eve, lea, vera}'::text[]) AS user_id
       \g /dev/null
SELECT key_generate(organization_id => 'acme', team_id => 'red', key_alias => 'ci', key => 'sk-red'),
       key_generate(organization_id => 'acme', user_id => 'bob', key => 'sk-bob-acme'),
       key_generate(organization_id => 'beta', user_id => 'bob', key => 'sk-bob-beta'),
       key_generate(team_id => 'blue', key => 'sk-blue'), key_generate(key => 'sk-lone') \g /dev/null
UPDATE org.api_key SET key_id = 'k-' || substr(secret, 4)
  FROM unnest('{sk-ann,sk-bob,sk-eve,sk-lea,sk-vera,sk-red,sk-bob-acme,sk-bob-beta,sk-blue,sk-lone}'::text[]) AS secret
 WHERE key_hash = encode(sha256(secret::bytea), 'hex');
UPDATE org.organization SET created_at = '2026-01-01Z';
UPDATE org.team SET created_at = '2026-01-01Z';
UPDATE org."user" SET created_at = '2026-01-01Z';
UPDATE org.api_key SET created_at = '2026-01-01Z';

SET pg_org.now = '2026-03-01 10:00:00Z';
SELECT usage_record('sk-red', 'gpt-4o', 0.5, 'red-1', 30, 4, 2, 1, tags => '{a,b}', end_user => 'cust') \g /dev/null
SELECT usage_reserve('sk-bob-acme', 'claude', 1, request_id => 'bob-1') \g /dev/null
SET pg_org.now = '2026-03-01 10:00:05.5Z';
SELECT usage_settle(2, 'bob-1') \g /dev/null
SET pg_org.now = '2026-03-01 23:30:00Z';
SELECT usage_record('sk-bob-beta', 'gpt-4o', 0.25, 'beta-1', failed => true),
       usage_record('sk-bob', 'gpt-4o', 4, 'own-1') \g /dev/null
SET pg_org.now = '2026-03-02 08:00:00Z';
SELECT usage_record('sk-blue', 'gpt-4o', 8, 'blue-1'), usage_record('sk-lone', 'claude', 16, 'lone-1'),
       usage_reserve('sk-red', 'gpt-4o', 1, request_id => 'red-2') \g /dev/null
SELECT usage_cancel('red-2') \g /dev/null
RESET pg_org.now;

-- This is a whole call; what the ledger does not record is null.
SELECT reply(spend_logs(request_id => 'red-1')) \g (format=unaligned tuples_only=on)
SELECT call -> 'request_id' AS request_id, call -> 'startTime' AS start, call -> 'endTime' AS end, call -> 'status' AS
       status, call -> 'state' AS state, call -> 'team_id' AS team_id, call -> 'organization_id' AS organization_id
  FROM json_array_elements(spend_logs()) AS call;

CREATE FUNCTION test.ids(calls json) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(call ->> 'request_id', ' ' ORDER BY place)
      FROM json_array_elements(calls) WITH ORDINALITY AS c (call, place)
$$;
-- Each filter narrows the list; what is empty does not.
SELECT filter, ids(spend_logs(request_id => f.request_id, key => f.key, user_id => f.user_id, team_id => f.team_id,
                              end_user => f.end_user, organization_id => f.organization_id, model => f.model,
                              status_filter => f.status_filter, min_spend => f.min_spend, max_spend => f.max_spend))
  FROM unnest('{"{}", "{\"request_id\": \"bob-1\"}", "{\"request_id\": \"none\"}", "{\"request_id\": \"\"}",
                "{\"key\": \"sk-red\"}", "{\"key\": \"k-red\"}", "{\"key\": \"sk-none\"}", "{\"key\": \"k-lone\"}",
                "{\"user_id\": \"bob\"}", "{\"user_id\": \"nobody\"}", "{\"user_id\": \"bob\", \"key\": \"k-bob\"}",
                "{\"user_id\": \"bob\", \"organization_id\": \"beta\"}", "{\"team_id\": \"red\"}",
                "{\"team_id\": \"blue\"}", "{\"team_id\": \"none\"}", "{\"team_id\": \"red\", \"key\": \"k-bob\"}",
                "{\"end_user\": \"cust\"}", "{\"end_user\": \"none\"}", "{\"organization_id\": \"acme\"}",
                "{\"organization_id\": \"nowhere\"}", "{\"model\": \"claude\"}", "{\"status_filter\": \"success\"}",
                "{\"status_filter\": \"failure\"}", "{\"min_spend\": 2}", "{\"max_spend\": 0.5}",
                "{\"min_spend\": 2, \"max_spend\": 4}"}'::json[]) AS filter,
       json_to_record(filter) AS f (request_id text, key text, user_id text, team_id text, end_user text,
                                    organization_id text, model text, status_filter text, min_spend numeric,
                                    max_spend numeric);

-- Dates are whole days of the time zone; times are to the point.  What counts is the end of a call.
SELECT start_date, end_date, timezone,
       ids(spend_logs(start_date => start_date, end_date => end_date, timezone => timezone, summarize => false))
  FROM (VALUES ('2026-03-02', NULL, NULL), (NULL, '2026-03-01', NULL), ('2026-03-01', '2026-03-01', NULL),
               ('2026-03-01', '2026-03-01', 'Europe/Berlin'), ('2026-03-02', '2026-03-02', 'Europe/Berlin'),
               ('2026-03-02', '2026-03-02', '+01:00'), ('2026-03-02', '2026-03-02', '-60'),
               ('2026-03-01', '2026-03-01', '480'), ('2026-03-01 10:00:05.5', '2026-03-01 23:30:00', NULL),
               ('2026-03-01T10:00:05.500001', '2026-03-01T23:29:59Z', NULL), ('2026-03-01 11:00:05', NULL, '-60'),
               ('2026-03-01T11:00:05Z', '2026-03-02T08:00:00+00:00', 'Asia/Tokyo'), ('', '', '')) AS t
       (start_date, end_date, timezone);

-- Each caller sees the calls of their own user or key, of the teams and organizations that they are an admin of, or all.
SELECT key, ids(spend_logs(api_key => key)) AS calls, ids(spend_logs_ui(api_key => key) -> 'data') =
       ids(spend_logs(api_key => key)) AS same, spend_logs_ui(api_key => key) -> 'total' AS total,
       ids(spend_logs(api_key => key, user_id => 'bob')) AS of_bob, ids(spend_logs(api_key => key, team_id => 'red'))
       AS of_red, ids(spend_logs(api_key => key, organization_id => 'beta')) AS of_beta,
       ids(spend_logs(api_key => key, end_user => 'cust')) AS for_cust,
       ids(spend_logs(api_key => key, request_id => 'red-1')) AS red_1, ids(spend_logs(api_key => key, key => 'sk-blue'))
       AS with_blue
  FROM unnest('{sk-vera,sk-ann,sk-lea,sk-bob,sk-eve,sk-bob-acme,sk-red,sk-blue,sk-lone}'::text[]) AS key;
-- Nobody sees the calls from before there was the organization, team or user.
UPDATE org.organization SET created_at = '2026-03-01 12:00:00Z' WHERE organization_id = 'acme';
UPDATE org.team SET created_at = '2026-03-01 12:00:00Z' WHERE team_id = 'red';
UPDATE org."user" SET created_at = '2026-03-01 12:00:00Z' WHERE user_id = 'bob';
SELECT key, ids(spend_logs(api_key => key)) AS calls
  FROM unnest('{sk-vera,sk-ann,sk-lea,sk-bob}'::text[]) AS key;
UPDATE org.organization SET created_at = '2026-01-01Z';
UPDATE org.team SET created_at = '2026-01-01Z';
UPDATE org."user" SET created_at = '2026-01-01Z';

-- Calls that two rights show are shown, counted and summed up once.
SELECT team_member_add('red', '{"role": "admin", "user_id": "bob"}') \g /dev/null
SELECT key_update('sk-bob-acme', team_id => 'red') \g /dev/null
SET pg_org.now = '2026-03-03 08:00:00Z';
UPDATE org.team_member SET created_at = '2026-01-01Z';
SELECT usage_record('sk-bob-acme', 'gpt-4o', 1, 'red-3') \g /dev/null
RESET pg_org.now;
SELECT key, ids(spend_logs(api_key => key)) AS calls, spend_logs_ui(api_key => key) -> 'total' AS total,
       (SELECT sum((day ->> 'spend')::numeric) FROM json_array_elements(spend_logs(summarize => true, api_key => key))
        AS day) AS spend
  FROM unnest('{sk-bob,sk-lea,sk-ann}'::text[]) AS key;

-- A key that moves or is deleted leaves its calls where they were made.
SELECT key_generate(organization_id => 'acme', key_alias => 'mover', key => 'sk-mover') \g /dev/null
UPDATE org.api_key SET key_id = 'k-mover', created_at = '2026-01-01Z' WHERE key_alias = 'mover';
SET pg_org.now = '2026-03-04 08:00:00Z';
SELECT usage_record('sk-mover', 'gpt-4o', 1, 'mover-1') \g /dev/null
SELECT key_update('sk-mover', organization_id => 'beta') \g /dev/null
SET pg_org.now = '2026-03-04 09:00:00Z';
SELECT usage_record('sk-mover', 'gpt-4o', 1, 'mover-2') \g /dev/null
RESET pg_org.now;
SELECT ids(spend_logs(key => 'sk-mover')) AS of_all, ids(spend_logs(key => 'k-mover', api_key => 'sk-ann')) AS in_acme,
       ids(spend_logs(key => 'k-mover', api_key => 'sk-eve')) AS in_beta, ids(spend_logs(api_key => 'sk-mover')) AS own;
-- Its new organization's name for it is not shown to the old one.
SELECT spend_logs(key => 'k-mover', api_key => 'sk-ann') -> 0 -> 'metadata' AS in_acme,
       spend_logs(key => 'k-mover', api_key => 'sk-eve') -> 0 -> 'metadata' AS in_beta;
SELECT key_delete('{sk-mover}') \g /dev/null
SELECT ids(spend_logs(key => 'k-mover')) AS by_token_id, ids(spend_logs(key => 'sk-mover')) AS by_secret;
SELECT call -> 'request_id' AS request_id, call -> 'api_key' AS api_key, call -> 'metadata' AS metadata
  FROM json_array_elements(spend_logs("limit" => 3)) AS call;

-- Pages by cursor neither repeat nor skip: each begins after the last request_id, or its end and request_id.
WITH RECURSIVE pages AS (
    SELECT 1 AS page, spend_logs("limit" => 4) AS calls
     UNION ALL
    SELECT page + 1, spend_logs("limit" => 4, after => calls -> -1 ->> 'request_id') FROM pages
     WHERE json_array_length(calls) = 4)
SELECT page, ids(calls) FROM pages;
SELECT ids(spend_logs(after => '2026-03-02T08:00:00.000000Z/lone-1')) AS after_lone,
       ids(spend_logs(after => '2026-03-01T00:00:00.000000Z/gone')) AS after_all,
       ids(spend_logs(after => 'own-1', api_key => 'sk-bob', "limit" => 2)) AS of_bob;
-- Numbered pages have totals.
SELECT page, ids(reply -> 'data') AS calls, reply -> 'total' AS total, reply -> 'page' AS number,
       reply -> 'page_size' AS page_size, reply -> 'total_pages' AS total_pages
  FROM generate_series(1, 4) AS page, spend_logs_ui(page => page, page_size => 4) AS reply;
SELECT ids(spend_logs_ui(model => 'claude', min_spend => 10, start_date => '2026-03-01', end_date => '2026-03-31') ->
           'data');

-- The sums of each day, which LiteLLM gives between two dates unless asked not to.
SELECT day FROM json_array_elements(spend_logs(start_date => '2026-03-01', end_date => '2026-03-02')) AS day;
SELECT day FROM json_array_elements(spend_logs(summarize => true, api_key => 'sk-ann')) AS day;
SELECT spend_logs(summarize => true, user_id => 'nobody') AS none,
       ids(spend_logs(start_date => '2026-03-02', end_date => '2026-03-02', "limit" => 2)) AS in_pages;

-- Only so many calls are counted, numbered, or listed without a limit.
INSERT INTO org.usage (organization_id, request_id, key_id, team_id, user_id, model, tags, state, max_cost, max_tokens,
                       reserved_at, expires_at, closed_at)
SELECT 'many-' || n % 3, 'm-' || lpad(n::text, 5, '0'), 'k-many', '', '', 'm', '{}', 'settled', 0, 0, t, t, t
  FROM generate_series(1, 10000) AS n, LATERAL (SELECT timestamptz '2026-02-01Z' + n * interval '1 second' AS t) AS u;
SELECT reply -> 'total' AS total, reply -> 'total_pages' AS total_pages, ids(reply -> 'data') AS calls
  FROM spend_logs_ui(page => 5000, page_size => 2) AS reply;
SELECT ids(spend_logs("limit" => 5, end_date => '2026-02-28')) AS newest_of_three;
SELECT json_array_length(spend_logs(end_date => '2026-02-28')) AS as_many;
-- Merged from all organizations, the list has the same calls as the whole ledger, sorted.
SELECT bool_and(ids(spend_logs("limit" => size)) = expected) AS by_cursor,
       bool_and(ids(spend_logs_ui(page => 3, page_size => size) -> 'data') = third) AS by_number
  FROM unnest('{1, 2, 3, 7, 12, 50, 333}'::integer[]) AS size,
       LATERAL (SELECT string_agg(request_id, ' ' ORDER BY closed_at DESC, request_id DESC) FILTER (WHERE place <= size),
                       string_agg(request_id, ' ' ORDER BY closed_at DESC, request_id DESC)
                           FILTER (WHERE place > 2 * size)
                  FROM (SELECT *, row_number() OVER (ORDER BY closed_at DESC, request_id DESC) AS place
                          FROM org.usage) AS u
                 WHERE place <= 3 * size) AS ledger (expected, third);
SELECT attempt(call) FROM unnest(ARRAY['spend_logs()', 'spend_logs_ui(page => 5001, page_size => 2)',
                                       'spend_logs_ui(page => 9223372036854775807, page_size => 1000)']) AS call;

-- These arguments are refused.
SELECT call, attempt(call) FROM unnest(ARRAY[
    'spend_logs("limit" => 0)', 'spend_logs("limit" => 1001)', 'spend_logs(after => ''unknown'')',
    'spend_logs(after => ''own-1'', api_key => ''sk-eve'')', 'spend_logs(status_filter => ''done'')',
    'spend_logs(start_date => ''yesterday'')', 'spend_logs(start_date => ''2026-02-30'')',
    'spend_logs(start_date => ''2026-03-01 24:00:00'')', 'spend_logs(start_date => ''2026-03-01 10:00'')',
    'spend_logs(end_date => ''2026-03-01T10:00:00.1234567'')', 'spend_logs(end_date => ''2026-03-01T10:00:00+01:00'')',
    'spend_logs(end_date => ''2026-03-01 '')', 'spend_logs(start_date => ''2026-03-02'', end_date => ''2026-03-01'')',
    'spend_logs(timezone => ''Mars'')', 'spend_logs(timezone => ''901'')', 'spend_logs(timezone => ''1.5'')',
    'spend_logs(summarize => true, "limit" => 1)', 'spend_logs(summarize => true, timezone => ''-60'')',
    'spend_logs_ui(page => 0)', 'spend_logs_ui(page_size => 0)', 'spend_logs_ui(page_size => 1001)',
    'spend_logs(api_key => ''sk-none'')']) AS call;

\set ECHO none
CALL test.clear();
DROP FUNCTION test.ids;
