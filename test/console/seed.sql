-- The world that the tests of the console act in, and that its pictures show: a dozen organizations, and a month of
-- calls of one of them, Acme, with members of every role.  Run as a superuser on the database that test/with-gateway
-- made.
\set ON_ERROR_STOP on
SET client_min_messages = warning;

SELECT user_new('vera', user_email => 'vera@example.com', user_role => 'proxy_admin_viewer', auto_create_key => false)
\g /dev/null
SELECT key_generate('vera', key => 'sk-viewer', key_alias => 'viewer') \g /dev/null

SELECT org_new(name, lower(replace(name, ' ', '-')), max_budget => budget, budget_duration => '1mo@UTC')
  FROM (VALUES ('Northwind Traders', 900), ('Contoso', 250), ('Fabrikam', 400), ('Blue Yonder', 120),
               ('Tailspin Toys', 300), ('Wide World Importers', 650), ('Adventure Works', 80), ('Litware', 1000),
               ('Proseware', 150), ('Lucerne Publishing', NULL)) AS organizations (name, budget) \g /dev/null
SELECT org_new('Acme', 'acme', max_budget => 600, budget_duration => '1mo@UTC', rpm_limit => 1200, limits => '[
    {"limit": "cost", "value": 40, "per": "1d"}, {"limit": "cost", "value": 15, "per": "30d", "each": "end_user"},
    {"limit": "cost", "value": 480, "per": "1mo", "soft": true}]') \g /dev/null
SELECT org_block('tailspin-toys') \g /dev/null

SELECT org_member_add('acme', '[
    {"role": "org_admin", "user_id": "ada", "user_email": "ada@acme.example"},
    {"role": "internal_user", "user_id": "grace", "user_email": "grace@acme.example"},
    {"role": "internal_user", "user_id": "linus", "user_email": "linus@acme.example"},
    {"role": "internal_user", "user_id": "margaret", "user_email": "margaret@acme.example"},
    {"role": "internal_user_viewer", "user_id": "vic", "user_email": "vic@acme.example"}]') \g /dev/null
SELECT org_member_update('acme', 'grace', limits => '[{"limit": "cost", "value": 240, "per": "1mo"}]') \g /dev/null
SELECT team_new('acme', team_id => 'research', team_alias => 'Research', max_budget => 260,
                budget_duration => '1mo@UTC',
                members_with_roles => '[{"role": "admin", "user_id": "grace"}, {"role": "user", "user_id": "linus"}]'),
       team_new('acme', team_id => 'support', team_alias => 'Support desk', max_budget => 180,
                budget_duration => '1mo@UTC',
                members_with_roles => '[{"role": "admin", "user_id": "margaret"}]'),
       team_new('acme', team_id => 'product', team_alias => 'Product',
                members_with_roles => '[{"role": "user", "user_id": "ada"}]') \g /dev/null
SELECT key_generate('ada', 'acme', key => 'sk-org-admin', key_alias => 'ada, laptop'),
       key_generate('grace', 'acme', 'research', key => 'sk-team-admin', key_alias => 'notebooks', max_budget => 200,
                    budget_duration => '1mo@UTC'),
       key_generate('linus', 'acme', 'research', key => 'sk-member', key_alias => 'evaluation', max_budget => 75,
                    budget_duration => '1mo@UTC', rpm_limit => 60),
       key_generate('margaret', 'acme', 'support', key => 'sk-margaret', key_alias => 'help desk bot'),
       key_generate('vic', 'acme', key => 'sk-member-viewer', key_alias => 'reader'),
       key_generate(organization_id => 'acme', team_id => 'product', key => 'sk-of-team',
                    key_alias => 'product search', tpd_limit => 200000),
       key_generate(organization_id => 'acme', key => 'sk-old', key_alias => 'former website', blocked => true)
\g /dev/null
SELECT key_generate(organization_id => id, key => 'sk-of-' || id)
  FROM (SELECT organization_id AS id FROM org.organization WHERE organization_id <> 'acme') AS others \g /dev/null
SELECT customer_new('cust-7', organization_id => 'acme', alias => 'Corner shop', max_budget => 25,
                    budget_duration => '1mo@UTC')
\g /dev/null

-- They are older than the calls that follow, which no trigger need know of.
SET session_replication_role = replica;
UPDATE org.organization SET created_at = now() - interval '90 days' - (now() - created_at);
UPDATE org.team SET created_at = now() - interval '90 days';
UPDATE org.membership SET created_at = now() - interval '90 days';
UPDATE org.team_member SET created_at = now() - interval '90 days';
UPDATE org."user" SET created_at = now() - interval '90 days';
UPDATE org.api_key SET created_at = now() - interval '90 days';
RESET session_replication_role;

-- Four weeks of calls, the same at each run: fewer on weekends, and slowly more.
DO $$
DECLARE
    at timestamptz;
    k record;
    weekend numeric;
    growth numeric;
BEGIN
    FOR day IN REVERSE 27..0 LOOP
        at = now() - day * interval '1 day';
        PERFORM set_config('pg_org.now', at::text, true);
        weekend = CASE WHEN extract(isodow FROM at) > 5 THEN 0.35 ELSE 1 END;
        FOR k IN SELECT * FROM (VALUES
            ('sk-team-admin', 'openai/gpt-4o', 3.1, 'cust-7'), ('sk-team-admin', 'anthropic/claude-sonnet', 2.4, NULL),
            ('sk-member', 'openai/gpt-4o', 1.3, NULL), ('sk-member', 'mistral/large', 0.8, NULL),
            ('sk-margaret', 'openai/gpt-4o-mini', 2.2, 'cust-9'),
            ('sk-margaret', 'anthropic/claude-sonnet', 1.6, 'cust-11'),
            ('sk-of-team', 'openai/text-embedding', 0.9, NULL), ('sk-org-admin', 'openai/gpt-4o', 0.4, NULL)
        ) AS calls (key, model, cost, end_user) LOOP
            growth = (1 + (27 - day) / 40.0) * (3 + (day * 7 + length(k.model)) % 5) / 5;
            PERFORM usage_record(k.key, k.model, round(k.cost * growth * weekend, 4),
                                 prompt_tokens => 1200 + day * 10, completion_tokens => 300, end_user => k.end_user);
        END LOOP;
    END LOOP;
END $$;
SELECT usage_record('sk-of-' || id, 'openai/gpt-4o', spend)
  FROM (VALUES ('northwind-traders', 731.5), ('contoso', 262.1), ('fabrikam', 187.25), ('blue-yonder', 101.7),
               ('litware', 310.4), ('wide-world-importers', 44.05), ('adventure-works', 12.8), ('proseware', 96.02),
               ('lucerne-publishing', 58.6)) AS spent (id, spend)
\g /dev/null
SELECT usage_reserve('sk-of-northwind-traders', 'openai/gpt-4o', max_cost => 60, ttl_seconds => 3600),
       usage_reserve('sk-margaret', 'openai/gpt-4o', max_cost => 8.5, ttl_seconds => 3600) \g /dev/null

-- What limits refused just now.
SELECT usage_reserve_many(json_agg(request)) FROM (
    SELECT json_build_object('key', 'sk-of-team', 'model', 'openai/text-embedding', 'max_cost', 0,
                             'max_tokens', 300000) AS request
      FROM generate_series(1, 3)
     UNION ALL
    SELECT json_build_object('key', 'sk-margaret', 'model', 'openai/gpt-4o-mini', 'max_cost', 41)
      FROM generate_series(1, 2)) AS refused \g /dev/null
