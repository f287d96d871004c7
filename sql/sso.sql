-- Signing in: sso_key.
\getenv checkout PG_ABS_SRCDIR
\set helpers :checkout /test/helpers.sql
\i :helpers

SELECT user_new('ann', 'ann@example.com', sso_user_id => 'of-ann', auto_create_key => false),
       user_new('bob', 'Bob@Example.com', auto_create_key => false),
       user_new('eve', 'eve@example.com', sso_user_id => 'of-eve', auto_create_key => false),
       user_new('boss', user_role => 'proxy_admin', sso_user_id => 'of-boss', auto_create_key => false) \g /dev/null
SELECT key_generate('default_user_id', key => 'sk-admin'), key_generate('ann', key => 'sk-ann') \g /dev/null

-- A user with the identifier gets a personal key, which ends; this is the whole reply.
SELECT reply(sso_key('of-ann', api_key => 'sk-admin')) \g (format=unaligned tuples_only=on)
SELECT user_id, organization_id, team_id, delegated, created_by, expires = created_at + interval '8 hours' AS in_8_hours
  FROM org.api_key WHERE metadata ? 'signed_in';
-- It has the role of its user.
SELECT sso_key('of-boss', duration => '1h') ->> 'key' AS key \gset
SELECT json_array_length(user_list(api_key => :'key') -> 'users') > 4 AS sees_all;

-- The address counts only where nobody has the identifier, for a user who has none; then the user has it.
SELECT sso_key('of-bob', 'bob@example.com') ->> 'user_id' AS by_address, sso_key('of-bob') ->> 'user_id' AS by_identifier;
SELECT sso_user_id, updated_by FROM org."user" WHERE user_id = 'bob';
SELECT sso_key('of-ann', 'eve@example.com') ->> 'user_id' AS not_by_address;
SELECT user_id, sso_user_id FROM org."user" WHERE sso_user_id IS NOT NULL ORDER BY user_id;

SELECT fingerprint() AS contents \gset before_
SELECT call, attempt(call) FROM (VALUES
    ($$sso_key('of-nobody')$$),
    ($$sso_key('of-nobody', 'nobody@example.com')$$),
    ($$sso_key('of-nobody', 'eve@example.com')$$),
    ($$sso_key('of-nobody', 'bob@example.com')$$),
    ($$sso_key('ann')$$),
    ($$sso_key('OF-ANN')$$),
    ($$sso_key('')$$),
    ($$sso_key(NULL)$$),
    ($$sso_key(repeat('x', 256))$$),
    ($$sso_key('of-nobody', 'no address')$$),
    ($$sso_key('of-ann', duration => '-1')$$),
    ($$sso_key('of-ann', duration => 'soon')$$),
    ($$sso_key('of-ann', duration => NULL)$$),
    ($$sso_key('of-ann', api_key => 'sk-ann')$$),
    ($$sso_key('of-nobody', api_key => 'sk-ann')$$)) AS calls (call);
SELECT fingerprint() = :'before_contents' AS unchanged;

-- Keys of earlier sign-ins that have expired are deleted, but no others.
UPDATE org.api_key SET expires = now() - interval '1 second' WHERE user_id IN ('ann', 'bob');
SELECT sso_key('of-ann') \g /dev/null
SELECT user_id, metadata, count(*), bool_or(expires > now()) AS works
  FROM org.api_key WHERE user_id IN ('ann', 'bob') GROUP BY user_id, metadata ORDER BY user_id, metadata;
-- So they never use up a quota.
SELECT user_update('ann', quotas => '{"max_keys": 3}') \g /dev/null
SELECT sso_key('of-ann') \g /dev/null
SELECT attempt($$sso_key('of-ann')$$);
UPDATE org.api_key SET expires = now() - interval '1 second' WHERE user_id = 'ann' AND metadata ? 'signed_in';
SELECT sso_key('of-ann') ->> 'user_id' AS signed_in_again;

-- A repeated request gets the same key.
SELECT sso_key('of-eve', idempotency_key => 'once', api_key => 'sk-admin') ->> 'key' AS key \gset
SELECT sso_key('of-eve', idempotency_key => 'once', api_key => 'sk-admin') ->> 'key' = :'key' AS same;
SELECT action, kind, after -> 'sso_user_id' AS sso_user_id FROM org.audit_log WHERE action = 'sso_key' AND kind = 'user';

CALL clear();
