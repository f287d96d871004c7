-- Fields of LiteLLM that are only kept and given back.

ALTER TABLE org.organization ADD kept jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(kept) = 'object');
ALTER TABLE org.team ADD kept jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(kept) = 'object');
ALTER TABLE org.api_key ADD kept jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(kept) = 'object');
COMMENT ON COLUMN org.organization.kept IS 'What an LLM gateway reads and nothing here does: an object of fields.';
COMMENT ON COLUMN org.team.kept IS 'What an LLM gateway reads and nothing here does: an object of fields.';
COMMENT ON COLUMN org.api_key.kept IS 'What an LLM gateway reads and nothing here does: an object of fields.';

-- The audit triggers name the columns they watch: here with those of this migration and of the two before it.
DO $$
DECLARE
    audited  record;
BEGIN
    FOR audited IN
        SELECT tables.name, tables.key, string_agg(quote_ident(attname), ', ' ORDER BY attnum) AS columns
          FROM (VALUES ('organization', 'organization_id'), ('team', 'team_id'), ('api_key', 'key_id')) AS tables (name, key)
          JOIN pg_attribute ON attrelid = format('org.%I', tables.name)::regclass
         WHERE attnum > 0
           AND NOT attisdropped
           AND attgenerated = ''
           AND attname NOT IN ('spend', 'model_spend', 'updated_at', 'updated_by')
           AND attname NOT LIKE '%\_at\_most'
         GROUP BY tables.name, tables.key
    LOOP
        EXECUTE format('DROP TRIGGER audit_update ON org.%I', audited.name);
        EXECUTE format('CREATE TRIGGER audit_update AFTER UPDATE OF %s ON org.%I '
                       'FOR EACH ROW EXECUTE FUNCTION org.audit(%s)', audited.columns, audited.name, audited.key);
    END LOOP;
END $$;
