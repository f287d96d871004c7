-- How many calls each limit has refused, hour by hour.

CREATE TABLE org.usage_refusal (
    organization_id  text COLLATE "C" NOT NULL,
    team_id          text COLLATE "C" NOT NULL,
    user_id          text COLLATE "C" NOT NULL,
    key_id           text COLLATE "C" NOT NULL,
    end_user         text COLLATE "C" NOT NULL,
    hour             timestamptz NOT NULL,
    what             text COLLATE "C" NOT NULL,
    field            text COLLATE "C" NOT NULL,
    per              text COLLATE "C" NOT NULL,
    model            text COLLATE "C" NOT NULL,
    tag              text COLLATE "C" NOT NULL,
    each             text COLLATE "C" NOT NULL,
    value            numeric NOT NULL CHECK (value >= 0 AND value < 'Infinity'),
    refused          bigint NOT NULL CHECK (refused > 0),
    last_refused_at  timestamptz NOT NULL,
    PRIMARY KEY (organization_id, team_id, user_id, key_id, end_user, hour, what, field, per, model, tag, each)
) WITH (fillfactor = 70);
CREATE INDEX usage_refusal_organization_id_hour_idx ON org.usage_refusal (organization_id, hour);
CREATE INDEX usage_refusal_hour_idx ON org.usage_refusal (hour);
COMMENT ON TABLE org.usage_refusal IS
'Refusals: how many calls each limit has refused, by the hour. A limit for each of something has one row for all of'
' them. The owner of the limit is named as in usage_counter. Rows are deleted with the owner, when the owner moves to'
' another organization, and after 35 days.';
COMMENT ON COLUMN org.usage_refusal.organization_id IS 'Organization of the limit''s owner; empty if it has none.';
COMMENT ON COLUMN org.usage_refusal.team_id IS 'Team, or team of a team''s member; empty for other owners.';
COMMENT ON COLUMN org.usage_refusal.user_id IS 'User, member or team''s member; empty for other owners.';
COMMENT ON COLUMN org.usage_refusal.key_id IS 'Key; empty for other owners.';
COMMENT ON COLUMN org.usage_refusal.end_user IS 'End user; empty for other owners.';
COMMENT ON COLUMN org.usage_refusal.hour IS 'Start of the hour in which the calls were refused, in UTC.';
COMMENT ON COLUMN org.usage_refusal.what IS 'What the limit counts: cost, tokens, requests or parallel_requests.';
COMMENT ON COLUMN org.usage_refusal.field IS 'Field that sets the limit: limits, or a short form such as max_budget.';
COMMENT ON COLUMN org.usage_refusal.per IS 'Window of the limit, as in 30d; empty if it has none.';
COMMENT ON COLUMN org.usage_refusal.model IS 'Pattern of the models that the limit is for; empty: all.';
COMMENT ON COLUMN org.usage_refusal.tag IS 'Tag of the calls that the limit is for; empty: all.';
COMMENT ON COLUMN org.usage_refusal.each IS 'What the limit holds for each of: model, tag and so on; empty: for all calls together.';
COMMENT ON COLUMN org.usage_refusal.value IS 'Value of the limit at the last refusal, with its raise: US dollars, tokens or requests.';
COMMENT ON COLUMN org.usage_refusal.refused IS 'Number of calls that it refused.';
COMMENT ON COLUMN org.usage_refusal.last_refused_at IS 'When it last refused one.';

CREATE OR REPLACE FUNCTION org.delete_counters() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    of_deleted  text := (SELECT string_agg(CASE WHEN name = '' THEN '''''' ELSE format('coalesce(c.%I, '''')', name) END,
                                           ', ' ORDER BY place)
                           FROM unnest(TG_ARGV) WITH ORDINALITY AS columns (name, place));
    counts      text;
BEGIN
    FOREACH counts IN ARRAY '{usage_counter, usage_refusal}'::text[] LOOP
        -- Planned each time: for one row an index, for many the whole table.
        EXECUTE format('DELETE FROM org.%I a USING changed c'
                       ' WHERE (a.organization_id, a.team_id, a.user_id, a.key_id, a.end_user) = (%s)',
                       counts, of_deleted);
    END LOOP;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION org.delete_counters() IS 'Trigger: deletes what is counted for owners that are deleted.';
