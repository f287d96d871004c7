-- :listed users with a key each, half of which are keys of 1,000 organizations.
\set ON_ERROR_STOP on
SET client_min_messages = warning;
INSERT INTO org.budget (budget_id) VALUES ('shared');
INSERT INTO org.organization (organization_id, organization_alias, budget_id)
SELECT 'o' || n, 'Organization ' || n, 'shared' FROM generate_series(0, 999) AS n;

-- Nobody needs to be told of them, but they count.
ALTER TABLE org."user" DISABLE TRIGGER USER;
ALTER TABLE org."user" ENABLE TRIGGER count_insert;
ALTER TABLE org.api_key DISABLE TRIGGER USER;
ALTER TABLE org.api_key ENABLE TRIGGER count_insert;
INSERT INTO org."user" (user_id, user_email, created_at)
SELECT 'u' || n, format('user%s@example.com', n), now() - n * interval '1 second'
  FROM generate_series(1, :listed) AS n;
INSERT INTO org.api_key (key_hash, key_name, key_alias, user_id, organization_id, created_at)
SELECT encode(sha256(n::text::bytea), 'hex'), 'sk-...', 'key ' || n, 'u' || n,
       CASE WHEN n % 2 = 0 THEN 'o' || n / 2 % 1000 END, now() - n * interval '1 second'
  FROM generate_series(1, :listed) AS n;
ALTER TABLE org."user" ENABLE TRIGGER USER;
ALTER TABLE org.api_key ENABLE TRIGGER USER;

SELECT key_generate(user_id => 'default_user_id', key => 'sk-bench') \g /dev/null
VACUUM ANALYZE org.budget, org.organization, org."user", org.api_key, org.list_total;
