-- The functions take creation times from the machine's clock, not from pg_org.now.
-- redate() has it that what was dated before 2031, when the test's time begins,
-- happened at the time given.  So the same operations always have the same outcome.
CREATE FUNCTION redate(at timestamptz) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    began  timestamptz = '2031-01-01 00:00+00';
BEGIN
    UPDATE org.organization SET created_at = at WHERE created_at < began;
    UPDATE org.team SET created_at = at WHERE created_at < began;
    UPDATE org."user" SET created_at = at WHERE created_at < began;
    UPDATE org.membership SET created_at = at WHERE created_at < began;
    UPDATE org.team_member SET created_at = at WHERE created_at < began;
    UPDATE org.api_key SET created_at = at WHERE created_at < began;
    UPDATE org.budget SET budget_reset_at = at + (budget_reset_at - now()) WHERE budget_reset_at < began;
    UPDATE org.team SET budget_reset_at = at + (budget_reset_at - now()) WHERE budget_reset_at < began;
    UPDATE org."user" SET budget_reset_at = at + (budget_reset_at - now()) WHERE budget_reset_at < began;
    UPDATE org.api_key SET budget_reset_at = at + (budget_reset_at - now()) WHERE budget_reset_at < began;
    UPDATE org.api_key SET expires = at + (expires - now()) WHERE expires < began;
END $$;
