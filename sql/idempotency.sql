-- Idempotency keys: a request that is repeated within a day is executed once and gets the first reply.
\getenv checkout PG_ABS_SRCDIR
\set helpers :checkout /test/helpers.sql
\i :helpers
\set ECHO none
SELECT user_new('ann', auto_create_key => false) \g /dev/null
SELECT key_generate(user_id => 'default_user_id', key => 'sk-admin'),
       key_generate(user_id => 'default_user_id', key => 'sk-other') \g /dev/null
\set ECHO all

SELECT org_new('acme', idempotency_key => 'k1', api_key => 'sk-admin')::text AS first \gset
SELECT org_new('acme', idempotency_key => 'k1', api_key => 'sk-admin')::text = :'first' AS same;
SELECT count(*) FROM org.organization;

-- Another request with the same key is refused; each caller and the database role have keys of their own.
SELECT test.attempt('org_new(''other'', idempotency_key => ''k1'', api_key => ''sk-admin'')');
SELECT test.attempt('user_new(''acme'', idempotency_key => ''k1'', api_key => ''sk-admin'')');
SELECT test.attempt('org_new(''other'', idempotency_key => ''k1'', api_key => ''sk-other'')');
SELECT test.attempt('org_new(''third'', idempotency_key => ''k1'')');
SELECT count(*) FROM org.organization;

-- The request id is not part of the request.
SELECT org_new('acme', idempotency_key => 'k1', request_id => 'r', api_key => 'sk-admin')::text = :'first' AS same;

-- A failed request can be repeated.
SELECT test.attempt('budget_new(''b'', max_budget => -1, idempotency_key => ''k2'', api_key => ''sk-admin'')');
SELECT budget_new('b', max_budget => 1, idempotency_key => 'k2', api_key => 'sk-admin') ->> 'max_budget' AS max_budget;

-- A blocked caller is refused, even if the request is a repetition.
SELECT key_block('sk-other') \g /dev/null
SELECT test.attempt('org_new(''other'', idempotency_key => ''k1'', api_key => ''sk-other'')');

-- A repeated request gets the same secret, although only its digest is stored.
SELECT key_generate(user_id => 'ann', idempotency_key => 'k3', api_key => 'sk-admin')::text AS first \gset
SELECT key_generate(user_id => 'ann', idempotency_key => 'k3', api_key => 'sk-admin')::text = :'first' AS same;
SELECT user_info(api_key => :'first'::json ->> 'key') ->> 'user_id' AS works_for;
SELECT count(*) FROM org.idempotency WHERE reply LIKE '%' || (:'first'::json ->> 'key') || '%';
SELECT key_regenerate(:'first'::json ->> 'key', idempotency_key => 'k4', api_key => 'sk-admin')::text AS again \gset
SELECT key_regenerate(:'first'::json ->> 'key', idempotency_key => 'k4', api_key => 'sk-admin')::text = :'again' AS same;
SELECT user_new('bob', idempotency_key => 'k5', api_key => 'sk-admin')::text AS bob \gset
SELECT user_new('bob', idempotency_key => 'k5', api_key => 'sk-admin')::text = :'bob' AS same;
SELECT count(*) FROM org.api_key WHERE user_id = 'bob';
SELECT test.attempt('key_generate(user_id => ''ann'', idempotency_key => ''k6'')');
SELECT test.attempt('key_generate(user_id => ''ann'', key => ''sk-chosen'', idempotency_key => ''k7'', api_key => ''sk-admin'')');
SELECT test.attempt('key_generate(user_id => ''ann'', key => ''sk-chosen'', idempotency_key => ''k7'')');

-- An idempotency key is forgotten after a day.
UPDATE org.idempotency SET created_at = created_at - interval '24 hours' WHERE idempotency_key = 'k1';
SELECT org_new('acme', idempotency_key => 'k1', api_key => 'sk-admin')::text = :'first' AS same;
SELECT test.attempt('org_new(''acme'', idempotency_key => '''', api_key => ''sk-admin'')');
SELECT test.attempt(format('org_new(''acme'', idempotency_key => %L, api_key => ''sk-admin'')', repeat('x', 256)));

\set ECHO none
DELETE FROM org.idempotency;
CALL test.clear();
