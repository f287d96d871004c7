-- Events: which changes emit them, who reads them, in which order, and how they are delivered.
\getenv checkout PG_ABS_SRCDIR
\set helpers :checkout /test/helpers.sql
\i :helpers
\set ECHO none
DELETE FROM org.event;
UPDATE org.event_counter SET last_event_id = 0;
-- Lists the events of a reply in their order.
CREATE FUNCTION test.events(reply json)
RETURNS TABLE (event_id bigint, organization_id text, kind text, data text) LANGUAGE sql AS $$
    SELECT (event ->> 'event_id')::bigint, event ->> 'organization_id', event ->> 'kind', test.masked(event ->> 'data')
      FROM json_array_elements(reply) WITH ORDINALITY AS e (event, place) ORDER BY place
$$;
\set ECHO all

-- Emitted events --------------------------------------------------------------
SELECT org_new('Acme', 'A') \g /dev/null
SELECT user_new(id, auto_create_key => false) FROM unnest('{ada,ann,vera}'::text[]) AS id \g /dev/null
SELECT org_member_add('A', '[{"role":"org_admin","user_id":"ada"},{"role":"internal_user","user_id":"ann"}]') \g /dev/null
SELECT key_generate(organization_id => 'A', user_id => 'ada', key => 'sk-ada', key_alias => 'Ada''s') \g /dev/null
SELECT key_generate(key => 'sk-own') \g /dev/null
SELECT key_block('sk-ada'), key_unblock('sk-ada') \g /dev/null
SELECT org_block('A'), org_unblock('A') \g /dev/null
SELECT key_delete('{sk-ada}'), org_member_delete('A', 'ann') \g /dev/null
SELECT * FROM test.events(org_events());
SELECT test.reply(org_events("limit" => 1));

-- Other changes, updates with the same values, refused calls and rolled-back calls emit nothing.
SELECT max(event_id) AS last FROM org.event \gset
SELECT org_update('A', organization_alias => 'A', max_budget => 5) \g /dev/null
SELECT org_member_add('A', '{"role":"internal_user","user_id":"ada"}') \g /dev/null
SELECT org_unblock('A'), key_unblock('sk-own'), key_regenerate('sk-own') \g /dev/null
UPDATE org.organization SET spend = 1;
SELECT test.attempt('org_new(''again'', ''A'')');
BEGIN;
SELECT org_block('A') \g /dev/null
ROLLBACK;
SELECT * FROM test.events(org_events(:last));

-- Plain SQL emits events too, whichever role runs it; a delete emits events for everything it cascades to.
CREATE ROLE regress_pg_org_blocker;
GRANT USAGE ON SCHEMA org TO regress_pg_org_blocker;
GRANT SELECT, UPDATE ON org.organization TO regress_pg_org_blocker;
SET ROLE regress_pg_org_blocker;
UPDATE org.organization SET blocked = true;
RESET ROLE;
SELECT org_delete('{A}') \g /dev/null
SELECT * FROM test.events(org_events(:last));

-- No event contains a secret.
SELECT count(*) FROM org.event WHERE event::text ~ '[0-9a-f]{64}|sk-';

-- Reading ---------------------------------------------------------------------
-- A page begins after the last event of the previous page.
SELECT array_agg(event_id) FROM test.events(org_events("limit" => 3));
SELECT array_agg(event_id) FROM test.events(org_events(after => 3, "limit" => 3));
SELECT array_agg(event_id) FROM test.events(org_events(after => NULL, "limit" => NULL));
SELECT org_events(after => 1000), org_events(organization_id => 'nowhere');
SELECT array_agg(event_id) FROM test.events(org_events(organization_id => ''));
SELECT test.attempt('org_events("limit" => 0)'), test.attempt('org_events("limit" => 1001)');
-- The default limit is 100.
INSERT INTO org.event (organization_id, kind, data) SELECT 'many', 'test', '{}' FROM generate_series(1, 150);
SELECT json_array_length(org_events()) AS events;

-- Events are numbered in the order in which they happened, not in which they were written.
SELECT last_event_id AS last FROM org.event_counter \gset
INSERT INTO org.event (organization_id, occurred_at, kind, data)
VALUES ('A', '2001-01-01 00:00:03Z', 'third', '{}'), ('B', '2001-01-01 00:00:01Z', 'first', '{}'),
       ('A', '2001-01-01 00:00:02Z', 'second', '{}');
SELECT event_id - :last AS place, organization_id, kind FROM test.events(org_events(:last));

-- They begin with the first that happened at a time or later, and then numbers count.
BEGIN;
INSERT INTO org.event (organization_id, occurred_at, kind, data)
SELECT 'timely', '2001-01-01Z'::timestamptz + i * interval '1 s', 'k', '{}' FROM generate_series(1, 5) AS i;
SELECT org_events("limit" => 1) \g /dev/null
INSERT INTO org.event (organization_id, occurred_at, kind, data) VALUES ('timely', '2001-01-01Z', 'late', '{}');
SELECT since, "after" - :last AS "after", string_agg(concat_ws(' ', e.event_id - :last, e.kind), ', ' ORDER BY e.event_id) AS events
  FROM (VALUES ('2001-01-01', NULL), ('2001-01-01T00:00:03.5Z', NULL), ('2001-01-01T02:00:05+02:00', NULL), ('2001-01-01T00:00:06Z', NULL),
               ('2001-01-01T00:00:03Z', :last + 4)) AS t (since, "after")
  LEFT JOIN test.events(org_events("after", 5, 'timely', since)) AS e ON true
 GROUP BY since, "after" ORDER BY since, "after";
SELECT count(*) AS of_all FROM test.events(org_events(since => '2001-01-01T00:00:05Z', "limit" => 1000)) AS e
 WHERE e.event_id > :last;
SELECT test.attempt('org_events(since => ''yesterday'')'), test.attempt('org_events(since => '''')');
-- Of a long table only what has happened since is read.
INSERT INTO org.event (organization_id, event_id, occurred_at, kind, data)
SELECT CASE WHEN i % 2 = 0 THEN 'long' ELSE 'other' END, 1000000 + i, '2001-02-01Z'::timestamptz + i * interval '1 s', 'k',
       '{}' FROM generate_series(1, 20000) AS i;
ANALYZE org.event;
CREATE FUNCTION test.events_read() RETURNS bigint LANGUAGE sql AS $$
    SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0))::bigint FROM pg_stat_xact_all_tables
     WHERE schemaname = 'org' AND relname LIKE 'event%'
$$;
SELECT test.events_read() AS before \gset
SELECT count(*) AS events, min(event_id)
  FROM test.events(org_events(organization_id => 'long', since => '2001-02-01T05:31:41Z'));
SELECT test.events_read() - :before < 1000 AS few;
ROLLBACK;

-- A backlog is numbered until there is something to answer, in order: an empty answer means that there is nothing.
BEGIN;
SELECT last_event_id AS before_backlog FROM org.event_counter \gset
INSERT INTO org.event (organization_id, occurred_at, kind, data, next_attempt_at)
SELECT 'many', '2001-01-02Z'::timestamptz + i * interval '1 ms', 'old', '{}', 'infinity'
  FROM generate_series(1, 20001) AS i;
INSERT INTO org.event (organization_id, occurred_at, kind, data) VALUES ('late', '2001-01-03Z', 'late', '{}');
SAVEPOINT backlog;
SELECT event_id - :before_backlog AS place, organization_id, kind FROM test.events(org_events(organization_id => 'late'));
ROLLBACK TO backlog;
UPDATE org.event SET next_attempt_at = 'infinity' WHERE kind NOT IN ('old', 'late');
SELECT event_id - :before_backlog AS place, organization_id, kind FROM test.events(event_claim());
SELECT count(*) AS events, count(*) FILTER (WHERE is_in_order) AS in_order, max(event_id) = last_event_id AS counted
  FROM (SELECT event_id, event_id - :before_backlog = row_number() OVER (ORDER BY occurred_at) AS is_in_order
          FROM org.event WHERE kind IN ('old', 'late')) AS numbered
 CROSS JOIN org.event_counter GROUP BY last_event_id;
ROLLBACK TO backlog;
SELECT org_events(organization_id => 'nowhere') AS none;
SELECT count(*) AS unnumbered FROM org.event WHERE event_id IS NULL;
ROLLBACK;

-- A read without new events writes nothing.
SELECT xmin AS counter_version FROM org.event_counter \gset
SELECT org_events(1000), event_claim(1) \g /dev/null
SELECT xmin = :'counter_version' AS untouched FROM org.event_counter;

-- Event numbers are never reused, even after all events are purged.
SELECT org_event_purge('2001-01-01 00:00:02Z');
SELECT (org_event_purge(clock_timestamp()) ->> 'deleted')::bigint > 150 AS purged;
SELECT org_events();
SELECT org_new('Acme', 'A'), org_new('Beta', 'B') \g /dev/null
SELECT event_id - :last AS place, organization_id, kind FROM test.events(org_events(:last));
SELECT test.attempt('org_event_purge(NULL)');

-- Readers ---------------------------------------------------------------------
SELECT org_member_add('A', '[{"role":"org_admin","user_id":"ada"},{"role":"internal_user","user_id":"ann"}]') \g /dev/null
SELECT user_update('vera', user_role => 'proxy_admin_viewer') \g /dev/null
SELECT key_generate(user_id => 'default_user_id', key => 'sk-admin'), key_generate(user_id => 'vera', key => 'sk-vera'),
       key_generate(user_id => 'ada', key => 'sk-ada'), key_generate(user_id => 'ann', key => 'sk-ann'),
       key_generate(key => 'sk-service'), key_generate(key => 'sk-other'),
       key_generate(organization_id => 'A', key => 'sk-of-a') \g /dev/null
UPDATE org.api_key SET permissions = '{"events": true}' WHERE key_hash IN
    (SELECT encode(sha256(key::bytea), 'hex') FROM unnest('{sk-service,sk-of-a}'::text[]) AS key);
UPDATE org.api_key SET permissions = '{"events": false, "usage": true}' WHERE key_hash = encode(sha256('sk-other'), 'hex');
CREATE FUNCTION test.heard(call text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    heard text;
BEGIN
    EXECUTE format('SELECT coalesce(string_agg(DISTINCT quote_literal(organization_id), '' ''), ''nothing'')'
                   ' FROM test.events(%s)', call) INTO heard;
    RETURN heard;
EXCEPTION WHEN OTHERS THEN
    RETURN sqlstate || ' ' || sqlerrm;
END $$;
SELECT key, test.heard(format('org_events(api_key => %L)', key)) AS of_all,
       test.heard(format('org_events(organization_id => ''A'', api_key => %L)', key)) AS of_a,
       left(test.heard(format('org_events(organization_id => ''B'', api_key => %L)', key)), 5) AS of_b,
       test.heard(format('event_claim(api_key => %L)', key)) AS to_deliver
  FROM unnest('{sk-admin,sk-vera,sk-ada,sk-ann,sk-service,sk-other,sk-of-a}'::text[]) AS key;
SELECT test.attempt('org_event_purge(now(), api_key => ''sk-admin'')');
SELECT test.attempt('event_acknowledge(1, api_key => ''sk-vera'')');

-- Delivery --------------------------------------------------------------------
-- A claim takes the oldest event of each organization once; the next one follows after its acknowledgement.
DELETE FROM org.event;
UPDATE org.event_counter SET last_event_id = 0;
INSERT INTO org.event (organization_id, occurred_at, kind, data)
SELECT organization_id, clock_timestamp() + place * interval '1 ms', kind, '{}'
  FROM (VALUES (1, 'A', 'A1'), (2, 'A', 'A2'), (3, '', 'none1'), (4, 'B', 'B1')) AS t (place, organization_id, kind);
SELECT event_id, kind FROM test.events(event_claim(1));
SELECT event_id, kind FROM test.events(event_claim());
SELECT event_claim();
SELECT test.reply(event_acknowledge(1));
SELECT delivered_at FROM org.event WHERE event_id = 1 \gset
SELECT event_id, kind FROM test.events(event_claim());
-- A repeated acknowledgement gets the same answer.
SELECT event_acknowledge(1) ->> 'event_id' AS event_id;
SELECT delivered_at = :'delivered_at' AS as_before FROM org.event WHERE event_id = 1;
SELECT test.attempt('event_acknowledge(1000)'), test.attempt('event_acknowledge(NULL)');

-- An event without acknowledgement can be claimed again after its lease; the wait grows up to an hour.
SELECT test.attempt('event_claim(lease_seconds => 0)'), test.attempt('event_claim(lease_seconds => 3601)');
CREATE FUNCTION test.claim_again(attempt bigint, OUT attempts int, OUT seconds numeric) LANGUAGE plpgsql AS $$
BEGIN
    UPDATE org.event SET next_attempt_at = clock_timestamp() WHERE kind = 'B1';
    PERFORM event_claim(lease_seconds => 100);
    SELECT event.attempts, round(extract(epoch FROM next_attempt_at - clock_timestamp()), -1) INTO attempts, seconds
      FROM org.event WHERE kind = 'B1';
END $$;
SELECT again.* FROM generate_series(1, 14) AS attempt, test.claim_again(attempt) AS again;
SELECT event_claim();

-- Organizations take turns: neither an organization with many events nor a receiver that acknowledges nothing delays
-- the others by more than one delivery.
DELETE FROM org.event;
UPDATE org.event_counter SET last_event_id = 0;
INSERT INTO org.event (organization_id, occurred_at, kind, data)
SELECT organization_id, clock_timestamp() + place * interval '1 ms', organization_id || i, '{}'
  FROM (VALUES (0, 'many', 300), (1000, 'few', 3), (2000, 'deaf', 1)) AS t (place, organization_id, events),
       generate_series(1, events) AS i;
CREATE FUNCTION test.take_turn() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    claimed  json := event_claim(1) -> 0;
BEGIN
    IF claimed ->> 'organization_id' <> 'deaf' THEN
        PERFORM event_acknowledge((claimed ->> 'event_id')::bigint);
    END IF;
    RETURN claimed ->> 'kind';
END $$;
SELECT string_agg(test.take_turn(), ' ') AS turns FROM generate_series(1, 8);
-- An event that is claimed again after its lease waits for its organization's turn.
UPDATE org.event SET next_attempt_at = clock_timestamp() WHERE organization_id = 'deaf';
INSERT INTO org.event (organization_id, kind, data) VALUES ('few', 'few4', '{}'), ('late', 'late1', '{}');
SELECT string_agg(test.take_turn(), ' ') AS turns FROM generate_series(1, 6);
-- Events that are claimed together are in the order of turns as well.
UPDATE org.event SET next_attempt_at = clock_timestamp() WHERE organization_id = 'deaf';
INSERT INTO org.event (organization_id, kind, data) VALUES ('few', 'few5', '{}'), ('late', 'late2', '{}');
SELECT string_agg(kind, ' ' ORDER BY place) AS claimed
  FROM json_array_elements(event_claim()) WITH ORDINALITY AS e (event, place),
       json_extract_path_text(event, 'kind') AS kind;

\set ECHO none
REVOKE ALL ON org.organization FROM regress_pg_org_blocker;
REVOKE ALL ON SCHEMA org FROM regress_pg_org_blocker;
DROP ROLE regress_pg_org_blocker;
DROP FUNCTION test.events, test.heard, test.claim_again, test.take_turn;
CALL test.clear();
