-- A database with something of everything, for test/upgrade/restore: run by a
-- superuser after tools/setup.sql, which made the role org.
\set ON_ERROR_STOP on
\set QUIET on
ALTER ROLE org LOGIN;
CREATE ROLE org_gateway LOGIN;
CREATE ROLE reporter LOGIN;
SELECT org_grant_access('org_gateway') \g /dev/null
-- The first replies, to be compared with those of a restored database.
CREATE TABLE public.reply (name text PRIMARY KEY, reply json);
GRANT INSERT, SELECT ON public.reply TO org, org_gateway;
SET ROLE org;
SET timezone = 'UTC';
\o /dev/null

-- Organizations, budgets of their own and shared, users, members, teams.
SELECT org_new('Acme', 'acme', models => '{gpt-4o,m}', max_budget => 100, soft_budget => 1,
               budget_duration => '1mo@Europe/Berlin',
               model_max_budget => '{"m": {"budget_limit": 50, "time_period": "1d"}}',
               metadata => '{"note": "Ünïcode \" and \\ \n", "big": 1.000000000000000000001}',
               tags => '{a,"b,c","\""}',
               model_aliases => '{"fast": "m"}', default_reserve => 0.01);
SELECT budget_new('shared', max_budget => 10, tpm_limit => 1000000, rpm_limit => 1000, max_parallel_requests => 50),
       org_new('Beta', 'beta', budget_id => 'shared'), org_new('Gamma', 'gamma', budget_id => 'shared'),
       org_new('Blocked', 'blocked'), org_new('To be deleted', 'gone', max_budget => 1);
SELECT org_block('blocked'), org_update('beta', tags => '{changed}'), org_delete('{gone}');
SELECT user_new('admin', user_role => 'proxy_admin', auto_create_key => false),
       user_new('ann', 'Ann@Example.com', 'Ann', max_budget => 20, budget_duration => '7d',
                metadata => '{"a": [1, null]}'),
       user_new('bob', 'bob@example.com', sso_user_id => 'sso|bob', auto_create_key => false);
SELECT org_member_add('acme', '[{"role": "org_admin", "user_id": "ann"},
                                {"role": "internal_user", "user_email": "bob@example.com"}]',
                      max_budget_in_organization => 5),
       org_member_add('beta', '{"role": "internal_user", "user_id": "ann"}');
SELECT team_new('acme', 'Red', 'red', max_budget => 50, members_with_roles => '[{"role": "admin", "user_id": "ann"}]'),
       team_new('beta', 'Red as well', 'beta red');
SELECT team_member_add('red', '{"role": "user", "user_id": "bob"}', max_budget_in_team => 2, organization_id => 'acme');

-- End users of the platform and of organizations.
SELECT customer_new('cust-7', 'Seventh', max_budget => 5, object_permission => '{"agents": []}'),
       customer_new('cust-7', budget_id => 'shared', organization_id => 'beta'), customer_block('{cust-8}', 'acme');

-- Keys: of everybody, with little left, blocked, expired, replaced.
SELECT key_generate('admin', key => 'sk-admin'),
       key_generate('bob', 'acme', 'red', key => 'sk-bob', key_alias => 'Bob''s', models => '{m}',
                    metadata => '{"x": "y"}'),
       key_generate('ann', 'acme', key => 'sk-spent', max_budget => 0.5),
       key_generate('ann', 'beta', key => 'sk-beta'),
       key_generate(organization_id => 'blocked', key => 'sk-of-blocked'),
       key_generate('ann', 'acme', key => 'sk-blocked'), key_generate('ann', key => 'sk-expired', duration => '1s'),
       key_generate('ann', key => 'sk-replaced'),
       key_generate(key => 'sk-gateway', permissions => '{"usage": true, "events": true}');
SELECT key_block('sk-blocked'), key_regenerate('sk-replaced', grace_period => '30d');

-- Calls in every state.
SELECT usage_reserve('sk-bob', 'm', 0.25, 100, 'held', 86400), usage_reserve('sk-bob', 'fast', 0.25, 100, 'settled'),
       usage_reserve('sk-bob', 'm', 0.25, 100, 'cancelled'), usage_reserve('sk-bob', 'm', 0.25, 100, 'expired', 1),
       usage_reserve('sk-beta', 'm', 0.25, 100, 'settled'), usage_record('sk-beta', 'p/m', 1.000000000001, 'recorded');
INSERT INTO public.reply SELECT 'settled', usage_settle(0.123456789012345678, 'settled', '4.acme.settled', 3, 4);
SELECT usage_cancel('cancelled'), usage_record('sk-spent', 'm', 0.5, 'spent', failed => true);
SELECT usage_reserve_many('[{"key": "sk-spent", "model": "m", "max_cost": 0.25}]');
SELECT pg_sleep(1.1);
SELECT usage_reserve('sk-bob', 'm', 0.01, 1, 'after', 86400);

-- Events told and not told, and replies kept.
SELECT org_events("limit" => 5), event_acknowledge((event_claim(1) -> 0 ->> 'event_id')::bigint);
INSERT INTO public.reply VALUES
    ('made', key_generate('bob', 'acme', idempotency_key => 'once', request_id => 'req-1', api_key => 'sk-admin')),
    ('named', org_new('Delta', 'delta', idempotency_key => 'once more', api_key => 'sk-admin'));

-- A partition of the ledger whose sums are being carried forward.
INSERT INTO org.usage_archive (ends_at, name, filenode, summed_blocks) VALUES ('2020-01-01Z', 'usage_until_2020_01_01', 1, 1);
INSERT INTO org.usage_carried (organization_id, ends_at, digest, day, team_id, user_id, key_id, end_user, delegated, model,
                               tags, requests, failed_requests, cost, prompt_tokens, completion_tokens,
                               cache_read_input_tokens, cache_creation_input_tokens, first_reserved_at, first_closed_at,
                               last_closed_at)
VALUES ('acme', '2020-01-01Z', gen_random_uuid(), '2019-12-31', 'red', 'ann', 'k', 'eve', false, 'm', '{a,b}', 3, 1, 0.1, 1, 2, 3,
        4, '2019-12-31 10:00Z', '2019-12-31 11:00Z', '2019-12-31 12:00Z');
INSERT INTO org.usage_boundary (organization_id, ends_at, team_id, user_id, key_id, end_user, times)
VALUES ('acme', '2020-01-01Z', '', '', '', '', '{2019-12-31 10:30Z, 2019-12-31 11:30Z}');

-- Objects that users add to the tables.
ALTER TABLE org.organization ADD COLUMN country text DEFAULT 'NL' NOT NULL, ADD COLUMN dropped text;
ALTER TABLE org.organization DROP COLUMN dropped;
COMMENT ON COLUMN org.organization.country IS 'Where its invoices go.';
UPDATE org.organization SET country = 'DE' WHERE organization_id = 'beta';
CREATE INDEX organization_country_idx ON org.organization (lower(country)) WHERE NOT blocked;
ALTER TABLE org.team ADD CONSTRAINT team_alias_short CHECK (length(team_alias) < 100);
GRANT USAGE ON SCHEMA org TO reporter;
GRANT SELECT (organization_id, country) ON org.organization TO reporter WITH GRANT OPTION;
GRANT SELECT ON org.usage TO reporter;
ALTER TABLE org.usage ENABLE ROW LEVEL SECURITY;
CREATE POLICY reporter_sees_acme ON org.usage FOR SELECT TO reporter USING (organization_id = 'acme');
ALTER TABLE org.api_key ALTER COLUMN key_alias SET STATISTICS 500;
ALTER TABLE org.reservation SET (autovacuum_vacuum_scale_factor = 0.01);
CREATE STATISTICS org.usage_statistics ON organization_id, model FROM org.usage;
CREATE VIEW org.spend AS SELECT organization_id, spend FROM org.organization;
CREATE FUNCTION org.note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER note BEFORE INSERT ON org.team FOR EACH ROW EXECUTE FUNCTION org.note();
ALTER TABLE org.team DISABLE TRIGGER note;
