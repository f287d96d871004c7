-- Extending a hold: who may, how long it lasts then, and which holds can't be extended.
\getenv checkout PG_ABS_SRCDIR
\set helpers :checkout /test/helpers.sql
\i :helpers
\set usage :checkout /test/usage.sql
\i :usage
SET pg_org.now = '2030-06-12 10:20:30Z';
CALL set_limit('key', 'max_budget', '10');

-- The hold expires later, counted from now, and never sooner --------------------
SELECT usage_reserve('sk-ann', 'm', 6, request_id => 'stream', ttl_seconds => 60) ->> 'expires_at' AS expires_at;
SELECT usage_extend('stream', ttl_seconds => 90);
SELECT usage_extend('stream', ttl_seconds => 30) ->> 'expires_at' AS unchanged;
SELECT usage_extend(reservation_id => '4.acme.stream') ->> 'expires_at' AS in_ten_minutes;
SET pg_org.now = '2030-06-12 10:30:29.999999Z';
SELECT usage_extend('stream', ttl_seconds => 86400) ->> 'expires_at' AS in_a_day;
SELECT usage_reserve('sk-ann', 'm', 6, request_id => 'stream') ->> 'expires_at' AS of_the_same_grant;
-- It holds as much as before, longer than it would have.
SET pg_org.now = '2030-06-13 10:30:29Z';
SELECT trial($$usage_reserve('sk-ann', 'm', 5)$$);
SELECT held, remaining FROM limits(usage_limits('sk-ann'));
SELECT usage_settle(1, 'stream') ->> 'state' AS state;
SELECT expires_at, closed_at FROM org.usage;
SELECT usage_verify();

-- A hold that has expired or is over is refused ---------------------------------
CALL begin_again();
SET pg_org.now = '2030-06-12 10:20:30Z';
CALL set_limit('key', 'max_budget', '10');
SELECT usage_reserve('sk-ann', 'm', 1, request_id => id, ttl_seconds => 60)
  FROM unnest('{expires,is closed,settled,cancelled}'::text[]) AS id \g /dev/null
SELECT usage_settle(1, 'settled'), usage_cancel('cancelled'), usage_record('sk-ann', 'm', 1, 'recorded') \g /dev/null
SELECT id, trial(format('usage_extend(%L)', id)) FROM unnest('{settled,cancelled,recorded}'::text[]) AS id;
-- From that moment on, whether another call has closed it or not.
SET pg_org.now = '2030-06-12 10:21:29.999999Z';
SELECT trial($$usage_extend('expires')$$);
SET pg_org.now = '2030-06-12 10:21:30Z';
SELECT trial($$usage_extend('expires')$$);
SELECT count(*) AS held FROM org.reservation;
SELECT usage_reserve('sk-ann', 'm', 1, request_id => 'closes them') ->> 'model' AS granted;
SELECT trial($$usage_extend('expires')$$), (SELECT state FROM org.usage WHERE request_id = 'expires');
SELECT usage_verify();

-- Arguments ---------------------------------------------------------------------
SELECT fingerprint() AS contents \gset before_
SELECT call, attempt(call) FROM (VALUES
    ($$usage_extend()$$),
    ($$usage_extend('')$$),
    ($$usage_extend('closes them', ttl_seconds => 0)$$),
    ($$usage_extend('closes them', ttl_seconds => -1)$$),
    ($$usage_extend('closes them', ttl_seconds => 86401)$$),
    ($$usage_extend('nowhere')$$),
    ($$usage_extend(reservation_id => 'nowhere')$$),
    ($$usage_extend(reservation_id => '0..closes them')$$)) AS t (call);
SELECT fingerprint() = :'before_contents' AS unchanged;

-- Callers -----------------------------------------------------------------------
-- Those who may reserve; for a key of an organization, everything outside seems not to exist.
CALL begin_again();
SELECT org_new('Beta', 'beta') \g /dev/null
SELECT key_generate(organization_id => 'acme', key => 'sk-acme'),
       key_generate(organization_id => 'beta', key => 'sk-beta'), key_generate(key => 'sk-lone'),
       key_generate(key => 'sk-gate', permissions => '{"usage": true}'),
       key_generate(organization_id => 'acme', key => 'sk-gate-acme', permissions => '{"usage": true}'),
       key_generate(organization_id => 'beta', key => 'sk-gate-beta', permissions => '{"usage": true}') \g /dev/null
CALL settle_in();
SELECT usage_reserve(key, 'm', request_id => 'of ' || key) FROM unnest('{sk-acme,sk-beta,sk-lone}'::text[]) AS key
\g /dev/null
SELECT caller, key, left(trial(format('usage_extend(%L, api_key => %L)', 'of ' || key, caller)), 5) AS extend,
       left(trial(format('usage_extend(reservation_id => %L, api_key => %L)', r.reservation_id, caller)), 5) AS by_id
  FROM unnest('{sk-gate,sk-gate-acme,sk-gate-beta,sk-acme}'::text[]) WITH ORDINALITY AS c (caller, place),
       (VALUES ('sk-acme', '4.acme.of sk-acme'), ('sk-beta', '4.beta.of sk-beta'), ('sk-lone', '0..of sk-lone'),
               ('sk-nobody', '4.acme.of sk-nobody')) AS r (key, reservation_id)
 ORDER BY place, key;
SELECT trial($$usage_extend('of sk-acme', api_key => 'sk-acme')$$);
-- Organizations may have the same request_id.
SELECT usage_reserve(key, 'm', request_id => 'again') FROM unnest('{sk-acme,sk-beta}'::text[]) AS key \g /dev/null
SELECT trial($$usage_extend('again')$$);
SELECT usage_extend('again', api_key => 'sk-gate-beta') ->> 'reservation_id' AS extended;
-- The call goes on, whatever becomes of the key.
SELECT key_block('sk-acme'), key_delete('{sk-lone}') \g /dev/null
SELECT trial($$usage_extend('of sk-acme')$$), trial($$usage_extend('of sk-lone')$$);
SELECT usage_verify();
RESET pg_org.now;
CALL clear();
