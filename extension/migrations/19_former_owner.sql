-- Organizations, teams, users and keys that were deleted: calls of a deleted key can still be recorded, and reports
-- still know its name.

CREATE TABLE org.former_owner (
    kind             text COLLATE "C" NOT NULL CHECK (kind IN ('organization', 'team', 'user', 'key')),
    id               text COLLATE "C" NOT NULL,
    key_hash         text COLLATE "C" CHECK (key_hash ~ '^[0-9a-f]{64}$'),
    organization_id  text COLLATE "C" NOT NULL,
    team_id          text COLLATE "C" NOT NULL,
    user_id          text COLLATE "C" NOT NULL,
    delegated        boolean NOT NULL,
    alias            text,
    deleted_at       timestamptz NOT NULL,
    PRIMARY KEY (kind, id)
);
CREATE INDEX former_owner_key_hash_idx ON org.former_owner (key_hash) WHERE key_hash IS NOT NULL;
COMMENT ON TABLE org.former_owner IS
'Deleted organizations, teams, users and keys, as each was when it was last deleted. An identifier that is in use again'
' can be here, too.';
COMMENT ON COLUMN org.former_owner.kind IS 'organization, team, user or key.';
COMMENT ON COLUMN org.former_owner.id IS 'Its identifier: organization_id, team_id, user_id or key_id.';
COMMENT ON COLUMN org.former_owner.key_hash IS
'SHA-256 digest of a key''s secret in lower-case hexadecimal; null for the other kinds.';
COMMENT ON COLUMN org.former_owner.organization_id IS
'Organization of a team or key, or the organization itself; empty if none.';
COMMENT ON COLUMN org.former_owner.team_id IS 'Team of a key, or the team itself; empty if none.';
COMMENT ON COLUMN org.former_owner.user_id IS 'User of a key, or the user itself; empty if none.';
COMMENT ON COLUMN org.former_owner.delegated IS
'Whether it was a key that an organization''s admin had made for the user.';
COMMENT ON COLUMN org.former_owner.alias IS
'Name for people; null if there was none. E-mail addresses are not kept.';
COMMENT ON COLUMN org.former_owner.deleted_at IS
'When the statement that deleted it began: an owner of the same identifier that was made later is another.';

-- Arguments: the kind, and what its columns are called that become those of former_owner; '' if it has no such column.
CREATE FUNCTION org.keep_former() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    -- Texts, but for whether a key is delegated.
    columns  text[] := (SELECT array_agg(CASE WHEN name <> '' THEN format('%I', name)
                                              WHEN place = 7 THEN 'false'
                                              ELSE 'NULL' END ORDER BY place)
                          FROM unnest(TG_ARGV) WITH ORDINALITY AS argument (name, place));
BEGIN
    EXECUTE format('INSERT INTO org.former_owner'
                   '       (kind, id, key_hash, organization_id, team_id, user_id, delegated, alias, deleted_at)'
                   ' SELECT %L, %s, %s, coalesce(%s, ''''), coalesce(%s, ''''), coalesce(%s, ''''), %s, %s,'
                   '        statement_timestamp()'
                   '   FROM changed'
                   '  ORDER BY %2$s COLLATE "C"'
                   '     ON CONFLICT (kind, id) DO UPDATE'
                   '    SET key_hash = excluded.key_hash, organization_id = excluded.organization_id,'
                   '        team_id = excluded.team_id, user_id = excluded.user_id, delegated = excluded.delegated,'
                   '        alias = excluded.alias, deleted_at = excluded.deleted_at',
                   TG_ARGV[0], columns[2], columns[3], columns[4], columns[5], columns[6], columns[7], columns[8]);
    RETURN NULL;
END $$;
COMMENT ON FUNCTION org.keep_former() IS 'Trigger: writes down what deleted owners were.';
CREATE TRIGGER keep_former AFTER DELETE ON org.organization REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION
    org.keep_former('organization', 'organization_id', '', 'organization_id', '', '', '', 'organization_alias');
CREATE TRIGGER keep_former AFTER DELETE ON org.team REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION
    org.keep_former('team', 'team_id', '', 'organization_id', 'team_id', '', '', 'team_alias');
CREATE TRIGGER keep_former AFTER DELETE ON org."user" REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION
    org.keep_former('user', 'user_id', '', '', '', 'user_id', '', 'user_alias');
CREATE TRIGGER keep_former AFTER DELETE ON org.api_key REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION
    org.keep_former('key', 'key_id', 'key_hash', 'organization_id', 'team_id', 'user_id', 'delegated', 'key_alias');
