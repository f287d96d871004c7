-- The ledger, the audit log and the events are partitioned by time, so that old calls, entries and events can leave
-- whole, and indexes of what is new stay small. Whoever writes makes the next partition before it is needed.

CREATE TABLE org.retention (
    only_row             boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    partition            text NOT NULL DEFAULT 'month' CHECK (partition IN ('day', 'week', 'month')),
    request_memory_days  bigint NOT NULL DEFAULT 35 CHECK (request_memory_days BETWEEN 2 AND 36525),
    ledger_days          bigint CHECK (ledger_days BETWEEN request_memory_days AND 36525),
    archive_days         bigint CHECK (archive_days BETWEEN 1 AND 36525),
    audit_log_days       bigint CHECK (audit_log_days BETWEEN 1 AND 36525),
    event_days           bigint CHECK (event_days BETWEEN 1 AND 36525),
    forgotten_before     timestamptz NOT NULL DEFAULT '-infinity'
);
INSERT INTO org.retention DEFAULT VALUES;
COMMENT ON TABLE org.retention IS 'How long things are kept: one row.';
COMMENT ON COLUMN org.retention.only_row IS 'Makes sure that there is one row.';
COMMENT ON COLUMN org.retention.partition IS
'Length of the partitions that are made from now on: day, week or month, in UTC.';
COMMENT ON COLUMN org.retention.request_memory_days IS
'Days for which a request_id is remembered after its call was closed.';
COMMENT ON COLUMN org.retention.ledger_days IS
'Days after which calls are archived, a partition at a time; null: they are not.';
COMMENT ON COLUMN org.retention.archive_days IS
'Days after which an archived partition of the ledger is dropped; null: it is kept.';
COMMENT ON COLUMN org.retention.audit_log_days IS
'Days after which entries of the audit log are deleted, a partition at a time; null: they are kept.';
COMMENT ON COLUMN org.retention.event_days IS
'Days after which events are deleted, a partition at a time; null: they are kept.';
COMMENT ON COLUMN org.retention.forgotten_before IS
'Calls closed before stay forgotten, although request_memory_days was raised since.';

CREATE VIEW org.partition AS
    SELECT format('org.%I', t.relname) AS of_table, c.relname::text AS name,
           (regexp_match(b.bound, 'FROM \(''([^'']+)''\)'))[1]::timestamptz AS starts_at,
           (regexp_match(b.bound, 'TO \(''([^'']+)''\)'))[1]::timestamptz AS ends_at
      FROM pg_inherits p
      JOIN pg_class c ON c.oid = p.inhrelid
      JOIN pg_class t ON t.oid = p.inhparent
     CROSS JOIN LATERAL (SELECT pg_get_expr(c.relpartbound, c.oid) AS bound) AS b
     WHERE t.relnamespace = 'org'::regnamespace
       AND t.relkind = 'p'
       AND c.relispartition;
COMMENT ON VIEW org.partition IS 'The partitions of the ledger, the audit log and the events.';
COMMENT ON COLUMN org.partition.of_table IS 'Table that it is a partition of: org.usage, org.audit_log or org.event.';
COMMENT ON COLUMN org.partition.name IS 'Name of the partition in schema org, by its end.';
COMMENT ON COLUMN org.partition.starts_at IS 'Calls closed, changes made and events that occurred from then on are in it; null: all earlier ones, too.';
COMMENT ON COLUMN org.partition.ends_at IS 'Those from then on are not in it any more.';

CREATE FUNCTION org.end_of_partition(at timestamptz) RETURNS timestamptz LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT (date_trunc(partition, at AT TIME ZONE 'UTC') + ('1 ' || partition)::interval) AT TIME ZONE 'UTC'
      FROM org.retention
$$;
COMMENT ON FUNCTION org.end_of_partition(timestamptz) IS 'The end of the day, week or month, whichever the length of partitions is.';

CREATE FUNCTION org.name_of_partition(of_table regclass, ends_at timestamptz) RETURNS text LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('%s_until_%s', relname, to_char(ends_at AT TIME ZONE 'UTC', 'YYYY_MM_DD')) FROM pg_class WHERE oid = of_table
$$;
COMMENT ON FUNCTION org.name_of_partition(regclass, timestamptz) IS 'The name of the partition of a table that ends then.';

CREATE FUNCTION org.make_partition(of_table regclass, at timestamptz) RETURNS timestamptz LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    last     record;
    name     text;
    ends_at  timestamptz;
    options  text;
    command  text;
BEGIN
    SELECT p.name, p.ends_at INTO STRICT last FROM org.partition p WHERE p.of_table = make_partition.of_table::text
     ORDER BY p.ends_at DESC LIMIT 1;
    -- Whatever was left out, because nobody wrote for so long, becomes part of this one.
    ends_at := org.end_of_partition(greatest(last.ends_at, at));
    name := org.name_of_partition(of_table, ends_at);
    SELECT string_agg(option, ', ') INTO options FROM pg_class, unnest(reloptions) AS option
     WHERE oid = format('org.%I', last.name)::regclass;
    EXECUTE format('CREATE TABLE org.%I (LIKE %s INCLUDING ALL)%s', name, of_table,
                   ' WITH (' || options || ')');
    EXECUTE format('COMMENT ON TABLE org.%I IS %L', name,
                   format('Partition of %s: what is from before %s.', of_table, to_char(ends_at AT TIME ZONE 'UTC', 'YYYY-MM-DD')));
    -- Attached, since CREATE TABLE ... PARTITION OF would wait for all readers of the table.
    EXECUTE format('ALTER TABLE %s ATTACH PARTITION org.%I FOR VALUES FROM (%L) TO (%L)', of_table, name, last.ends_at,
                   ends_at);
    FOR command IN
        SELECT replace(pg_get_triggerdef(oid), format(' ON %s ', of_table), format(' ON org.%I ', name))
          FROM pg_trigger
         WHERE tgrelid = of_table
           AND NOT tgisinternal
           AND tgtype & 1 = 0 -- not for each row: those have come along
    LOOP
        EXECUTE command;
    END LOOP;
    RETURN ends_at;
END $$;
COMMENT ON FUNCTION org.make_partition(regclass, timestamptz) IS
'Makes the next partition of a table, which reaches beyond the given time, and returns its end.';

CREATE FUNCTION org.make_partitions(of_table regclass, at timestamptz) RETURNS timestamptz LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    ahead     interval := (SELECT CASE partition WHEN 'month' THEN '7 days' WHEN 'week' THEN '2 days' ELSE '6 hours' END
                             FROM org.retention);
    last_end  timestamptz := (SELECT max(p.ends_at) FROM org.partition p WHERE p.of_table = make_partitions.of_table::text);
    lock      bigint := hashtextextended(of_table::text, 1886679657);
BEGIN
    IF last_end > at + ahead THEN
        RETURN last_end - ahead;
    END IF;
    IF last_end <= at THEN
        PERFORM pg_advisory_xact_lock(lock);
    ELSIF NOT pg_try_advisory_xact_lock(lock) THEN
        RETURN at; -- somebody else is making it
    ELSE
        BEGIN
            EXECUTE format('LOCK TABLE %s IN SHARE UPDATE EXCLUSIVE MODE NOWAIT', of_table);
        EXCEPTION WHEN lock_not_available THEN
            RETURN at; -- as ANALYZE takes it; there is time
        END;
    END IF;
    LOOP
        SELECT max(p.ends_at) INTO last_end FROM org.partition p WHERE p.of_table = make_partitions.of_table::text;
        EXIT WHEN last_end > at + ahead;
        PERFORM org.make_partition(of_table, at);
    END LOOP;
    RETURN at; -- not known to others before this transaction is committed
END $$;
COMMENT ON FUNCTION org.make_partitions(regclass, timestamptz) IS
'Makes sure that a table has partitions for the given time, and for about a quarter of their length after it. Returns'
' until when that needs no further look.';

-- Looks whether the partitions are there, but not at each statement.
CREATE FUNCTION org.make_partitions_ahead() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    at  timestamptz := clock_timestamp();
BEGIN
    IF extract(epoch FROM at) >= coalesce(nullif(current_setting('pg_org.partitions_until', true), ''), '0')::numeric THEN
        PERFORM set_config('pg_org.partitions_until',
                           extract(epoch FROM least(org.make_partitions('org.audit_log', at),
                                                    org.make_partitions('org.event', at)))::text, false);
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION org.make_partitions_ahead() IS
'Trigger: makes the next partitions of the audit log and of the events, if it is time.';

DO $$
DECLARE
    audited  record;
BEGIN
    FOR audited IN
        SELECT t.tgrelid::regclass AS name,
               (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum)
                  FROM pg_attribute a
                 WHERE a.attrelid = t.tgrelid
                   AND a.attnum = ANY (t.tgattr::smallint[])) AS columns
          FROM pg_trigger t
         WHERE t.tgname = 'audit_update'
           AND t.tgrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'org'::regnamespace)
         ORDER BY 1
    LOOP
        EXECUTE format('CREATE TRIGGER make_partitions BEFORE INSERT OR DELETE OR TRUNCATE OR UPDATE OF %s ON %s'
                       ' FOR EACH STATEMENT EXECUTE FUNCTION org.make_partitions_ahead()', audited.columns, audited.name);
    END LOOP;
END $$;
CREATE TRIGGER audit_update AFTER UPDATE ON org.retention FOR EACH ROW EXECUTE FUNCTION org.audit('only_row');
CREATE TRIGGER make_partitions BEFORE UPDATE ON org.retention
    FOR EACH STATEMENT EXECUTE FUNCTION org.make_partitions_ahead();

-- What there is becomes the first partition, where it is: its rows are read, and its new indexes are made, unless they have
-- been made before, with these names. The ledger has no primary key any more, which would have to contain closed_at: that
-- an organization has a request_id once, as long as it is remembered, is seen to under the lock of its owners. Columns, indexes, policies, privileges and triggers that the tables'
-- owner has added are those of the whole from now on. A view on the table would go on to read the first partition only.
DO $$
DECLARE
    started    timestamptz;
    first_end  timestamptz;
    of_table   record;
    name       text;
    command    text;
    commands   text[];
BEGIN
    FOR of_table IN
        SELECT 'usage' AS name, 'closed_at' AS time, NULL AS key,
               'CREATE INDEX IF NOT EXISTS usage_request_id_idx ON org.usage (hashtextextended(request_id, 0))' AS index,
               NULL AS replaced
         UNION ALL
        SELECT 'audit_log', 'occurred_at', 'organization_id, occurred_at, audit_id',
               'CREATE INDEX IF NOT EXISTS audit_log_audit_id_idx ON org.audit_log (audit_id)', 'audit_log_occurred_at_idx'
         UNION ALL
        SELECT 'event', 'occurred_at', 'organization_id, occurred_at, outbox_id',
               'CREATE INDEX IF NOT EXISTS event_organization_idx ON org.event (organization_id, event_id)'
               ' WHERE event_id IS NOT NULL', 'event_organization_idx'
    LOOP
        started := clock_timestamp();
        FOR name IN
            SELECT r.ev_class::regclass FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid
             WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass
               AND d.refobjid = format('org.%I', of_table.name)::regclass
             GROUP BY r.ev_class ORDER BY 1
        LOOP
            RAISE WARNING '% will read the first partition of org.% only', name, of_table.name
                  USING HINT = 'Create it again with its definition.';
        END LOOP;
        EXECUTE format('SELECT org.end_of_partition(greatest(clock_timestamp(), max(%I))) FROM org.%I', of_table.time,
                       of_table.name) INTO first_end;
        name := org.name_of_partition(format('org.%I', of_table.name)::regclass, first_end);

        -- As the table is now, under its name; what is there is created again for the whole.
        EXECUTE format('ALTER TABLE org.%I DROP CONSTRAINT %I', of_table.name, of_table.name || '_pkey');
        IF of_table.replaced IS NOT NULL THEN
            EXECUTE format('DROP INDEX IF EXISTS org.%I', of_table.replaced);
        END IF;
        commands := ARRAY(SELECT pg_get_indexdef(indexrelid) FROM pg_index JOIN pg_class c ON c.oid = indexrelid
                           WHERE indrelid = format('org.%I', of_table.name)::regclass AND NOT indisunique ORDER BY relname);
        commands := commands || ARRAY(
            SELECT pg_get_triggerdef(oid) FROM pg_trigger
             WHERE tgrelid = format('org.%I', of_table.name)::regclass AND NOT tgisinternal ORDER BY tgname);
        commands := commands || ARRAY(
            SELECT format('CREATE POLICY %I ON org.%I AS %s FOR %s TO %s%s%s', policyname, tablename, permissive, cmd,
                          (SELECT string_agg(CASE role WHEN 'public' THEN 'PUBLIC' ELSE quote_ident(role) END, ', ')
                             FROM unnest(roles) AS role),
                          ' USING (' || qual || ')', ' WITH CHECK (' || with_check || ')')
              FROM pg_policies WHERE schemaname = 'org' AND tablename = of_table.name ORDER BY policyname);
        commands := commands || ARRAY(
            SELECT format('GRANT %s%s ON org.%I TO %s%s', privilege_type, column_name, of_table.name,
                          CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END,
                          CASE WHEN is_grantable THEN ' WITH GRANT OPTION' END)
              FROM (SELECT acl.*, '' AS column_name FROM pg_class c, aclexplode(c.relacl) AS acl
                     WHERE c.oid = format('org.%I', of_table.name)::regclass AND acl.grantee <> c.relowner
                     UNION ALL
                    SELECT acl.*, format(' (%I)', attname) FROM pg_attribute a, aclexplode(a.attacl) AS acl
                     WHERE a.attrelid = format('org.%I', of_table.name)::regclass) AS granted);
        commands := commands || ARRAY(
            SELECT format('ALTER TABLE org.%I ENABLE ROW LEVEL SECURITY', relname) FROM pg_class
             WHERE oid = format('org.%I', of_table.name)::regclass AND relrowsecurity);
        commands := commands || ARRAY(
            SELECT format('ALTER TABLE org.%I FORCE ROW LEVEL SECURITY', relname) FROM pg_class
             WHERE oid = format('org.%I', of_table.name)::regclass AND relforcerowsecurity);
        commands := commands || format('COMMENT ON TABLE org.%I IS %L', of_table.name,
                                       obj_description(format('org.%I', of_table.name)::regclass));
        FOR command IN
            SELECT format('DROP TRIGGER %I ON org.%I', tgname, of_table.name) FROM pg_trigger
             WHERE tgrelid = format('org.%I', of_table.name)::regclass AND NOT tgisinternal AND tgtype & 1 = 1
        LOOP
            EXECUTE command;
        END LOOP;
        FOR command IN
            SELECT format('ALTER INDEX org.%I RENAME TO %I', c.relname, left(name || substr(c.relname, length(of_table.name) + 1), 63))
              FROM pg_index JOIN pg_class c ON c.oid = indexrelid
             WHERE indrelid = format('org.%I', of_table.name)::regclass AND starts_with(c.relname, of_table.name || '_')
        LOOP
            EXECUTE command;
        END LOOP;
        EXECUTE format('ALTER TABLE org.%I RENAME TO %I', of_table.name, name);
        EXECUTE format('CREATE TABLE org.%I (LIKE org.%I INCLUDING ALL EXCLUDING INDEXES) PARTITION BY RANGE (%I)',
                       of_table.name, name, of_table.time);
        IF of_table.key IS NOT NULL THEN
            commands := commands || format('ALTER TABLE org.%I ADD PRIMARY KEY (%s)', of_table.name, of_table.key);
        END IF;
        FOREACH command IN ARRAY commands || of_table.index LOOP
            EXECUTE command;
        END LOOP;
        EXECUTE format('ALTER TABLE org.%I ATTACH PARTITION org.%I FOR VALUES FROM (MINVALUE) TO (%L)', of_table.name,
                       name, first_end);
        EXECUTE format('COMMENT ON TABLE org.%I IS %L', name,
                       format('Partition of org.%s: what is from before %s.', of_table.name,
                              to_char(first_end AT TIME ZONE 'UTC', 'YYYY-MM-DD')));
        PERFORM org.make_partitions(format('org.%I', of_table.name)::regclass, clock_timestamp());
        IF clock_timestamp() - started > interval '1 second' THEN
            RAISE NOTICE 'org.% was partitioned in % s', of_table.name,
                  round(extract(epoch FROM clock_timestamp() - started), 1);
        END IF;
    END LOOP;
END $$;
