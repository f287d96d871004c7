-- Budgets: they are made with an owner, attached, changed, copied before a change if
-- shared, and deleted with their last owner; budget_info.
\getenv checkout PG_ABS_SRCDIR
\set helpers :checkout /test/helpers.sql
\i :helpers

-- Lists the budgets with their owners; generated identifiers are masked.
CREATE VIEW test.owned AS
    SELECT 'organization ' || organization_id AS owner, budget_id FROM org.organization
    UNION ALL SELECT 'member ' || organization_id || ' ' || user_id, budget_id FROM org.membership
    UNION ALL SELECT concat_ws(' ', 'team member', organization_id, team_id, user_id), budget_id FROM org.team_member;
CREATE FUNCTION test.budgets() RETURNS TABLE (
    budget text, owners text[], max_budget numeric, soft_budget numeric, tpm_limit bigint, rpm_limit bigint,
    parallel bigint, by_model jsonb, duration text, resets boolean, auto_created boolean) LANGUAGE sql AS $$
    SELECT masked(b.budget_id), array_agg(owner ORDER BY owner COLLATE "C"), b.max_budget, b.soft_budget, b.tpm_limit,
           b.rpm_limit, b.max_parallel_requests, b.model_max_budget, b.budget_duration, b.budget_reset_at IS NOT NULL,
           b.auto_created
      FROM org.budget b LEFT JOIN owned USING (budget_id)
     GROUP BY b.budget_id ORDER BY min(owner COLLATE "C"), 1
$$;

-- Made with the organization --------------------------------------------------
SELECT org_new('None', 'none'), org_new('All', 'all', max_budget => 7, soft_budget => 6, tpm_limit => 5, rpm_limit => 4,
       max_parallel_requests => 3, model_max_budget => '{"m": 2}', budget_duration => '1d'),
       org_new('Zero', 'zero', max_budget => 0) \g /dev/null
SELECT * FROM budgets();

-- Attached --------------------------------------------------------------------
CALL clear();
INSERT INTO org.budget (budget_id, max_budget, soft_budget, tpm_limit, rpm_limit, max_parallel_requests,
                        model_max_budget, budget_duration, budget_reset_at)
VALUES ('gold', 100, 90, 80, 70, 60, '{"m": 50}', '30d', '2026-12-31Z');
INSERT INTO org.budget (budget_id, max_budget) VALUES ('silver', 50);
SELECT org_new('A', 'a', budget_id => 'gold') -> 'litellm_budget_table' -> 'max_budget' AS max_budget;
SELECT org_new('B', 'b', budget_id => 'gold', max_budget => NULL, model_max_budget => NULL)
       ->> 'budget_id' AS budget_id;
SELECT * FROM budgets();
SELECT call, attempt(call) FROM (VALUES
    ($$org_new('C', budget_id => 'nowhere')$$),
    ($$org_new('C', budget_id => '')$$),
    ($$org_new('C', budget_id => 'GOLD')$$),
    ($$org_new('C', budget_id => 'gold', max_budget => 100)$$),
    ($$org_new('C', budget_id => 'gold', soft_budget => 0)$$),
    ($$org_new('C', budget_id => 'gold', tpm_limit => 1)$$),
    ($$org_new('C', budget_id => 'gold', rpm_limit => 1)$$),
    ($$org_new('C', budget_id => 'gold', max_parallel_requests => 1)$$),
    ($$org_new('C', budget_id => 'gold', model_max_budget => '{}')$$),
    ($$org_new('C', budget_id => 'gold', budget_duration => '1d')$$),
    ($$org_new('C', budget_id => 'nowhere', max_budget => 1)$$),
    ($$org_new('A', 'a', budget_id => 'gold')$$),
    ($$org_new('A', 'a', max_budget => 5)$$)) AS t (call);
-- The refused calls left nothing behind.
SELECT count(*) AS organizations, (SELECT count(*) FROM org.budget) AS budgets FROM org.organization;

-- Allowed values --------------------------------------------------------------
CALL clear();
SELECT org_new('Acme', 'acme') ->> 'organization_id' AS made;
SELECT field, value, attempt(format('org_new(%L, %I => %L)', 'x', field, value)) AS org_new,
       attempt(format('org_update(%L, %I => %L)', 'acme', field, value)) AS org_update,
       attempt(format('org_update(%L, litellm_budget_table => %L)', 'acme', jsonb_build_object(field, value))) AS nested
  FROM unnest('{max_budget, soft_budget}'::text[]) AS field,
       unnest('{0, -0, -0.0000001, 1e-7, 1000000000000000, 1000000000000000.01, -1, NaN, Infinity, -Infinity}'::text[])
       WITH ORDINALITY AS tried (value, place)
 ORDER BY field, place;
SELECT field, value, attempt(format('org_new(%L, %I => %L)', 'x', field, value)) AS org_new,
       attempt(format('org_update(%L, %I => %L)', 'acme', field, value)) AS org_update,
       attempt(format('org_update(%L, litellm_budget_table => %L)', 'acme', jsonb_build_object(field, value))) AS nested
  FROM unnest('{tpm_limit, rpm_limit, max_parallel_requests}'::text[]) AS field,
       unnest('{0, -1, 9223372036854775807, -9223372036854775808}'::text[]) WITH ORDINALITY AS tried (value, place)
 ORDER BY field, place;
-- A model's budget is an amount or an object with an amount.
SELECT budgets, attempt(format('org_new(%L, model_max_budget => %L)', 'x', budgets)) AS org_new,
       attempt(format('org_update(%L, litellm_budget_table => %L)', 'acme',
                      jsonb_build_object('model_max_budget', budgets::jsonb))) AS nested
  FROM unnest(ARRAY['{}', '{"m": 0}', '{"m": "0.5"}', '{"m": 1e15}', '{"m": {"budget_limit": 1}}',
                    '{"m": {"max_budget": "1", "budget_duration": "1mo", "tpm_limit": 1}}',
                    '{"a/m": {"budget_limit": 1, "time_period": "1w@Europe/Berlin"}, "n": 2}',
                    '{"m": {"budget_limit": null, "max_budget": 1, "time_period": null}}',
                    '{"m": -1}', '{"m": 1.1e15}', '{"m": "NaN"}', '{"m": "much"}', '{"m": null}', '{"m": true}',
                    '{"m": [1]}',
                    '{"m": {}}', '{"m": {"budget_limit": -1}}', '{"m": {"time_period": "1d"}}', '{"n": 1, "m": {"a": 1}}',
                    '{"m": {"budget_limit": 1, "time_period": "1y"}}', '{"m": {"budget_limit": 1, "time_period": 1}}',
                    '{"m": {"budget_limit": 1, "budget_duration": "2d@Europe/Berlin"}}',
                    '{"m": {"budget_limit": 1, "budget_duration": "1d@Nowhere"}}', '{"": 1}']) WITH ORDINALITY AS tried (budgets, place)
 ORDER BY place;
SELECT bytes, attempt(format('org_new(%L, model_max_budget => %L)', 'x', format('{"%s": 1}', repeat('m', bytes))))
  FROM unnest('{255, 256}'::integer[]) AS bytes;
-- Organizations, users, keys and budgets have the same checks in every call; a merge patch is checked after merging.
SELECT user_new('model-budgets', auto_create_key => false), key_generate(key => 'sk-model-budgets') \g /dev/null
SELECT org_update('acme', model_max_budget => '{"m": 1}') \g /dev/null
SELECT call, attempt(call) FROM (VALUES
    ($$org_update('acme', model_max_budget => '{"m": "much"}')$$),
    ($$org_patch('acme', '{"model_max_budget": {"m": "much"}}')$$),
    ($$org_patch('acme', '{"model_max_budget": {"m": {"time_period": "1d"}}}')$$),
    ($$org_patch('acme', '{"model_max_budget": {"n": {"time_period": "1d", "budget_limit": 2}}}')$$),
    ($$org_patch('acme', '{"model_max_budget": {"n": {"budget_limit": null}}}')$$),
    ($$org_patch('acme', '{"model_max_budget": {"n": {"time_period": null, "budget_limit": 3}, "m": null}}')$$),
    ($$budget_new(model_max_budget => '{"m": "much"}')$$),
    ($$budget_update('nowhere', model_max_budget => '{"m": "much"}')$$),
    ($$user_new(model_max_budget => '{"m": "much"}')$$),
    ($$user_update('model-budgets', model_max_budget => '{"m": "much"}')$$),
    ($$user_update('model-budgets', model_max_budget => '{"m": 1}')$$),
    ($$key_generate(model_max_budget => '{"m": "much"}')$$),
    ($$key_update('sk-model-budgets', model_max_budget => '{"m": "much"}')$$),
    ($$key_update('sk-model-budgets', model_max_budget => '{"m": 1}')$$)) AS t (call);
SELECT org_info('acme') -> 'litellm_budget_table' -> 'model_max_budget' AS merged;
-- An error inside litellm_budget_table names the whole path.
SELECT budget, attempt(format('org_update(%L, litellm_budget_table => %L)', 'acme', budget)) FROM (VALUES
    ('{"max_budget": "ten"}'),
    ('{"max_budget": []}'),
    ('{"tpm_limit": 1.5}'),
    ('{"rpm_limit": 1e30}'),
    ('{"model_max_budget": [1]}'),
    ('{"budget_duration": 30}'),
    ('{"budget_duration": "30days"}')) AS t (budget);

-- Money -----------------------------------------------------------------------
-- Amounts are never rounded, and always have a decimal point.
SELECT amount, org_update('acme', max_budget => amount) -> 'litellm_budget_table' -> 'max_budget' AS flat,
       org_update('acme', litellm_budget_table => format('{"max_budget": %s}', amount)::jsonb)
       -> 'litellm_budget_table' -> 'max_budget' AS nested,
       org_patch('acme', format('{"max_budget": "%s"}', amount)::jsonb) -> 'litellm_budget_table'
       -> 'max_budget' AS patched
  FROM unnest('{0.1234567890123456789, 100, 100.00, 0, 0.00, 0.1, 1e3, 1e-10, 999999999999999.999999999999999999,
                1000000000000000, 12.30, 0.30000000000000004}'::numeric[]) AS amount;
-- Some clients send numbers as text.
SELECT org_update('acme', litellm_budget_table =>
                  '{"max_budget": "10", "tpm_limit": "20", "rpm_limit": "3e1", "soft_budget": "+.5"}')
       -> 'litellm_budget_table' AS budget \gset
SELECT :'budget'::json -> 'max_budget' AS max_budget, :'budget'::json -> 'tpm_limit' AS tpm_limit,
       :'budget'::json -> 'rpm_limit' AS rpm_limit, :'budget'::json -> 'soft_budget' AS soft_budget;

-- Durations -------------------------------------------------------------------
SELECT duration, reply -> 'budget_duration' AS shown,
       (reply ->> 'budget_reset_at')::timestamptz AT TIME ZONE 'UTC' - now() AT TIME ZONE 'UTC'
       = expected::interval AS after
  FROM (VALUES ('1s', '1 s'), ('90m', '90 min'), ('24h', '24 h'), ('30d', '720 h'), ('2w', '336 h'), ('007d', '168 h'),
               ('36525d', '876600 h'), ('3155760000s', '876600 h')) AS t (duration, expected),
       CAST(org_new('Duration', budget_duration => duration) -> 'litellm_budget_table' AS json) AS reply;
SET timezone = 'Europe/Berlin';
SELECT duration, (reply ->> 'budget_reset_at')::timestamptz AT TIME ZONE 'UTC'
                 = now() AT TIME ZONE 'UTC' + expected::interval AS after
  FROM (VALUES ('1mo', '1 month'), ('6mo', '6 months'), ('1200mo', '100 years')) AS t (duration, expected),
       CAST(org_new('Duration', budget_duration => duration) -> 'litellm_budget_table' AS json) AS reply;
RESET timezone;
SELECT duration, attempt(format('org_new(%L, budget_duration => %L)', 'x', duration)),
       attempt(format('org_update(%L, budget_duration => %L)', 'acme', duration))
       = attempt(format('org_new(%L, budget_duration => %L)', 'x', duration)) AS same_for_update
  FROM unnest('{"", 30, d, 0d, 00s, -1d, +1d, 30days, bogus, "30 d", " 30d", "30d ", 30D, 1.5d, 1e3s, 1d1h, 30M,
                1mon, 1y, mo, ٣d, 36526d, 1201mo, 99999999999999999999d, 9223372036854775807w}'::text[]) AS duration;

-- Changed ---------------------------------------------------------------------
CALL clear();
SELECT org_new('Acme', 'acme', max_budget => 1, budget_duration => '30d') ->> 'budget_id' AS budget_id \gset
UPDATE org.budget SET budget_reset_at = '2026-12-31Z', updated_by = 'somebody', created_by = 'somebody',
       updated_at = '2026-01-01Z';
-- A change of other fields leaves the budget alone.
SELECT org_update('acme', organization_alias => 'Acme!', litellm_budget_table => '{}', clear => '{metadata}')
       ->> 'budget_id' = :'budget_id' AS same_budget;
SELECT created_by, updated_by, updated_at = '2026-01-01Z' AS untouched FROM org.budget;
-- A change of a budget field changes the same row.
SELECT org_update('acme', tpm_limit => 2) ->> 'budget_id' = :'budget_id' AS same_budget;
SELECT created_by, updated_by, updated_at = '2026-01-01Z' AS untouched FROM org.budget;
SELECT * FROM budgets();
-- Flat fields take precedence over litellm_budget_table, whose null and unknown fields are ignored.
SELECT org_update('acme', max_budget => 3,
                  litellm_budget_table => '{"max_budget": 4, "soft_budget": 5, "rpm_limit": "6",
       "tpm_limit": null, "budget_id": "other", "created_by": "me", "spend": -1, "anything": []}')
       ->> 'budget_id' = :'budget_id' AS same_budget;
SELECT * FROM budgets();
SELECT org_update('acme', model_max_budget => '{"m": 1}') \g /dev/null
SELECT org_update('acme', model_max_budget => '{"n": 2}', max_parallel_requests => 7) \g /dev/null
SELECT * FROM budgets();
-- The same duration keeps the period, another one begins a new period, and clearing it ends the period.
SET pg_org.now = '2026-12-15Z';
SELECT org_update('acme', budget_duration => '30d', max_budget => 4) -> 'litellm_budget_table'
       -> 'budget_reset_at' AS same;
SELECT org_patch('acme', '{"budget_duration": "30d"}') -> 'litellm_budget_table' -> 'budget_reset_at' AS same;
RESET pg_org.now;
SELECT (org_update('acme', budget_duration => '1h') -> 'litellm_budget_table' ->> 'budget_reset_at')::timestamptz
       = now() + interval '1 hour' AS begun;
SELECT org_update('acme', clear => '{budget_duration, soft_budget, tpm_limit, rpm_limit, max_parallel_requests,
                                     model_max_budget}') \g /dev/null
SELECT * FROM budgets();

-- Copied before a change if shared --------------------------------------------
CALL clear();
INSERT INTO org.budget (budget_id, max_budget, soft_budget, tpm_limit, rpm_limit, max_parallel_requests,
                        model_max_budget, budget_duration, budget_reset_at)
VALUES ('gold', 100, 90, 80, 70, 60, '{"m": 50}', '30d', '2026-12-31Z');
SELECT org_new('A', 'a', budget_id => 'gold'), org_new('B', 'b', budget_id => 'gold'),
       org_new('C', 'c', budget_id => 'gold') \g /dev/null
-- A change of other fields copies nothing.
SELECT org_update('a', organization_alias => 'A') ->> 'budget_id' AS budget_id;
-- Only a gets the new limit; its copy keeps the other fields of the original.
SET pg_org.now = '2026-12-15Z';
SELECT org_update('a', max_budget => 1) -> 'litellm_budget_table' -> 'budget_reset_at' AS budget_reset_at;
RESET pg_org.now;
SELECT org_patch('b', '{"model_max_budget": {"n": 2}, "max_budget": null}') ->> 'budget_id' = 'gold' AS same_budget;
SELECT * FROM budgets();
-- c is the last owner of the original, so its change makes no copy.
SELECT org_update('c', clear => '{max_budget}') ->> 'budget_id' AS budget_id;
SELECT * FROM budgets();

-- Organizations and members can share a budget.
CALL clear();
INSERT INTO org.budget (budget_id, max_budget, tpm_limit) VALUES ('gold', 100, 10);
SELECT org_new('A', 'a', budget_id => 'gold') \g /dev/null
SELECT user_new(id, auto_create_key => false) FROM unnest('{ann, bob, cid}'::text[]) AS id \g /dev/null
SELECT org_member_add('a', '[{"role": "org_admin", "user_id": "ann"}, {"role": "internal_user", "user_id": "bob"},
                             {"role": "internal_user", "user_id": "cid"}]') \g /dev/null
SELECT team_new('a', team_id => 'team', members_with_roles => '[{"role": "user", "user_id": "cid"}]') \g /dev/null
UPDATE org.membership SET budget_id = 'gold';
UPDATE org.team_member SET budget_id = 'gold';
SELECT org_member_update('a', 'ann', max_budget_in_organization => 1) -> 'litellm_budget_table'
       -> 'max_budget' AS max_budget;
SELECT org_member_add('a', '{"role": "org_admin", "user_id": "bob"}', 2) ->> 'organization_id' AS upserted;
SELECT org_member_update('a', 'cid', clear => '{max_budget_in_organization}') -> 'litellm_budget_table'
       -> 'max_budget' AS max_budget;
SELECT * FROM budgets();
SELECT org_update('a', max_budget => 3) ->> 'budget_id' = 'gold' AS same_budget;
SELECT * FROM budgets();

-- Exchanged for another budget ------------------------------------------------
CALL clear();
INSERT INTO org.budget (budget_id, max_budget) VALUES ('gold', 100), ('silver', 50);
SELECT org_new('A', 'a', max_budget => 1), org_new('B', 'b', budget_id => 'gold') \g /dev/null
-- The budget that was made with a is deleted, because it has no owner any more.
SELECT org_update('a', budget_id => 'gold') -> 'litellm_budget_table' -> 'max_budget' AS max_budget;
SELECT * FROM budgets();
-- A budget that was made by hand stays, even without an owner.
SELECT org_update('b', budget_id => 'silver') ->> 'budget_id' AS budget_id;
SELECT org_update('a', budget_id => 'silver') ->> 'budget_id' AS budget_id;
SELECT * FROM budgets();
-- A budget that was made with an owner stays while another owner has it.
SELECT org_new('C', 'c', max_budget => 3) ->> 'budget_id' AS budget_of_c \gset
SELECT org_update('a', budget_id => :'budget_of_c') ->> 'budget_id' = :'budget_of_c' AS attached;
SELECT org_update('c', budget_id => 'silver') ->> 'budget_id' AS budget_id;
SELECT * FROM budgets();
SELECT org_update('a', budget_id => :'budget_of_c') ->> 'budget_id' = :'budget_of_c' AS same_again;
SELECT org_update('a', budget_id => 'silver') ->> 'budget_id' AS budget_id;
SELECT * FROM budgets();
-- With budget_id and budget fields in one call, the fields change the new budget, or a copy if it is shared.
SELECT org_update('a', budget_id => 'gold', max_budget => 99) ->> 'budget_id' AS budget_id;
SELECT org_update('b', budget_id => 'gold', max_budget => 98) ->> 'budget_id' = 'gold' AS same_budget;
SELECT * FROM budgets();
-- A copy is deleted too when it loses its owner.
SELECT org_update('b', budget_id => 'gold') ->> 'budget_id' AS budget_id;
SELECT * FROM budgets();
SELECT fingerprint() AS contents \gset before_
SELECT call, attempt(call) FROM (VALUES
    ($$org_update('a', budget_id => 'nowhere')$$),
    ($$org_update('a', budget_id => '')$$),
    ($$org_update('a', budget_id => 'nowhere', max_budget => 1, organization_alias => 'X')$$),
    ($$org_update('nowhere', budget_id => 'gold')$$)) AS t (call);
SELECT fingerprint() = :'before_contents' AS refusals_changed_nothing;

-- Deleted with their last owner -----------------------------------------------
CALL clear();
INSERT INTO org.budget (budget_id, max_budget) VALUES ('gold', 100), ('silver', 50), ('bronze', 25), ('lead', 1);
SELECT org_new('A', 'a', budget_id => 'gold'), org_new('B', 'b', budget_id => 'gold'),
       org_new('C', 'c', max_budget => 3) \g /dev/null
SELECT user_new(id, auto_create_key => false) FROM unnest('{ann, bob, cid}'::text[]) AS id \g /dev/null
SELECT org_member_add(id, '[{"role": "org_admin", "user_id": "ann"}, {"role": "internal_user", "user_id": "bob"}]', 5)
  FROM unnest('{a, b}'::text[]) AS id \g /dev/null
SELECT team_new(id, team_id => id || ' team', members_with_roles => '[{"role": "user", "user_id": "ann"}]')
  FROM unnest('{a, b}'::text[]) AS id \g /dev/null
UPDATE org.membership SET budget_id = 'silver' WHERE (organization_id, user_id) = ('a', 'bob');
UPDATE org.team_member SET budget_id = CASE organization_id WHEN 'a' THEN 'bronze' ELSE 'silver' END;
DELETE FROM org.budget WHERE budget_id IN (SELECT unowned_budgets()) AND auto_created;
SELECT * FROM budgets();
SELECT org_member_delete('a', 'ann') ->> 'user_id' AS removed;
SELECT * FROM budgets();
SELECT json_array_length(org_delete('{a, c}')) AS deleted;
SELECT * FROM budgets();
SELECT json_array_length(org_delete('{b}')) AS deleted;
SELECT * FROM budgets();
-- Two organizations that are deleted together share a budget.
SELECT org_new('A', 'a', budget_id => 'lead'), org_new('B', 'b', budget_id => 'lead') \g /dev/null
SELECT json_array_length(org_delete('{b, a}')) AS deleted;
SELECT * FROM budgets();

-- budget_info -----------------------------------------------------------------
INSERT INTO org.budget (budget_id, max_budget, soft_budget, max_parallel_requests, tpm_limit, rpm_limit,
                        model_max_budget, budget_duration, budget_reset_at, created_at, created_by, updated_at,
                        updated_by)
VALUES ('gold', 100, 90.5, 80, 70, 60, '{"m": 50}', '30d', '2026-12-31Z', '2026-01-01Z', 'ann', '2026-01-02Z', 'bob'),
       ('silver', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '2026-01-01Z', NULL, '2026-01-02Z', NULL);
SET pg_org.now = '2026-12-15Z';
SELECT replace(budget_info('{silver, nowhere, gold}')::text, ',"', E',\n"') \g (format=unaligned tuples_only=on)
RESET pg_org.now;
SELECT call, attempt(call) FROM (VALUES
    ($$budget_info(NULL)$$),
    ($$budget_info('{gold, NULL}')$$)) AS t (call);
SELECT budget_info('{}') AS none, budget_info('{nowhere, ""}') AS unknown,
       json_array_length(budget_info('{gold, gold}')) AS twice;

-- budget_new, budget_update, budget_delete, budget_list ------------------------
CALL clear();
SELECT reply(budget_new('mine', max_budget => 10, budget_duration => '1d')) \g (format=unaligned tuples_only=on)
SELECT changed -> 'tpm_limit' AS tpm_limit, changed -> 'max_budget' AS max_budget, changed -> 'budget_duration' AS duration
  FROM budget_update('mine', tpm_limit => 5, clear => '{max_budget}') AS changed;
SELECT org_new('A', 'a', budget_id => 'mine'), budget_new('free') \g /dev/null
SELECT string_agg(b ->> 'budget_id', ' ' ORDER BY place) AS listed
  FROM json_array_elements(budget_list()) WITH ORDINALITY AS t (b, place);
SELECT fingerprint() AS contents \gset before_
SELECT call, attempt(call) FROM (VALUES
    ($$budget_new('mine')$$),
    ($$budget_new('')$$),
    ($$budget_update(NULL)$$),
    ($$budget_update('nowhere')$$),
    ($$budget_update('mine', clear => '{created_at}')$$),
    ($$budget_delete(NULL)$$),
    ($$budget_delete('mine')$$),
    ($$budget_delete('nowhere')$$),
    ($$budget_list("limit" => 0)$$),
    ($$budget_list(after => 'nowhere')$$)) AS t (call);
SELECT fingerprint() = :'before_contents' AS refusals_changed_nothing;
SELECT budget_delete('free') -> 'budget_id' AS deleted, attempt($$budget_delete('free')$$) AS gone;

DROP FUNCTION test.budgets;
DROP VIEW test.owned;
CALL clear();
