-- Counters for any limit. They are sums of the ledger, and the next call makes those that are missing: so what the
-- former counters had is not carried over.

DO $$
DECLARE
    closed  record;
BEGIN
    FOR closed IN SELECT tgrelid::regclass AS name FROM pg_trigger WHERE tgname = 'close_account' LOOP
        EXECUTE format('DROP TRIGGER close_account ON %s', closed.name);
    END LOOP;
END $$;
DROP FUNCTION org.close_account();
DROP TABLE org.usage_account;

CREATE TABLE org.usage_counter (
    organization_id  text COLLATE "C" NOT NULL,
    team_id          text COLLATE "C" NOT NULL,
    user_id          text COLLATE "C" NOT NULL,
    key_id           text COLLATE "C" NOT NULL,
    end_user         text COLLATE "C" NOT NULL,
    each             text COLLATE "C" NOT NULL,
    part             text COLLATE "C" NOT NULL,
    model            text COLLATE "C" NOT NULL,
    tag              text COLLATE "C" NOT NULL,
    since            timestamptz NOT NULL,
    held_cost        numeric NOT NULL CHECK (held_cost >= 0 AND held_cost < 'Infinity'),
    held_requests    bigint NOT NULL CHECK (held_requests >= 0),
    counted_at       timestamptz NOT NULL,
    idle_after       timestamptz NOT NULL,
    counted_each     text[] NOT NULL,
    names            text[] NOT NULL,
    starts           timestamptz[] NOT NULL,
    amounts          numeric[] NOT NULL CHECK (0 <= ALL (amounts) AND 'Infinity' > ALL (amounts)),
    told_starts      timestamptz[] NOT NULL,
    told_values      numeric[] NOT NULL,
    PRIMARY KEY (organization_id, team_id, user_id, key_id, end_user, each, part, model, tag)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX usage_counter_idle_after_idx ON org.usage_counter (organization_id, team_id, user_id, key_id, end_user, idle_after)
    WHERE each <> '';
COMMENT ON TABLE org.usage_counter IS
'Counters: the sums of reservation and usage for each owner of limits, and for each kind of calls that these limits'
' count. The owner is an organization, a team (team_id), a member (user_id), a team''s member (both), a key (key_id), an'
' end user (end_user), or a user or end user anywhere (without organization_id).';
COMMENT ON COLUMN org.usage_counter.organization_id IS 'Organization of the owner; empty if it has none.';
COMMENT ON COLUMN org.usage_counter.team_id IS 'Team, or team of a team''s member; empty for other owners.';
COMMENT ON COLUMN org.usage_counter.user_id IS 'User, member or team''s member; empty for other owners.';
COMMENT ON COLUMN org.usage_counter.key_id IS 'Key; empty for other owners.';
COMMENT ON COLUMN org.usage_counter.end_user IS 'End user; empty for other owners.';
COMMENT ON COLUMN org.usage_counter.each IS 'What the limits hold for each of: model, tag and so on; empty: for all calls together.';
COMMENT ON COLUMN org.usage_counter.part IS 'The model, tag and so on whose calls are counted; empty: all.';
COMMENT ON COLUMN org.usage_counter.model IS 'Pattern of the models whose calls are counted; empty: all.';
COMMENT ON COLUMN org.usage_counter.tag IS 'Tag of the calls that are counted; empty: all.';
COMMENT ON COLUMN org.usage_counter.since IS 'When the owner was made, or the part if that was later: earlier calls are not counted.';
COMMENT ON COLUMN org.usage_counter.held_cost IS 'Sum of max_cost of the reservations, in US dollars.';
COMMENT ON COLUMN org.usage_counter.held_requests IS 'Number of the reservations.';
COMMENT ON COLUMN org.usage_counter.counted_at IS 'When a call was last counted.';
COMMENT ON COLUMN org.usage_counter.idle_after IS 'From when on the periods of all counts are over, so that a part''s counter without reservations can be deleted; infinity: never.';
COMMENT ON COLUMN org.usage_counter.counted_each IS 'In the counter of all calls of an owner: of which parts the calls are counted, too.';
COMMENT ON COLUMN org.usage_counter.names IS 'Names of the counts: one for each limit, with its period.';
COMMENT ON COLUMN org.usage_counter.starts IS 'Start of the period of each count.';
COMMENT ON COLUMN org.usage_counter.amounts IS 'Each count: the cost of the calls settled since its start, in US dollars; or the calls reserved since then or their tokens, without those cancelled or expired.';
COMMENT ON COLUMN org.usage_counter.told_starts IS 'Period of the last event about each count; infinity: none.';
COMMENT ON COLUMN org.usage_counter.told_values IS 'Value of the limit that was reached then: a higher one is told of again.';

-- Arguments: what the columns of usage_counter that name an owner are called in the owner's table; '' if nothing.
CREATE FUNCTION org.delete_counters() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- Planned each time: for one row an index, for many the whole table.
    EXECUTE format('DELETE FROM org.usage_counter a USING changed c'
                   ' WHERE (a.organization_id, a.team_id, a.user_id, a.key_id, a.end_user) = (%s)',
                   (SELECT string_agg(CASE WHEN name = '' THEN '''''' ELSE format('coalesce(c.%I, '''')', name) END,
                                      ', ' ORDER BY place)
                      FROM unnest(TG_ARGV) WITH ORDINALITY AS columns (name, place)));
    RETURN NULL;
END $$;
COMMENT ON FUNCTION org.delete_counters() IS 'Trigger: deletes the counters of deleted owners.';
CREATE TRIGGER delete_counters AFTER DELETE ON org.organization REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION org.delete_counters('organization_id', '', '', '', '');
CREATE TRIGGER delete_counters AFTER DELETE ON org.team REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION org.delete_counters('organization_id', 'team_id', '', '', '');
CREATE TRIGGER delete_counters AFTER DELETE ON org.membership REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION org.delete_counters('organization_id', '', 'user_id', '', '');
CREATE TRIGGER delete_counters AFTER DELETE ON org.team_member REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION org.delete_counters('organization_id', 'team_id', 'user_id', '', '');
CREATE TRIGGER delete_counters AFTER DELETE ON org."user" REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION org.delete_counters('', '', 'user_id', '', '');
CREATE TRIGGER delete_counters AFTER DELETE ON org.api_key REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION org.delete_counters('organization_id', '', '', 'key_id', '');
CREATE TRIGGER delete_counters AFTER DELETE ON org.end_user REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION org.delete_counters('organization_id', '', '', '', 'end_user_id');
