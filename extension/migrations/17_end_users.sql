-- End users: fields that are only kept, the quota of an organization, and events.

ALTER TABLE org.end_user ADD kept jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(kept) = 'object');
COMMENT ON COLUMN org.end_user.kept IS 'What an LLM gateway reads and nothing here does: an object of fields.';

ALTER TABLE org.organization ADD end_users_at_most bigint NOT NULL DEFAULT 0 CHECK (end_users_at_most >= 0);
COMMENT ON COLUMN org.organization.end_users_at_most IS 'Upper bound of the number of its end users.';
COMMENT ON COLUMN org.organization.quotas IS
'How many it may have: an object of max_teams, max_members, max_keys, max_team_keys (keys in one team) and max_end_users;'
' what is not in it has a default.';
UPDATE org.organization o
   SET end_users_at_most = (SELECT count(*) FROM org.end_user e WHERE e.organization_id = o.organization_id)
 WHERE EXISTS (SELECT FROM org.end_user e WHERE e.organization_id = o.organization_id);

-- The audit trigger names the columns that it watches: here with the new one.
DO $$
BEGIN
    DROP TRIGGER audit_update ON org.end_user;
    EXECUTE format('CREATE TRIGGER audit_update AFTER UPDATE OF %s ON org.end_user '
                   'FOR EACH ROW EXECUTE FUNCTION org.audit(end_user_id)',
                   (SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum)
                      FROM pg_attribute
                     WHERE attrelid = 'org.end_user'::regclass
                       AND attnum > 0
                       AND NOT attisdropped
                       AND attgenerated = ''
                       AND attname NOT IN ('spend', 'updated_at', 'updated_by')));
END $$;

CREATE FUNCTION org.emit_of_end_users() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    series  text := left(gen_random_uuid()::text, 24);
BEGIN
    IF TG_OP = 'UPDATE' THEN
        INSERT INTO org.event (organization_id, kind, data)
        VALUES (NEW.organization_id, CASE WHEN NEW.blocked THEN 'end_user.blocked' ELSE 'end_user.unblocked' END,
                jsonb_build_object('user_id', NEW.end_user_id, 'alias', NEW.alias, 'blocked', NEW.blocked));
    ELSE
        INSERT INTO org.event (organization_id, outbox_id, kind, data)
        SELECT c.organization_id, series || lpad(to_hex(row_number() OVER ()), 12, '0'),
               CASE TG_OP WHEN 'INSERT' THEN 'end_user.created' ELSE 'end_user.deleted' END,
               jsonb_build_object('user_id', c.end_user_id, 'alias', c.alias, 'blocked', c.blocked)
          FROM changed AS c;
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION org.emit_of_end_users() IS
'Trigger: writes events for changes of end users; those made or deleted by a statement are in the transition table changed.';
CREATE TRIGGER emit_insert AFTER INSERT ON org.end_user REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION org.emit_of_end_users();
CREATE TRIGGER emit_delete AFTER DELETE ON org.end_user REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION org.emit_of_end_users();
CREATE TRIGGER emit_blocked AFTER UPDATE OF blocked ON org.end_user
    FOR EACH ROW WHEN (NEW.blocked <> OLD.blocked) EXECUTE FUNCTION org.emit_of_end_users();

-- Resets. Arguments: what replies call the owner, and the columns that identify it.
CREATE FUNCTION org.emit_reset() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    thing    jsonb := to_jsonb(NEW);
    is_one   boolean := OLD.spend_reset_at IS NOT DISTINCT FROM NEW.spend_reset_at;
    reset    jsonb := NEW.limit_resets -> -1;
BEGIN
    INSERT INTO org.event (organization_id, kind, data)
    VALUES (coalesce(thing->>'organization_id', ''), 'usage.reset',
            jsonb_build_object('owner', TG_ARGV[0], 'id', concat_ws('/', thing->>TG_ARGV[1], thing->>TG_ARGV[2]),
                               'limit', CASE WHEN is_one THEN reset END,
                               'reset_at', CASE WHEN is_one THEN reset->>'at'
                                                ELSE to_char(NEW.spend_reset_at, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') END));
    RETURN NULL;
END $$;
COMMENT ON FUNCTION org.emit_reset() IS 'Trigger: writes an event for a reset of what counts against limits.';
DO $$
DECLARE
    owner  record;
BEGIN
    FOR owner IN
        SELECT * FROM (VALUES ('organization', 'organization, organization_id'), ('membership', 'member, user_id'),
                              ('team', 'team, team_id'), ('team_member', 'team_member, team_id, user_id'),
                              ('user', '"user", user_id'), ('api_key', 'key, key_id'),
                              ('end_user', 'end_user, end_user_id')) AS owners (relation, arguments)
    LOOP
        EXECUTE format('CREATE TRIGGER emit_reset AFTER UPDATE OF spend_reset_at, limit_resets ON org.%I'
                       ' FOR EACH ROW WHEN (OLD.spend_reset_at IS DISTINCT FROM NEW.spend_reset_at'
                       ' OR (OLD.limit_resets <> NEW.limit_resets AND NEW.limit_resets <> ''[]''))'
                       ' EXECUTE FUNCTION org.emit_reset(%s)', owner.relation, owner.arguments);
    END LOOP;
END $$;

COMMENT ON COLUMN org.event.kind IS
'Kind of the event: organization, member, key or end_user, a dot and created, deleted, blocked or unblocked;'
' budget.soft_limit_crossed, budget.exceeded, limit.soft_limit_crossed; usage.reset.';
