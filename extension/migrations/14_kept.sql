-- Fields of LiteLLM that are only kept and given back.

ALTER TABLE org.organization ADD kept jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(kept) = 'object');
COMMENT ON COLUMN org.organization.kept IS 'What an LLM gateway reads and nothing here does: an object of object_permission.';

-- The audit trigger names the columns it watches: here with kept.
DO $$
DECLARE
    columns  text;
BEGIN
    SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum)
      INTO columns
      FROM pg_attribute
     WHERE attrelid = 'org.organization'::regclass
       AND attnum > 0
       AND NOT attisdropped
       AND attname NOT IN ('spend', 'model_spend', 'updated_at', 'updated_by')
       AND attname NOT LIKE '%\_at\_most';
    DROP TRIGGER audit_update ON org.organization;
    EXECUTE format('CREATE TRIGGER audit_update AFTER UPDATE OF %s ON org.organization '
                   'FOR EACH ROW EXECUTE FUNCTION org.audit(organization_id)', columns);
END $$;
