-- Limits as sentences, and end users: the customers of whoever calls models, who need no keys of their own.

-- What limits an owner has beside those with a column of their own.
DO $$
DECLARE
    owner  text;
BEGIN
    FOREACH owner IN ARRAY '{budget, team, user, api_key}'::text[] LOOP
        EXECUTE format('ALTER TABLE org.%I'
                       ' ADD limits jsonb NOT NULL DEFAULT ''[]'' CHECK (jsonb_typeof(limits) = ''array''),'
                       ' ADD short_limits jsonb NOT NULL DEFAULT ''{}'' CHECK (jsonb_typeof(short_limits) = ''object'')',
                       owner);
        EXECUTE format('COMMENT ON COLUMN org.%I.limits IS %L', owner,
                       'Limits as sentences: an array of objects with limit, value, per, model, tag, each, soft and raise, '
                       'and with since, the time when the sentence was set.');
        EXECUTE format('COMMENT ON COLUMN org.%I.short_limits IS %L', owner,
                       'Limits that have a field, but no column of their own: an object of fields such as tpd_limit.');
    END LOOP;
END $$;

CREATE FUNCTION org.limits_after(before jsonb, after jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN after IS NULL THEN before
                ELSE (SELECT coalesce(jsonb_agg(CASE WHEN kept.since IS NULL THEN s.sentence
                                                     ELSE jsonb_set(s.sentence, '{since}', kept.since) END
                                                ORDER BY s.place), '[]')
                        FROM jsonb_array_elements(after) WITH ORDINALITY AS s (sentence, place)
                        LEFT JOIN LATERAL (
                             SELECT was.sentence->'since' AS since
                               FROM jsonb_array_elements(before) AS was (sentence)
                              WHERE was.sentence - '{value,raise,since}'::text[]
                                    = s.sentence - '{value,raise,since}'::text[]
                              LIMIT 1) AS kept ON true) END
$$;
COMMENT ON FUNCTION org.limits_after(jsonb, jsonb) IS
'The value of a column limits when a new list replaces it (null: nothing does): what stays the same, but for its value,'
' keeps its since.';

-- End users belong to an organization or, with an empty organization_id, to the platform.
CREATE TABLE org.end_user (
    organization_id        text COLLATE "C" NOT NULL,
    end_user_id            text COLLATE "C" NOT NULL CHECK (end_user_id <> ''),
    alias                  text,
    blocked                boolean NOT NULL DEFAULT false,
    budget_id              text COLLATE "C" REFERENCES org.budget,
    spend                  numeric NOT NULL DEFAULT 0 CHECK (spend >= 0 AND spend < 'Infinity'),
    metadata               jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(metadata) = 'object'),
    created_at             timestamptz NOT NULL DEFAULT now(),
    created_by             text,
    updated_at             timestamptz NOT NULL DEFAULT now(),
    updated_by             text,
    owner_organization_id  text COLLATE "C" GENERATED ALWAYS AS (nullif(organization_id, '')) STORED
                           REFERENCES org.organization ON DELETE CASCADE,
    PRIMARY KEY (organization_id, end_user_id)
) WITH (fillfactor = 70);
CREATE INDEX end_user_created_at_idx ON org.end_user (organization_id, created_at, end_user_id);
CREATE INDEX end_user_owner_organization_id_idx ON org.end_user (owner_organization_id);
CREATE INDEX end_user_budget_id_idx ON org.end_user (budget_id);
CREATE INDEX end_user_all_created_at_idx ON org.end_user (created_at, organization_id, end_user_id);
COMMENT ON TABLE org.end_user IS
'End users with limits of their own. Others need no row: calls name them, and limits for each end user apply to them.';
COMMENT ON COLUMN org.end_user.organization_id IS 'Organization whose calls alone count; empty: calls of all keys count.';
COMMENT ON COLUMN org.end_user.end_user_id IS 'Identifier of the end user, as calls name it.';
COMMENT ON COLUMN org.end_user.alias IS 'Name for people.';
COMMENT ON COLUMN org.end_user.blocked IS 'Whether calls for the end user are refused.';
COMMENT ON COLUMN org.end_user.budget_id IS 'Budget of the end user; null means no limits of their own.';
COMMENT ON COLUMN org.end_user.spend IS 'What the end user''s calls have cost, in US dollars.';
COMMENT ON COLUMN org.end_user.metadata IS 'Whatever the platform wants to keep with the end user: an object.';
COMMENT ON COLUMN org.end_user.created_at IS 'When the end user was made.';
COMMENT ON COLUMN org.end_user.created_by IS 'Who made the end user: a user_id.';
COMMENT ON COLUMN org.end_user.updated_at IS 'When the end user was last changed.';
COMMENT ON COLUMN org.end_user.updated_by IS 'Who last changed the end user: a user_id.';
COMMENT ON COLUMN org.end_user.owner_organization_id IS 'organization_id, but null for an end user of the platform.';

ALTER TABLE org.reservation ADD end_user text COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE org.usage ADD end_user text COLLATE "C" NOT NULL DEFAULT '';
COMMENT ON COLUMN org.reservation.end_user IS 'End user that the call is for; empty if none is named.';
COMMENT ON COLUMN org.usage.end_user IS 'End user that the call was for; empty if none was named.';
CREATE INDEX reservation_end_user_idx ON org.reservation (end_user, expires_at) WHERE end_user <> '';
CREATE INDEX usage_end_user_idx ON org.usage (end_user, closed_at) WHERE end_user <> '';

-- Counting can start again without waiting for the end of a period.
ALTER TABLE org.organization ADD spend_reset_at timestamptz;
ALTER TABLE org.membership ADD spend_reset_at timestamptz;
ALTER TABLE org.team_member ADD spend_reset_at timestamptz;
ALTER TABLE org."user" ADD spend_reset_at timestamptz;
ALTER TABLE org.end_user ADD spend_reset_at timestamptz;
DO $$
DECLARE
    owner  text;
BEGIN
    FOREACH owner IN ARRAY '{organization, membership, team, team_member, user, api_key, end_user}'::text[] LOOP
        EXECUTE format('ALTER TABLE org.%I ADD limit_resets jsonb NOT NULL DEFAULT ''[]'''
                       ' CHECK (jsonb_typeof(limit_resets) = ''array'')', owner);
        EXECUTE format('COMMENT ON COLUMN org.%I.spend_reset_at IS %L', owner,
                       'When what counts against its limits of cost was last reset; null means never.');
        EXECUTE format('COMMENT ON COLUMN org.%I.limit_resets IS %L', owner,
                       'Resets of single limits: an array of objects that name the limit, with at, the time of the reset.');
    END LOOP;
END $$;

-- End users are audited too, and the triggers name the columns that they watch: here with the new ones.
CREATE TRIGGER audit_insert AFTER INSERT ON org.end_user REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION org.audit('end_user_id');
CREATE TRIGGER audit_delete AFTER DELETE ON org.end_user REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION org.audit('end_user_id');
CREATE TRIGGER audit_update AFTER UPDATE ON org.end_user FOR EACH ROW EXECUTE FUNCTION org.audit('end_user_id');
CREATE TRIGGER audit_truncate AFTER TRUNCATE ON org.end_user FOR EACH STATEMENT EXECUTE FUNCTION org.audit();
DO $$
DECLARE
    audited  record;
BEGIN
    FOR audited IN
        SELECT tables.name, tables.key, string_agg(quote_ident(attname), ', ' ORDER BY attnum) AS columns
          FROM (VALUES ('organization', 'organization_id'), ('budget', 'budget_id'), ('user', 'user_id'),
                       ('membership', 'user_id'), ('team', 'team_id'), ('team_member', 'team_id, user_id'),
                       ('api_key', 'key_id'), ('end_user', 'end_user_id')) AS tables (name, key)
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
