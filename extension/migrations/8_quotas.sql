-- Quotas: how many teams, members and keys an organization may have.  Most of
-- the time they are not counted: what each of them is at most is kept beside
-- the quota, grows with each that is made and does not shrink, and only when
-- it reaches the quota they are counted again.

ALTER TABLE org.organization ADD quotas jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(quotas) = 'object'),
    ADD teams_at_most bigint NOT NULL DEFAULT 0 CHECK (teams_at_most >= 0),
    ADD members_at_most bigint NOT NULL DEFAULT 0 CHECK (members_at_most >= 0),
    ADD keys_at_most bigint NOT NULL DEFAULT 0 CHECK (keys_at_most >= 0);
ALTER TABLE org."user" ADD quotas jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(quotas) = 'object');
COMMENT ON COLUMN org."user".quotas IS 'How many the user may have: an object of max_keys (outside organizations); what is not in it has a default.';
ALTER TABLE org.team ADD keys_at_most bigint NOT NULL DEFAULT 0 CHECK (keys_at_most >= 0);
COMMENT ON COLUMN org.organization.quotas IS 'How many it may have: an object of max_teams, max_members, max_keys and max_team_keys (keys in one team); what is not in it has a default.';
COMMENT ON COLUMN org.organization.teams_at_most IS 'How many teams it has, or more.';
COMMENT ON COLUMN org.organization.members_at_most IS 'How many members it has, or more.';
COMMENT ON COLUMN org.organization.keys_at_most IS 'How many keys it has, or more.';
COMMENT ON COLUMN org.team.keys_at_most IS 'How many keys it has, or more.';
UPDATE org.organization o
   SET teams_at_most = (SELECT count(*) FROM org.team t WHERE t.organization_id = o.organization_id),
       members_at_most = (SELECT count(*) FROM org.membership m WHERE m.organization_id = o.organization_id),
       keys_at_most = (SELECT count(*) FROM org.api_key k WHERE k.organization_id = o.organization_id);
UPDATE org.team t
   SET keys_at_most = (SELECT count(*) FROM org.api_key k
                        WHERE k.organization_id = t.organization_id AND k.team_id = t.team_id);

-- The audit triggers name the columns they watch: here with quotas, and without what only counts. (So does that of
-- org.team, which has no new column to watch.)
DO $$
DECLARE
    audited  record;
BEGIN
    FOR audited IN
        SELECT tables.name, string_agg(quote_ident(attname), ', ' ORDER BY attnum) AS columns
          FROM unnest('{organization, user}'::text[]) AS tables (name)
          JOIN pg_attribute ON attrelid = format('org.%I', tables.name)::regclass
         WHERE attnum > 0 AND NOT attisdropped AND attname NOT IN ('spend', 'model_spend', 'updated_at', 'updated_by')
           AND attname NOT LIKE '%\_at\_most'
         GROUP BY tables.name
    LOOP
        EXECUTE format('DROP TRIGGER audit_update ON org.%I', audited.name);
        EXECUTE format('CREATE TRIGGER audit_update AFTER UPDATE OF %s ON org.%I '
                       'FOR EACH ROW EXECUTE FUNCTION org.audit(%s)', audited.columns, audited.name, audited.name || '_id');
    END LOOP;
END $$;
