-- Who somebody is: an e-mail address is one user's and a team_id one team's on
-- the whole platform, and what is done with a key that an organization's admin
-- made for somebody is told from what they do themselves.

-- The database's locale has no say in what is the same: one of Turkey would make
-- two users of INFO@ and info@.  A server built without ICU, or a database that
-- is not in UTF8, can tell the case of ASCII letters only.
DO $$
DECLARE
    folded  text := 'lower($1 COLLATE "C")';
BEGIN
    IF getdatabaseencoding() = 'UTF8' AND EXISTS (SELECT FROM pg_collation WHERE collname = 'und-x-icu'
                                                  AND collnamespace = 'pg_catalog'::regnamespace) THEN
        -- Upper case first, since some letters (of Greek, of German) are alike in that only.
        folded := 'normalize(lower(upper(normalize($1) COLLATE "und-x-icu") COLLATE "und-x-icu"))';
    END IF;
    EXECUTE format('CREATE FUNCTION org.folded(text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE '
                   'SET search_path = pg_catalog, pg_temp AS %L', 'SELECT ' || folded);
END $$;
COMMENT ON FUNCTION org.folded(text) IS 'The text without differences of case and of Unicode''s ways to write the same; of which locale the database is does not matter.';

-- The one who had it first keeps it; the audit log keeps what is taken away here.
DO $$
DECLARE
    later  record;
BEGIN
    FOR later IN
        SELECT user_id, user_email, first_value(user_id) OVER same AS kept_by, row_number() OVER same AS place
          FROM org."user" WHERE user_email IS NOT NULL
        WINDOW same AS (PARTITION BY org.folded(btrim(user_email)) ORDER BY created_at, user_id)
    LOOP
        CONTINUE WHEN later.place = 1;
        UPDATE org."user" SET user_email = NULL WHERE user_id = later.user_id;
        RAISE WARNING 'user % has lost the e-mail address %, which is that of user % as well',
            later.user_id, later.user_email, later.kept_by;
    END LOOP;
END $$;
DROP INDEX org.user_email_idx;
CREATE UNIQUE INDEX user_email_key ON org."user" (org.folded(btrim(user_email)));
COMMENT ON COLUMN org."user".user_email IS 'E-mail address, that of no other user: compared without white space around it, case and Unicode''s ways to write the same.';

-- Likewise teams, whose later ones get another identifier.
DO $$
DECLARE
    later    record;
    columns  text;
    other    text;
    relation text;
BEGIN
    SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) INTO columns FROM pg_attribute
     WHERE attrelid = 'org.team'::regclass AND attnum > 0 AND NOT attisdropped AND attname <> 'team_id';
    FOR later IN
        SELECT organization_id, team_id, row_number() OVER (PARTITION BY team_id ORDER BY created_at, organization_id) AS place
          FROM org.team
    LOOP
        CONTINUE WHEN later.place = 1;
        other := gen_random_uuid();
        EXECUTE format('INSERT INTO org.team (team_id, %s) SELECT $3, %s FROM org.team WHERE organization_id = $1 AND team_id = $2',
                       columns, columns) USING later.organization_id, later.team_id, other;
        FOREACH relation IN ARRAY '{team_member, api_key, reservation, usage, usage_account, usage_daily}'::text[] LOOP
            EXECUTE format('UPDATE org.%I SET team_id = $3 WHERE organization_id = $1 AND team_id = $2', relation)
                USING later.organization_id, later.team_id, other;
        END LOOP;
        DELETE FROM org.team WHERE organization_id = later.organization_id AND team_id = later.team_id;
        RAISE WARNING 'team % of organization % is now team %: another organization has a team of that identifier',
            later.team_id, later.organization_id, other;
    END LOOP;
END $$;
DROP INDEX org.team_team_id_idx;
CREATE UNIQUE INDEX team_team_id_key ON org.team (team_id);
COMMENT ON COLUMN org.team.team_id IS 'Identifier of the team, unique on the platform.';

COMMENT ON COLUMN org.api_key.delegated IS 'Whether an organization''s admin made it for somebody else: then it neither acts with that user''s role on the whole platform nor counts against their limits there.';
ALTER TABLE org.reservation ADD delegated boolean NOT NULL DEFAULT false;
ALTER TABLE org.usage ADD delegated boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN org.reservation.delegated IS 'Whether the key was made for its user by an organization''s admin: then the call does not count for the user on the whole platform.';
COMMENT ON COLUMN org.usage.delegated IS 'Whether the key was made for its user by an organization''s admin: then the call does not count for the user on the whole platform.';

ALTER TABLE org.idempotency ADD secret_hash text COLLATE "C";
COMMENT ON COLUMN org.idempotency.secret_hash IS 'sha256 of the secret in the reply: the caller''s own key, from which it is computed, may have become another.';
