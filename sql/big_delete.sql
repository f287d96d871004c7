-- Large deletes: each row is logged, emits its event and loses its usage account, in a few statements.
\getenv checkout PG_ABS_SRCDIR
\set helpers :checkout /test/helpers.sql
\i :helpers
\set ECHO none
-- Makes an organization with 300 teams, 20 members, 600 keys, and accounts for half of the keys and all other owners.
CREATE PROCEDURE test.fill(name text) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM org_new(name, name);
    INSERT INTO org."user" (user_id) SELECT name || '-u' || i FROM generate_series(1, 20) AS i;
    INSERT INTO org.membership (organization_id, user_id, user_role)
    SELECT name, name || '-u' || i, 'internal_user' FROM generate_series(1, 20) AS i;
    INSERT INTO org.team (organization_id, team_id) SELECT name, name || '-t' || i FROM generate_series(1, 300) AS i;
    INSERT INTO org.team_member (organization_id, team_id, user_id, role)
    SELECT name, name || '-t' || i, name || '-u' || i % 20 + 1, 'user' FROM generate_series(1, 300) AS i;
    INSERT INTO org.api_key (key_hash, key_id, key_name, organization_id, team_id, user_id)
    SELECT encode(sha256((name || i)::bytea), 'hex'), name || '-k' || i, 'sk-...', name, name || '-t' || i % 300 + 1,
           CASE WHEN i % 2 = 0 THEN name || '-u' || i % 20 + 1 END
      FROM generate_series(1, 600) AS i;
    INSERT INTO org.usage_counter
    SELECT organization_id, t, u, k, '', '', '', '', '', now(), 0, 0, now(), 'infinity', '{}', '{}', '{}', '{}', '{}', '{}'
      FROM (SELECT organization_id, '', '', key_id FROM org.api_key WHERE key_id ~ '[02468]$' UNION ALL
            SELECT organization_id, team_id, '', '' FROM org.team UNION ALL
            SELECT organization_id, '', user_id, '' FROM org.membership UNION ALL
            SELECT organization_id, team_id, user_id, '' FROM org.team_member UNION ALL
            SELECT '', '', user_id, '' FROM org."user" WHERE user_id LIKE name || '-%' UNION ALL
            SELECT organization_id, '', '', '' FROM org.organization) AS owner (organization_id, t, u, k)
     WHERE organization_id IN (name, '') AND u || name || '-' LIKE '%' || name || '-%';
END $$;
-- Counts the log entries and events of an organization since the last test.forget(), and its usage accounts.
CREATE FUNCTION test.written(name text)
RETURNS TABLE (written text, action text, actor text, kind text, entries bigint, things bigint) LANGUAGE sql AS $$
    SELECT 'audit', action, actor, kind, count(*), count(DISTINCT id) FROM org.audit_log
     WHERE organization_id = name OR id LIKE name || '-%' GROUP BY action, actor, kind
     UNION ALL
    SELECT 'event', kind, NULL, NULL, count(*), count(DISTINCT coalesce(data ->> 'token_id', data ->> 'user_id', ''))
      FROM org.event WHERE organization_id = name GROUP BY kind
     UNION ALL
    SELECT 'account', NULL, NULL, NULL, count(*), NULL FROM org.usage_counter
     WHERE organization_id = name OR user_id LIKE name || '-%'
     ORDER BY 1, 2, 3, 4
$$;
CREATE PROCEDURE test.forget() LANGUAGE sql AS $$
    SELECT org_audit_purge(clock_timestamp());
    DELETE FROM org.event;
$$;
\set ECHO all

-- Rows that one statement makes are logged one by one.
CALL test.fill('big');
CALL test.fill('other');
SELECT * FROM test.written('big');
SELECT count(*) FILTER (WHERE before IS NOT NULL) AS with_before,
       count(*) FILTER (WHERE after IS NULL) AS without_after,
       count(*) FILTER (WHERE after ->> 'key_id' = id) AS of_its_row, count(DISTINCT audit_id) AS ids
  FROM org.audit_log WHERE organization_id = 'big' AND kind = 'api_key';

-- org_delete() cascades to all of it.
CALL test.forget();
SELECT json_array_length(org_delete('{big}') -> 0 -> 'teams') AS teams;
SELECT * FROM test.written('big');
SELECT count(*) FILTER (WHERE before IS NULL) AS without_before,
       count(*) FILTER (WHERE after IS NOT NULL) AS with_after,
       count(*) FILTER (WHERE before ->> 'key_id' = id) AS of_its_row, count(DISTINCT audit_id) AS ids,
       bool_or(before ? 'key_hash') AS secret
  FROM org.audit_log WHERE organization_id = 'big' AND kind = 'api_key';
-- Nothing of another organization is touched.
SELECT * FROM test.written('other');

-- Plain SQL cascades and logs as well, under the database role.
CALL test.forget();
SELECT json_array_length(org_audit('other')) AS entries;
DELETE FROM org.team WHERE organization_id = 'other' AND team_id <= 'other-t2';
SELECT written, action, actor = current_user AS by_role, kind, entries, things FROM test.written('other');
CALL test.forget();
DELETE FROM org.team WHERE organization_id = 'nobody';
DELETE FROM org.api_key WHERE organization_id = 'nobody';
SELECT (SELECT count(*) FROM org.audit_log) + (SELECT count(*) FROM org.event) AS of_nothing;

-- Teams are deleted together: all or none, and each once, even if it is named twice.
SELECT test.attempt('team_delete(''{other-t20, nobody}'')');
SELECT team ->> 'team_id' AS deleted
  FROM json_array_elements(team_delete('{other-t30, other-t20, other-t30}')) WITH ORDINALITY AS t (team, place)
 ORDER BY place;
SELECT * FROM test.written('other');
SELECT id FROM org.audit_log WHERE kind IN ('team', 'api_key') ORDER BY kind, id;

-- Users are deleted with their memberships and keys in every organization.
CALL test.forget();
SELECT user_delete('{other-u1, other-u2, other-u3}') AS deleted;
SELECT * FROM test.written('other');

-- Adding u9 with the same role logs nothing, the new role is one update, and u0 is created once.
CALL test.forget();
SELECT org_member_add('other', '{"role":"internal_user","user_id":"other-u9"}'),
       org_member_add('other', '[{"role":"org_admin","user_id":"other-u9"},
                                 {"role":"internal_user","user_id":"other-u0"}]') \g /dev/null
SELECT action, kind, id, before ->> 'user_role' AS before, after ->> 'user_role' AS after
  FROM org.audit_log ORDER BY occurred_at, id;
SELECT kind, data FROM org.event;

-- No trigger runs for each row that a statement inserts or deletes. Only UPDATE has row triggers, because a trigger
-- with transition tables can't name columns.
SELECT tgrelid::regclass, tgname FROM pg_trigger
 WHERE tgfoid IN ('org.audit'::regproc, 'org.emit'::regproc, 'org.delete_counters'::regproc,
                  'org.keep_former'::regproc)
   AND pg_get_triggerdef(oid) ~ '(INSERT|DELETE).* FOR EACH ROW';

\set ECHO none
DROP PROCEDURE test.fill, test.forget;
DROP FUNCTION test.written;
CALL test.clear();
