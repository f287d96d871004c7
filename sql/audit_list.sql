-- The audit log in LiteLLM's shape: audit_list and audit_info.
\getenv checkout PG_ABS_SRCDIR
\set helpers :checkout /test/helpers.sql
\i :helpers
SET timezone = 'UTC';

SELECT user_new(id, auto_create_key => false) FROM unnest('{ann, bob, eve, vera}'::text[]) AS id \g /dev/null
SELECT user_update('vera', user_role => 'proxy_admin_viewer') \g /dev/null
SELECT key_generate(user_id, key => 'sk-' || user_id) FROM unnest('{ann, bob, eve, vera}'::text[]) AS user_id
       \g /dev/null
SELECT org_new('Acme', 'acme'), org_new('Beta', 'beta') \g /dev/null
SELECT org_member_add('acme', '[{"role": "org_admin", "user_id": "ann"}, {"role": "internal_user", "user_id": "bob"}]'),
       org_member_add('beta', '{"role": "org_admin", "user_id": "eve"}') \g /dev/null
SELECT team_new('acme', 'Red', 'red', api_key => 'sk-ann') \g /dev/null
SELECT team_update('red', team_alias => 'Rot', api_key => 'sk-ann') \g /dev/null
SELECT team_block('red') \g /dev/null
SELECT team_unblock('red') \g /dev/null
SELECT team_member_add('red', '{"role": "user", "user_id": "bob"}', api_key => 'sk-ann') \g /dev/null
SELECT key_generate(organization_id => 'acme', key_alias => 'ci', api_key => 'sk-ann') ->> 'token_id' AS token_id \gset
SELECT key_regenerate(:'token_id', api_key => 'sk-ann') \g /dev/null
SELECT key_delete(key_aliases => '{ci}', api_key => 'sk-ann') \g /dev/null
SELECT customer_new('cust', max_budget => 1) \g /dev/null
SELECT org_delete('{beta}') \g /dev/null
SELECT org_new('Beta', 'beta') \g /dev/null
SELECT org_member_add('beta', '{"role": "org_admin", "user_id": "eve"}') \g /dev/null

-- This is a whole entry.
SELECT reply(audit_list(object_id => 'red', action => 'blocked')) \g (format=unaligned tuples_only=on)

CREATE FUNCTION test.shown(entries json) RETURNS TABLE (action text, table_name text, object_id text, changed_by text,
                                                        organization_id text)
LANGUAGE sql AS $$
    SELECT entry ->> 'action', entry ->> 'table_name', masked(entry ->> 'object_id'), entry ->> 'changed_by',
           entry ->> 'organization_id'
      FROM json_array_elements(entries -> 'audit_logs') WITH ORDINALITY AS e (entry, place) ORDER BY place
$$;
-- The newest come first, unless asked otherwise.
SELECT * FROM shown(audit_list(page_size => 1000, organization_id => 'acme'));
SELECT * FROM shown(audit_list(sort_order => 'asc', sort_by => 'updated_at', page_size => 3));
SELECT DISTINCT entry ->> 'table_name' AS table_name
  FROM json_array_elements(audit_list(page_size => 1000) -> 'audit_logs') AS entry ORDER BY 1;

-- Each filter narrows the list; what is empty does not.
CREATE FUNCTION test.count(entries json) RETURNS text LANGUAGE sql AS $$ SELECT entries ->> 'total' $$;
SELECT count(audit_list(changed_by => 'ann')) AS by_ann, count(audit_list(changed_by => 'nobody')) AS by_nobody,
       count(audit_list(changed_by_api_key => (SELECT key_id FROM org.api_key WHERE user_id = 'ann'))) AS with_her_key,
       count(audit_list(action => 'rotated')) AS rotated, count(audit_list(action => 'unblocked')) AS unblocked,
       count(audit_list(table_name => 'LiteLLM_TeamTable')) AS of_teams, count(audit_list(table_name => 'team')) AS none,
       count(audit_list(object_id => 'red/bob')) AS of_member, count(audit_list(object_id => '')) =
       count(audit_list()) AS of_all, count(audit_list(organization_id => 'acme', action => 'deleted')) AS in_acme;
SELECT count(audit_list(start_date => '2999-01-01')) AS later, count(audit_list(end_date => '2026-01-01')) AS earlier,
       count(audit_list(start_date => '2026-01-01', timezone => '-60')) = count(audit_list()) AS since_then;

-- Pages are counted.
SELECT reply -> 'page' AS page, reply -> 'page_size' AS page_size, reply -> 'total' AS total,
       reply -> 'total_pages' AS total_pages, json_array_length(reply -> 'audit_logs') AS entries
  FROM generate_series(1, 4) AS page, audit_list(page => page, page_size => 2, changed_by => 'ann',
                                                 table_name => 'LiteLLM_VerificationToken') AS reply;
SELECT string_agg(action || ' ' || table_name, ', ') AS pages
  FROM generate_series(1, 3) AS page, shown(audit_list(page => page, page_size => 2, changed_by => 'ann'));

-- Organizations' admins see what is theirs, since it was created.
SELECT key, count(audit_list(api_key => key, organization_id => organization_id)) AS entries,
       count(audit_list(api_key => key, organization_id => organization_id)) = count(audit_list(api_key => key)) AS only
  FROM (VALUES ('sk-ann', 'acme'), ('sk-eve', 'beta')) AS c (key, organization_id);
SELECT * FROM shown(audit_list(api_key => 'sk-eve'));
SELECT count(audit_list(api_key => 'sk-vera')) = count(audit_list()) AS viewer_sees_all;
SELECT key, attempt(format('audit_list(organization_id => %L, api_key => %L)', organization_id, key))
  FROM (VALUES ('sk-bob', NULL), ('sk-bob', 'acme'), ('sk-ann', 'beta'), ('sk-ann', 'nowhere'), ('sk-vera', 'nowhere'))
       AS c (key, organization_id);

-- One entry by its identifier.
SELECT entry ->> 'id' AS of_acme FROM json_array_elements(audit_list(object_id => 'red') -> 'audit_logs') AS entry
 LIMIT 1 \gset
SELECT audit_info(:'of_acme')::text = (audit_list(object_id => 'red', page_size => 1) -> 'audit_logs' -> 0)::text AS same,
       audit_info(:'of_acme', 'sk-ann')::text = audit_info(:'of_acme', 'sk-vera')::text AS admin_sees_it;
SELECT key, masked(attempt(format('audit_info(%L, %L)', id, key)))
  FROM (VALUES ('sk-vera', 'none'), ('sk-ann', 'none'), ('sk-eve', :'of_acme'), ('sk-bob', :'of_acme')) AS c (key, id);

-- Only so many entries are counted and numbered.
INSERT INTO org.audit_log (organization_id, occurred_at, database_role, action, kind, id)
SELECT 'many-' || n % 3, timestamptz '2026-02-01Z' + n * interval '1 second', 'x', 'INSERT', 'team', n::text
  FROM generate_series(1, 10001) AS n;
SELECT reply ->> 'total' AS total, reply ->> 'total_pages' AS total_pages, string_agg(object_id, ' ') AS entries
  FROM audit_list(page => 5000, page_size => 2, end_date => '2026-02-28') AS reply, shown(reply) GROUP BY 1, 2;
SELECT string_agg(object_id, ' ') AS oldest
  FROM shown(audit_list(sort_order => 'asc', page => 2, page_size => 4, end_date => '2026-02-28'));
SELECT string_agg(object_id, ' ') AS newest FROM shown(audit_list(page_size => 3, end_date => '2026-02-28'));

-- These arguments are refused.
SELECT call, attempt(call) FROM unnest(ARRAY[
    'audit_list(page => 0)', 'audit_list(page_size => 0)', 'audit_list(page_size => 1001)',
    'audit_list(page => 5001, page_size => 2)', 'audit_list(action => ''done'')', 'audit_list(sort_by => ''action'')',
    'audit_list(sort_order => ''up'')', 'audit_list(start_date => ''x'')', 'audit_list(timezone => ''x'')',
    'audit_info(NULL)', 'audit_list(api_key => ''sk-none'')']) AS call;

\set ECHO none
CALL test.clear();
DROP FUNCTION test.shown, test.count;
