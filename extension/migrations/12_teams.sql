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

-- The audit log leaves out columns that only repeat others.
DO $$
DECLARE
    source  text := pg_get_functiondef('org.audit'::regproc);
BEGIN
    EXECUTE replace(replace(source, '''{key_hash,previous_key_hash}''', '''{key_hash,previous_key_hash,owner_organization_id}'''),
                    '''{updated_at,updated_by,spend,model_spend}''',
                    '''{updated_at,updated_by,spend,model_spend,owner_organization_id}''');
END $$;
DO $$
DECLARE
    columns  text;
BEGIN
    SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) INTO columns
      FROM pg_attribute
     WHERE attrelid = 'org.team'::regclass AND attnum > 0 AND NOT attisdropped
       AND attname NOT IN ('spend', 'updated_at', 'updated_by', 'keys_at_most', 'owner_organization_id');
    DROP TRIGGER audit_update ON org.team;
    EXECUTE format('CREATE TRIGGER audit_update AFTER UPDATE OF %s ON org.team '
                   'FOR EACH ROW EXECUTE FUNCTION org.audit(team_id)', columns);
END $$;
