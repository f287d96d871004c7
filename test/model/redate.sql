-- The functions take creation times from the machine's clock, not from pg_org.now.
-- These triggers have it that what is dated before 2031, when the test's time begins,
-- happens at the time in pg_org.now.  So the same operations always have the same outcome.
CREATE FUNCTION redate_creation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.created_at := current_setting('pg_org.now');
    RETURN NEW;
END $$;
CREATE FUNCTION redate_reset() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.budget_reset_at := current_setting('pg_org.now')::timestamptz + (NEW.budget_reset_at - now());
    RETURN NEW;
END $$;
DO $$
DECLARE
    dated  text;
BEGIN
    FOREACH dated IN ARRAY '{organization, membership, team, team_member, user, end_user, api_key}'::text[] LOOP
        EXECUTE format('CREATE TRIGGER redate_creation BEFORE INSERT ON org.%I FOR EACH ROW'
                       ' WHEN (NEW.created_at < ''2031-01-01 00:00+00'') EXECUTE FUNCTION redate_creation()', dated);
    END LOOP;
    FOREACH dated IN ARRAY '{budget, team, user, api_key}'::text[] LOOP
        EXECUTE format('CREATE TRIGGER redate_reset BEFORE INSERT OR UPDATE OF budget_reset_at ON org.%I FOR EACH ROW'
                       ' WHEN (NEW.budget_reset_at < ''2031-01-01 00:00+00'') EXECUTE FUNCTION redate_reset()', dated);
    END LOOP;
END $$;

CREATE FUNCTION redate_deletion() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.deleted_at := current_setting('pg_org.now');
    RETURN NEW;
END $$;
CREATE TRIGGER redate_deletion BEFORE INSERT ON org.former_owner FOR EACH ROW EXECUTE FUNCTION redate_deletion();

-- Whether this transaction wrote the row; while pg_org_test.everything is set, all are taken for changed.
CREATE FUNCTION is_changed(row_xmin xid) RETURNS boolean LANGUAGE sql STABLE
RETURN row_xmin::text::bigint >= pg_current_xact_id()::text::bigint
    OR current_setting('pg_org_test.everything', true) = 'true';
