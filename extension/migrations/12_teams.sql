-- Teams of the platform, which belong to no organization: their organization_id is empty. No row that all of them share
-- exists, so that a call locks its own team only. A generated column, null for them, points to the organization.

ALTER TABLE org.team
    DROP CONSTRAINT team_organization_id_fkey,
    ADD owner_organization_id text COLLATE "C" GENERATED ALWAYS AS (nullif(organization_id, '')) STORED
        CONSTRAINT team_organization_id_fkey REFERENCES org.organization ON DELETE CASCADE,
    ADD team_member_permissions text[] NOT NULL DEFAULT '{/key/info, /key/health}',
    ADD open boolean NOT NULL DEFAULT false,
    ADD spend_reset_at timestamptz;
CREATE INDEX team_owner_organization_id_idx ON org.team (owner_organization_id);
COMMENT ON TABLE org.team IS 'A group of people that shares keys and limits, in an organization or on the platform.';
COMMENT ON COLUMN org.team.organization_id IS 'Organization of the team; empty if it belongs to the platform.';
COMMENT ON COLUMN org.team.owner_organization_id IS 'organization_id, but null for a team of the platform.';
COMMENT ON COLUMN org.team.team_member_permissions IS
'Routes by which members who are no admins of the team may see and change its keys.';
COMMENT ON COLUMN org.team.open IS 'Whether people may add themselves to the team.';
COMMENT ON COLUMN org.team.spend_reset_at IS 'When what counts against its budget was reset; null means never.';
COMMENT ON COLUMN org.team.models IS
'Models that the team may use, all of them those of its organization; an empty list allows all of those.';

ALTER TABLE org.team_member
    DROP CONSTRAINT team_member_organization_id_user_id_fkey,
    ADD owner_organization_id text COLLATE "C" GENERATED ALWAYS AS (nullif(organization_id, '')) STORED,
    ADD CONSTRAINT team_member_organization_id_user_id_fkey FOREIGN KEY (owner_organization_id, user_id)
        REFERENCES org.membership ON DELETE CASCADE,
    ADD CONSTRAINT team_member_user_id_fkey FOREIGN KEY (user_id) REFERENCES org."user" ON DELETE CASCADE;
DROP INDEX org.team_member_user_id_idx;
CREATE INDEX team_member_user_id_idx ON org.team_member (owner_organization_id, user_id);
COMMENT ON TABLE org.team_member IS 'The members of teams, with their roles.';
COMMENT ON COLUMN org.team_member.organization_id IS 'Organization of the team; empty if it belongs to the platform.';
COMMENT ON COLUMN org.team_member.owner_organization_id IS 'organization_id, but null in a team of the platform.';
COMMENT ON COLUMN org.team_member.user_id IS 'The user; in an organization''s team a member of the organization.';

-- A key of such a team has a team, but no organization.
ALTER TABLE org.api_key
    DROP CONSTRAINT api_key_check,
    ADD CONSTRAINT api_key_team_id_fkey FOREIGN KEY (team_id) REFERENCES org.team (team_id) ON DELETE CASCADE;
COMMENT ON COLUMN org.api_key.team_id IS 'Team of the key, of its organization or of the platform; null means none.';

-- Calls of their keys are looked up by team.
CREATE INDEX reservation_team_id_idx ON org.reservation (team_id, expires_at) WHERE organization_id = '' AND team_id <> '';
CREATE INDEX usage_team_id_idx ON org.usage (team_id, closed_at) WHERE organization_id = '' AND team_id <> '';

-- The audit log leaves out columns that only repeat others, and tells both organizations of what moves.
CREATE OR REPLACE FUNCTION org.audit() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    call     jsonb := coalesce(nullif(current_setting('pg_org.call', true), ''), '{}');
    role     text  := coalesce(nullif(current_setting('role'), 'none'), session_user);
    actor    text  := CASE WHEN call ? 'action' THEN call->>'user_id' ELSE role END;
    action   text  := coalesce(call->>'action', TG_OP);
    around   text  := coalesce(call->>'organization_id', '');
    left_out CONSTANT text[] := '{key_hash,previous_key_hash,owner_organization_id}';
    counters CONSTANT text[] := '{updated_at,updated_by,spend,model_spend,owner_organization_id}';
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
        -- What moves leaves one organization's log and enters the other's.
        INSERT INTO org.audit_log (organization_id, actor, key_id, key_made_by, database_role, action, kind, id, before,
                                   after, request_id)
        SELECT log.organization_id, actor, call->>'key_id', call->>'key_made_by', role, action, TG_TABLE_NAME,
               concat_ws('/', image->>TG_ARGV[0], image->>TG_ARGV[1]), log.was - left_out, log.became - left_out,
               call->>'request_id'
          FROM (VALUES (coalesce(before->>'organization_id', ''), before, NULL::jsonb, true),
                       (coalesce(after->>'organization_id', ''), NULL, after, true),
                       (coalesce(image->>'organization_id', around), before, after, false))
            AS log (organization_id, was, became, moves)
         WHERE log.moves = (before ? 'organization_id');
    ELSE
        INSERT INTO org.audit_log (organization_id, audit_id, actor, key_id, key_made_by, database_role, action, kind,
                                   id, before, after, request_id)
        SELECT coalesce(whole->>'organization_id', around), series || lpad(to_hex(place), 12, '0'), actor,
               call->>'key_id', call->>'key_made_by', role, action, TG_TABLE_NAME,
               concat_ws('/', whole->>TG_ARGV[0], whole->>TG_ARGV[1]),
               CASE WHEN TG_OP = 'DELETE' THEN whole END, CASE WHEN TG_OP = 'INSERT' THEN whole END,
               call->>'request_id'
          FROM (SELECT to_jsonb(c) - left_out AS whole, row_number() OVER () AS place FROM changed AS c) AS rows;
    END IF;
    RETURN NULL;
END $$;
COMMENT ON COLUMN org.audit_log.before IS 'The row before the change, without secrets: the changed fields of an updated row, all fields of a deleted row, null for a new row, and for one that came from another organization.';
COMMENT ON COLUMN org.audit_log.after IS 'The row after the change, without secrets: the changed fields of an updated row, all fields of a new row, null for a deleted row, and for one that went to another organization.';

-- A key that moves is gone for one organization, and new to the other.
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
        IF TG_NAME = 'emit_moved' THEN
            INSERT INTO org.event (organization_id, outbox_id, kind, data)
            VALUES (coalesce(OLD.organization_id, ''), series || lpad('1', 12, '0'), kind || 'deleted',
                    jsonb_build_object('token_id', OLD.key_id, 'key_alias', OLD.key_alias, 'user_id', OLD.user_id,
                                       'team_id', OLD.team_id)),
                   (coalesce(NEW.organization_id, ''), series || lpad('2', 12, '0'), kind || 'created', data);
        ELSE
            INSERT INTO org.event (organization_id, kind, data)
            VALUES (coalesce(thing->>'organization_id', ''),
                    kind || CASE WHEN NEW.blocked THEN 'blocked' ELSE 'unblocked' END, data);
        END IF;
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
CREATE TRIGGER emit_moved AFTER UPDATE OF organization_id ON org.api_key
    FOR EACH ROW WHEN (NEW.organization_id IS DISTINCT FROM OLD.organization_id) EXECUTE FUNCTION org.emit();
