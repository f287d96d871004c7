-- What is written about rows that are made or deleted is written for all rows of
-- a statement at once: deleting an organization takes tens of thousands along.
-- A statement that PostgreSQL runs for a foreign key counts with the one that
-- caused it.  Updates keep triggers for each row: only those can name the columns
-- they watch, so that counting does not even call them.
--
-- Identifiers of what one statement writes begin with the same random digits and are
-- counted up: so an index grows at one place, which takes half the time.

-- A key that somebody made for somebody else may be in the hands of either.
ALTER TABLE org.audit_log ADD key_made_by text;
COMMENT ON COLUMN org.audit_log.key_made_by IS 'Who made that key, if it was an organization''s admin for somebody else: a user_id.';

CREATE OR REPLACE FUNCTION org.audit() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    call     jsonb := coalesce(nullif(current_setting('pg_org.call', true), ''), '{}');
    role     text  := coalesce(nullif(current_setting('role'), 'none'), session_user);
    actor    text  := CASE WHEN call ? 'action' THEN call->>'user_id' ELSE role END;
    action   text  := coalesce(call->>'action', TG_OP);
    around   text  := coalesce(call->>'organization_id', '');
    secrets  CONSTANT text[] := '{key_hash,previous_key_hash}';
    counters CONSTANT text[] := '{updated_at,updated_by,spend,model_spend}';
    series   text  := left(gen_random_uuid()::text, 24);
    image    jsonb;
    before   jsonb;
    after    jsonb;
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        INSERT INTO org.audit_log (organization_id, actor, key_id, key_made_by, database_role, action, kind, request_id)
        VALUES (around, actor, call->>'key_id', call->>'key_made_by', role, action, TG_TABLE_NAME, call->>'request_id');
    ELSIF TG_OP = 'UPDATE' THEN
        image := to_jsonb(NEW);
        SELECT jsonb_object_agg(key, was.value), jsonb_object_agg(key, became.value) INTO before, after
          FROM jsonb_each(to_jsonb(OLD) - counters) AS was JOIN jsonb_each(image) AS became USING (key)
         WHERE was.value <> became.value;
        -- Saving the same again is no change, and neither is spending.
        IF before IS NULL THEN
            RETURN NULL;
        END IF;
        INSERT INTO org.audit_log (organization_id, actor, key_id, key_made_by, database_role, action, kind, id, before,
                                   after, request_id)
        VALUES (coalesce(image->>'organization_id', around), actor, call->>'key_id', call->>'key_made_by', role, action,
                TG_TABLE_NAME, concat_ws('/', image->>TG_ARGV[0], image->>TG_ARGV[1]),
                before - secrets, after - secrets, call->>'request_id');
    ELSE
        INSERT INTO org.audit_log (organization_id, audit_id, actor, key_id, key_made_by, database_role, action, kind,
                                   id, before, after, request_id)
        SELECT coalesce(whole->>'organization_id', around), series || lpad(to_hex(place), 12, '0'), actor,
               call->>'key_id', call->>'key_made_by', role, action, TG_TABLE_NAME,
               concat_ws('/', whole->>TG_ARGV[0], whole->>TG_ARGV[1]),
               CASE WHEN TG_OP = 'DELETE' THEN whole END, CASE WHEN TG_OP = 'INSERT' THEN whole END,
               call->>'request_id'
          FROM (SELECT to_jsonb(c) - secrets AS whole, row_number() OVER () AS place FROM changed AS c) AS rows;
    END IF;
    RETURN NULL;
END $$;
COMMENT ON COLUMN org.audit_log.before IS 'The row before the change, without secrets: the changed fields of an updated row, all fields of a deleted row, null for a new row.';
COMMENT ON COLUMN org.audit_log.after IS 'The row after the change, without secrets: the changed fields of an updated row, all fields of a new row, null for a deleted row.';
COMMENT ON FUNCTION org.audit() IS 'Trigger: writes changes to the audit log; those made or deleted by a statement are in the transition table changed. Arguments: the columns that identify a row.';

DO $$
DECLARE
    audited  record;
BEGIN
    FOR audited IN
        SELECT tables.name, tables.key, string_agg(quote_ident(attname), ', ' ORDER BY attnum) AS columns
          FROM (VALUES ('organization', 'organization_id'), ('budget', 'budget_id'), ('user', 'user_id'),
                       ('membership', 'user_id'), ('team', 'team_id'), ('team_member', 'team_id, user_id'),
                       ('api_key', 'key_id')) AS tables (name, key)
          JOIN pg_attribute ON attrelid = format('org.%I', tables.name)::regclass
         WHERE attnum > 0 AND NOT attisdropped AND attname NOT IN ('spend', 'model_spend', 'updated_at', 'updated_by')
         GROUP BY tables.name, tables.key
    LOOP
        EXECUTE format('DROP TRIGGER audit ON org.%I', audited.name);
        EXECUTE format('CREATE TRIGGER audit_insert AFTER INSERT ON org.%I REFERENCING NEW TABLE AS changed '
                       'FOR EACH STATEMENT EXECUTE FUNCTION org.audit(%s)', audited.name, audited.key);
        EXECUTE format('CREATE TRIGGER audit_delete AFTER DELETE ON org.%I REFERENCING OLD TABLE AS changed '
                       'FOR EACH STATEMENT EXECUTE FUNCTION org.audit(%s)', audited.name, audited.key);
        EXECUTE format('CREATE TRIGGER audit_update AFTER UPDATE OF %s ON org.%I '
                       'FOR EACH ROW EXECUTE FUNCTION org.audit(%s)', audited.columns, audited.name, audited.key);
    END LOOP;
END $$;

-- Arguments: what the four columns of usage_account that name an owner are called in the owner's table; '' if nothing.
CREATE OR REPLACE FUNCTION org.close_account() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- Planned each time: for one row an index, for many the whole table.
    EXECUTE format('DELETE FROM org.usage_account a USING changed c'
                   ' WHERE (a.organization_id, a.team_id, a.user_id, a.key_id) = (%s)',
                   (SELECT string_agg(CASE WHEN name = '' THEN '''''' ELSE format('coalesce(c.%I, '''')', name) END,
                                      ', ' ORDER BY place)
                      FROM unnest(TG_ARGV) WITH ORDINALITY AS columns (name, place)));
    RETURN NULL;
END $$;
COMMENT ON FUNCTION org.close_account() IS 'Trigger: takes the accounts of deleted owners away.';

DO $$
DECLARE
    closed  record;
BEGIN
    FOR closed IN
        SELECT tgrelid::regclass AS name, pg_get_triggerdef(oid) AS definition
          FROM pg_trigger WHERE tgname = 'close_account' AND tgfoid = 'org.close_account'::regproc
    LOOP
        EXECUTE format('DROP TRIGGER close_account ON %s', closed.name);
        EXECUTE replace(closed.definition, 'FOR EACH ROW', 'REFERENCING OLD TABLE AS changed FOR EACH STATEMENT');
    END LOOP;
END $$;

CREATE OR REPLACE FUNCTION org.emit() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    happened  text := CASE TG_OP WHEN 'INSERT' THEN 'created' ELSE 'deleted' END;
    series    text := left(gen_random_uuid()::text, 24);
    thing     jsonb;
    kind      text;
    data      jsonb;
BEGIN
    IF TG_OP = 'UPDATE' THEN
        thing := to_jsonb(NEW);
        IF TG_TABLE_NAME = 'api_key' THEN
            kind := 'key.';
            data := jsonb_build_object('token_id', thing->'key_id', 'key_alias', thing->'key_alias',
                                       'user_id', thing->'user_id', 'team_id', thing->'team_id');
        ELSE
            kind := 'organization.';
            data := jsonb_build_object('organization_alias', thing->'organization_alias');
        END IF;
        INSERT INTO org.event (organization_id, kind, data)
        VALUES (coalesce(thing->>'organization_id', ''),
                kind || CASE WHEN NEW.blocked THEN 'blocked' ELSE 'unblocked' END, data);
    ELSIF TG_TABLE_NAME = 'membership' THEN
        INSERT INTO org.event (organization_id, outbox_id, kind, data)
        SELECT c.organization_id, series || lpad(to_hex(row_number() OVER ()), 12, '0'), 'member.' || happened,
               jsonb_build_object('user_id', c.user_id, 'user_role', c.user_role)
          FROM changed AS c;
    ELSIF TG_TABLE_NAME = 'api_key' THEN
        INSERT INTO org.event (organization_id, outbox_id, kind, data)
        SELECT coalesce(c.organization_id, ''), series || lpad(to_hex(row_number() OVER ()), 12, '0'),
               'key.' || happened,
               jsonb_build_object('token_id', c.key_id, 'key_alias', c.key_alias, 'user_id', c.user_id,
                                  'team_id', c.team_id)
          FROM changed AS c;
    ELSE
        INSERT INTO org.event (organization_id, outbox_id, kind, data)
        SELECT c.organization_id, series || lpad(to_hex(row_number() OVER ()), 12, '0'), 'organization.' || happened,
               jsonb_build_object('organization_alias', c.organization_alias)
          FROM changed AS c;
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION org.emit() IS 'Trigger: writes events for changes; the rows made or deleted by a statement are in the transition table changed.';

DO $$
DECLARE
    emitting  text;
BEGIN
    FOREACH emitting IN ARRAY '{organization, membership, api_key}'::text[] LOOP
        EXECUTE format('DROP TRIGGER emit ON org.%I', emitting);
        EXECUTE format('CREATE TRIGGER emit_insert AFTER INSERT ON org.%I REFERENCING NEW TABLE AS changed '
                       'FOR EACH STATEMENT EXECUTE FUNCTION org.emit()', emitting);
        EXECUTE format('CREATE TRIGGER emit_delete AFTER DELETE ON org.%I REFERENCING OLD TABLE AS changed '
                       'FOR EACH STATEMENT EXECUTE FUNCTION org.emit()', emitting);
    END LOOP;
END $$;

-- So that a key of no organization need not look at what others of none have left to expire.
CREATE INDEX reservation_key_id_idx ON org.reservation (key_id, expires_at) WHERE organization_id = '';

-- Whose a day's calls are, when an organization has the identifier of one before it.
ALTER TABLE org.usage_daily ADD first_reserved_at timestamptz;
COMMENT ON COLUMN org.usage_daily.first_reserved_at IS 'When the first of the calls was granted, or recorded without that; null if that is not known.';
