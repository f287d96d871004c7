-- Walls between tenants: identity, what others see of a user, secrets, and whose spend
-- a key counts for.  Each section tests what one rule allows and what it refuses.
\getenv checkout PG_ABS_SRCDIR
\set helpers :checkout /test/helpers.sql
\i :helpers

SELECT org_new('A', 'a'), org_new('B', 'b') \g /dev/null
SELECT user_new('ada', auto_create_key => false), user_new('bea', 'bea@b.example', 'Bea', auto_create_key => false,
                models => '{m,n}', max_budget => 100, metadata => '{"note": "private"}', sso_user_id => 'sso-bea'),
       user_new('mal', auto_create_key => false) \g /dev/null
SELECT org_member_add('a', '[{"role": "org_admin", "user_id": "ada"}, {"role": "internal_user", "user_id": "bea"}]'),
       org_member_add('b', '[{"role": "internal_user", "user_id": "bea"}, {"role": "org_admin", "user_id": "mal"}]')
       \g /dev/null
SELECT key_generate('default_user_id', key => 'sk-admin'), key_generate('ada', key => 'sk-ada'),
       key_generate('bea', key => 'sk-bea'), key_generate('bea', 'b', key => 'sk-bea-b'),
       key_generate('mal', key => 'sk-mal') \g /dev/null

-- An e-mail address is one user's ---------------------------------------------
-- The spelling does not matter: case, Unicode normalization, surrounding white space, the Kelvin sign.
SELECT email, attempt(format('user_new(user_email => %L, auto_create_key => false)', email)) FROM unnest(ARRAY[
    'bea@b.example', 'BEA@B.EXAMPLE', E' \tbea@b.example\n', 'other@b.example', U&'ren\00e9@b.example',
    U&'rene\0301@b.example', U&'REN\00c9@b.example', 'mike@b.example', U&'mi\212ae@b.example', 'IKEA@b.example',
    'ikea@b.example', U&'stra\00dfe@b.example', 'STRASSE@b.example']) AS email;
-- These addresses are invalid.
SELECT email, attempt(format('user_new(user_email => %L, auto_create_key => false)', email)) FROM unnest(ARRAY[
    '', ' ', 'b.example', '@b.example', 'x@', 'x@y@z', 'x y@b.example', E'x\ty@b.example', E'x\u0001@b.example',
    U&'x\00a0y@b.example', U&'x\200b@b.example', U&'x\202e@b.example', U&'x@b.example\feff']) AS email;
-- Only another user's address is refused: setting the same address again is no change, and a cleared address is free.
SELECT attempt($$user_update('bea', user_email => 'Bea@b.example')$$) AS own,
       attempt($$user_update('ada', user_email => 'BEA@b.example')$$) AS taken,
       attempt($$user_update('bea', clear => '{user_email}')$$) AS given_up,
       attempt($$user_update('ada', user_email => 'bea@b.example')$$) AS free,
       attempt($$user_update('ada', clear => '{user_email}')$$) AS given_up_again,
       attempt($$user_update('bea', user_email => 'bea@b.example')$$) AS back;
-- Only proxy admins set an address; users can't set their own.
SELECT key, attempt(format('user_update(%L, user_email => %L, api_key => %L)', user_id, 'cfo@b.example', key)) AS set,
       attempt(format('user_update(%L, clear => %L, api_key => %L)', user_id, '{user_email}', key)) AS clear,
       attempt(format('user_update(%L, user_alias => %L, api_key => %L)', user_id, 'Bea', key)) AS alias
  FROM (VALUES ('bea', 'sk-bea'), ('bea', 'sk-ada'), ('bea', 'sk-admin')) AS t (user_id, key);
SELECT user_update('bea', user_email => 'bea@b.example', api_key => 'sk-admin') -> 'data' ->> 'user_email' AS user_email;
-- An identifier and an address must name the same user; only a proxy admin gives an existing user an address.
SELECT member, attempt(format('org_member_add(%L, %L, api_key => %L)', 'a', member, key)) AS answer, key FROM (VALUES
    ('{"role": "internal_user", "user_id": "mal", "user_email": "bea@b.example"}', 'sk-admin'),
    ('{"role": "internal_user", "user_id": "new", "user_email": "bea@b.example"}', 'sk-admin'),
    ('{"role": "internal_user", "user_id": "bea", "user_email": "new@b.example"}', 'sk-admin'),
    ('{"role": "internal_user", "user_id": "mal", "user_email": "mal@b.example"}', 'sk-ada'),
    ('{"role": "internal_user", "user_id": "mal", "user_email": "mal@b.example"}', 'sk-admin'),
    ('{"role": "internal_user", "user_id": "mal", "user_email": "MAL@b.example"}', 'sk-ada'),
    ('{"role": "internal_user", "user_id": "new", "user_email": "new@b.example"}', 'sk-ada')) AS t (member, key);
SELECT user_id, user_email FROM org."user" WHERE user_id IN ('bea', 'mal', 'new') ORDER BY user_id;
SELECT org_member_delete('a', id) FROM unnest('{mal,new}'::text[]) AS id \g /dev/null

-- A user's data elsewhere stays private ---------------------------------------
SELECT usage_record('sk-bea-b', 'secret-model', 7, 'leak'), usage_record('sk-bea', 'own-model', 2, 'own') \g /dev/null
SELECT key_generate('bea', 'a', key => 'sk-bea-a', api_key => 'sk-admin') \g /dev/null
SELECT usage_record('sk-bea-a', 'm', 1, 'here') \g /dev/null
CREATE FUNCTION test.bea(told json) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(concat_ws(' ', name, value), ', ') FROM json_each(told) AS t (name, value)
     WHERE value::text NOT IN ('null', '[]', '{}') AND name NOT IN ('created_at', 'updated_at')
$$;
SELECT seen_by, bea(told) FROM (VALUES
    ('herself', user_info('bea', 'sk-bea') -> 'user_info'),
    ('a proxy admin', user_info('bea', 'sk-admin') -> 'user_info'),
    ('an admin of A', user_info('bea', 'sk-ada') -> 'user_info'),
    ('that admin, in a list', user_list(user_id => 'bea', api_key => 'sk-ada') -> 'users' -> 0),
    ('that admin, who adds her', org_member_add('a', '{"role": "internal_user", "user_id": "bea"}', api_key => 'sk-ada')
                                 -> 'updated_users' -> 0),
    ('her own key in A', user_info('bea', 'sk-bea-a') -> 'user_info'),
    ('that key, in a list', user_list(api_key => 'sk-bea-a') -> 'users' -> 0)) AS t (seen_by, told);
-- No filter reveals it either.
SELECT json_array_length(user_list(role => 'internal_user', api_key => 'sk-ada') -> 'users') AS by_role,
       json_array_length(user_list(organization_id => 'b', api_key => 'sk-ada') -> 'users') AS by_organization,
       json_array_length(user_list(organization_id => 'a', api_key => 'sk-ada') -> 'users') AS by_own,
       json_array_length(user_list(organization_id => 'b', api_key => 'sk-bea-a') -> 'users') AS by_confined_key,
       json_array_length(user_list(organization_id => 'b', api_key => 'sk-bea') -> 'users') AS by_herself;
SELECT json_array_length(org_list(api_key => 'sk-bea-a')) AS organizations,
       json_array_length(key_list(api_key => 'sk-bea-a') -> 'keys') AS keys,
       json_array_length(key_list(organization_id => 'b', api_key => 'sk-bea-a') -> 'keys') AS of_b;

-- Keys made for a user don't count against them --------------------------------
SELECT user_update('bea', max_budget => 20, models => '{}') \g /dev/null
SELECT key_generate('bea', 'a', key_alias => 'for bea', api_key => 'sk-ada') ->> 'key' AS made_for_bea \gset
SELECT attempt(format('usage_reserve(%L, %L, 50, request_id => %L)', :'made_for_bea', 'm', 'drain')) AS delegated,
       attempt($$usage_reserve('sk-bea', 'm', 1, request_id => 'mine')$$) AS own,
       attempt($$usage_reserve('sk-bea', 'm', 10)$$) AS too_much;
SELECT l ->> 'owner' AS owner, l ->> 'limit' AS "limit" FROM json_array_elements(usage_limits(:'made_for_bea') -> 'limits') AS l;
SELECT usage_settle(40, 'drain') ->> 'state' AS state, usage_settle(1, 'mine') ->> 'state' AS own;
SELECT usage_record(:'made_for_bea', 'm', 5, 'recorded') ->> 'state' AS state;
SELECT usage_reserve(:'made_for_bea', 'm', 3, request_id => 'expires', ttl_seconds => 1) \g /dev/null
SELECT spend FROM org."user" WHERE user_id = 'bea';
SELECT organization_id, spend FROM org.membership WHERE user_id = 'bea' ORDER BY 1;
SELECT usage_verify();
-- The log distinguishes a change with such a key from the user's own.
SELECT attempt(format('key_update(%L, key_alias => %L, api_key => %L)', :'made_for_bea', 'renamed', :'made_for_bea')) AS renamed;
SELECT e ->> 'actor' AS actor, e ->> 'key_made_by' AS key_made_by, e ->> 'action' AS action
  FROM json_array_elements(org_audit('a', 3)) AS e WHERE e ->> 'action' = 'key_update';
-- Such a key does not see what the user has elsewhere.
SELECT bea(user_info(api_key => :'made_for_bea') -> 'user_info') AS told,
       json_array_length(user_list(organization_id => 'b', api_key => :'made_for_bea') -> 'users') AS in_b;

-- Members can leave; the last admin can't --------------------------------------
SELECT attempt($$org_member_delete('b', 'bea', api_key => 'sk-bea-b')$$) AS herself;
SELECT org_member_add('b', '{"role": "internal_user", "user_id": "bea"}') \g /dev/null
SELECT attempt($$org_member_delete('b', user_email => 'BEA@b.example', api_key => 'sk-bea')$$) AS by_address,
       attempt($$org_member_delete('b', 'bea', api_key => 'sk-bea')$$) AS no_member,
       attempt($$org_member_delete('a', 'ada', api_key => 'sk-bea')$$) AS another,
       attempt(format('org_member_delete(%L, %L, api_key => %L)', 'a', 'bea', :'made_for_bea')) AS with_a_key_made_for_her;
SELECT call, attempt(call) FROM (VALUES
    ($$org_member_delete('a', 'ada', api_key => 'sk-ada')$$),
    ($$org_member_update('a', 'ada', role => 'internal_user', api_key => 'sk-ada')$$),
    ($$org_member_update('a', 'ada', role => 'org_admin', api_key => 'sk-ada')$$),
    ($$org_member_add('a', '{"role": "internal_user", "user_id": "ada"}', api_key => 'sk-ada')$$)) AS t (call);
-- The reply lists the keys whose secrets the former admin may still know.
SELECT key_generate(organization_id => 'a', key_alias => 'service', api_key => 'sk-ada') ->> 'token_id' AS service \gset
SELECT org_member_add('a', '{"role": "org_admin", "user_id": "mal"}') \g /dev/null
SELECT reply ->> 'user_id' AS user_id, json_array_length(reply -> 'token_ids_to_rotate') AS keys,
       reply -> 'token_ids_to_rotate' ->> 0 = :'service' AS the_one
  FROM org_member_delete('a', 'ada', api_key => 'sk-ada') AS reply;
SELECT org_member_add('a', '{"role": "org_admin", "user_id": "ada"}') \g /dev/null

-- A token_id is no secret -----------------------------------------------------
SELECT key_info('sk-bea-a', 'sk-admin') -> 'info' ->> 'token_id' AS token_of_bea \gset
SELECT attempt(format('usage_reserve(%L, %L, 1)', :'token_of_bea', 'm')) AS reserve,
       attempt(format('usage_record(%L, %L, 1)', :'token_of_bea', 'm')) AS record,
       usage_reserve_many(json_build_array(json_build_object('key', :'token_of_bea', 'model', 'm')))
           -> 0 -> 'error' ->> 'message' AS many;
SELECT attempt(format('usage_reserve(token_id => %L, model => %L, max_cost => 1)', :'token_of_bea', 'm')) AS reserve,
       attempt(format('usage_record(token_id => %L, model => %L, cost => 1)', :'token_of_bea', 'm')) AS record,
       usage_reserve_many(json_build_array(json_build_object('token_id', :'token_of_bea', 'model', 'm', 'max_cost', 1)))
           -> 0 ->> 'model' AS many;
SELECT attempt($$usage_reserve('sk-bea-a', 'm', 1, token_id => 'x')$$) AS both, attempt($$usage_reserve(model => 'm')$$) AS neither;

-- A replaced secret ------------------------------------------------------------
SELECT key_regenerate('sk-bea-a', grace_period => '1h', api_key => 'sk-admin') ->> 'key' AS new_secret \gset
SELECT attempt($$usage_reserve('sk-bea-a', 'm', 1)$$) AS calls, attempt($$org_info('a', 'sk-bea-a')$$) AS reads;
SELECT call, attempt(call) FROM (VALUES
    ($$key_regenerate('sk-bea-a', api_key => 'sk-bea-a')$$),
    ($$key_update('sk-bea-a', key_alias => 'mine', api_key => 'sk-bea-a')$$),
    ($$key_delete('{sk-bea-a}', api_key => 'sk-bea-a')$$),
    ($$key_block('sk-bea-a', api_key => 'sk-bea-a')$$),
    ($$user_update('bea', user_alias => 'Bea', api_key => 'sk-bea-a')$$)) AS t (call);
-- Only one grace period runs at a time: the first one stays.
SELECT masked(attempt(format('key_regenerate(%L, %L)', :'new_secret', '1h'))) AS second_grace;
SELECT key_regenerate(:'new_secret') ->> 'key' <> :'new_secret' AS without_one;
SELECT attempt($$org_info('a', 'sk-bea-a')$$) AS first_still_works, attempt(format('org_info(%L, %L)', 'a', :'new_secret')) AS second;
-- The holder of a key can't extend its life.
SELECT key_generate('bea', 'a', duration => '1h', key => 'sk-hour') \g /dev/null
SELECT attempt($$key_regenerate('sk-hour', duration => '36500d', api_key => 'sk-hour')$$) AS holder,
       attempt($$key_regenerate('sk-hour', duration => '2h', api_key => 'sk-ada')$$) AS admin;
-- A repeated request is refused if its secret can't be computed again; it never gets another secret.
SELECT key_generate('ada', key => 'sk-ada-2') \g /dev/null
SELECT key_generate(organization_id => 'a', idempotency_key => 'once', api_key => 'sk-ada-2') ->> 'key' AS made \gset
SELECT key_generate(organization_id => 'a', idempotency_key => 'once', api_key => 'sk-ada-2') ->> 'key' = :'made' AS same;
SELECT key_regenerate('sk-ada-2') ->> 'key' AS ada_now \gset
SELECT attempt(format('key_generate(organization_id => %L, idempotency_key => %L, api_key => %L)', 'a', 'once', :'ada_now'));

-- A team_id is unique ---------------------------------------------------------
SELECT team_new('a', team_id => 'red') \g /dev/null
SELECT attempt($$team_new('b', team_id => 'red')$$), attempt($$team_new('b', team_id => 'RED')$$);

DROP FUNCTION test.bea;
CALL clear();
