-- The audit log: every change of the tables, whoever makes it, in the same
-- transaction.  The functions of pg_org say who calls in the setting
-- pg_org.call, for the length of the call; without it the database role did it.

CREATE TABLE org.audit_log (
    organization_id  text COLLATE "C" NOT NULL,
    audit_id         text COLLATE "C" NOT NULL DEFAULT gen_random_uuid()::text,
    occurred_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor            text,
    key_id           text,
    database_role    text NOT NULL,
    action           text NOT NULL,
    kind             text NOT NULL,
    id               text,
    before           jsonb,
    after            jsonb,
    request_id       text,
    PRIMARY KEY (organization_id, audit_id)
);
CREATE INDEX audit_log_occurred_at_idx ON org.audit_log (organization_id, occurred_at, audit_id);
COMMENT ON TABLE org.audit_log IS 'Who changed what, when. Only grows; org_audit_purge() takes old entries away.';
COMMENT ON COLUMN org.audit_log.organization_id IS 'Organization concerned; empty for what belongs to none.';
COMMENT ON COLUMN org.audit_log.audit_id IS 'Identifier of the entry.';
COMMENT ON COLUMN org.audit_log.occurred_at IS 'When it was changed.';
COMMENT ON COLUMN org.audit_log.actor IS 'Who did it: a user_id, or the database role if it was plain SQL.';
COMMENT ON COLUMN org.audit_log.key_id IS 'With which key; null without one.';
COMMENT ON COLUMN org.audit_log.database_role IS 'Database role that was logged in.';
COMMENT ON COLUMN org.audit_log.action IS 'Function that was called, or the SQL command.';
COMMENT ON COLUMN org.audit_log.kind IS 'What was changed: the name of its table.';
COMMENT ON COLUMN org.audit_log.id IS 'Identifier of what was changed.';
COMMENT ON COLUMN org.audit_log.before IS 'The row before, without secrets; null if it was made.';
COMMENT ON COLUMN org.audit_log.after IS 'The row after, without secrets; null if it was deleted.';
COMMENT ON COLUMN org.audit_log.request_id IS 'Identifier of the HTTP request, if there was one.';

-- Arguments: the columns that identify a row.
CREATE FUNCTION org.audit() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    call    jsonb := coalesce(nullif(current_setting('pg_org.call', true), ''), '{}');
    role    text  := coalesce(nullif(current_setting('role'), 'none'), session_user);
    before  jsonb;
    after   jsonb;
    image   jsonb;
BEGIN
    IF TG_OP IN ('UPDATE', 'DELETE') THEN before := to_jsonb(OLD); END IF;
    IF TG_OP IN ('UPDATE', 'INSERT') THEN after := to_jsonb(NEW); END IF;
    -- Saving the same again is no change, and neither is spending.
    IF before - '{updated_at,updated_by,spend,model_spend}'::text[]
       = after - '{updated_at,updated_by,spend,model_spend}'::text[] AND TG_OP = 'UPDATE' THEN
        RETURN NULL;
    END IF;
    before := before - '{key_hash,previous_key_hash}'::text[];
    after := after - '{key_hash,previous_key_hash}'::text[];
    image := coalesce(after, before);
    INSERT INTO org.audit_log (organization_id, actor, key_id, database_role, action, kind, id, before, after, request_id)
    VALUES (coalesce(image->>'organization_id', call->>'organization_id', ''),
            CASE WHEN call ? 'action' THEN call->>'user_id' ELSE role END,
            call->>'key_id', role, coalesce(call->>'action', TG_OP), TG_TABLE_NAME,
            (SELECT string_agg(image->>name, '/') FROM unnest(TG_ARGV) AS name),
            before, after, call->>'request_id');
    RETURN NULL;
END $$;
COMMENT ON FUNCTION org.audit() IS 'Trigger: writes the change of a row to the audit log.';

CREATE FUNCTION org.keep_audit_log() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_OP = 'DELETE' AND nullif(current_setting('pg_org.call', true), '')::jsonb->>'action' = 'org_audit_purge' THEN
        RETURN OLD;
    END IF;
    RAISE insufficient_privilege USING MESSAGE = 'the audit log only grows',
        HINT = 'org_audit_purge() takes old entries away.';
END $$;
COMMENT ON FUNCTION org.keep_audit_log() IS 'Trigger: refuses to change the audit log.';

CREATE TRIGGER keep BEFORE UPDATE OR DELETE ON org.audit_log FOR EACH ROW EXECUTE FUNCTION org.keep_audit_log();
CREATE TRIGGER keep_all BEFORE TRUNCATE ON org.audit_log FOR EACH STATEMENT EXECUTE FUNCTION org.keep_audit_log();

-- Counters are left out of the triggers, so that counting does not even call them.
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
         WHERE attnum > 0 AND attname NOT IN ('spend', 'model_spend', 'updated_at', 'updated_by')
         GROUP BY tables.name, tables.key
    LOOP
        EXECUTE format('CREATE TRIGGER audit AFTER INSERT OR DELETE OR UPDATE OF %s ON org.%I '
                       'FOR EACH ROW EXECUTE FUNCTION org.audit(%s)', audited.columns, audited.name, audited.key);
        EXECUTE format('CREATE TRIGGER audit_truncate AFTER TRUNCATE ON org.%I '
                       'FOR EACH STATEMENT EXECUTE FUNCTION org.audit()', audited.name);
    END LOOP;
END $$;
