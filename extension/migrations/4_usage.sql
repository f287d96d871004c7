-- Usage: what is held for calls under way, what calls have cost, and what that
-- amounts to for whoever a limit applies to.
--
-- reservation and usage are the truth, usage_account and usage_daily sums of
-- it: see usage_verify().  None of them points to owners by foreign keys, for
-- what was spent stays on record when its owner is gone; an empty identifier
-- means none.  An owner's counters count what was reserved since it was made,
-- so whoever gets a used identifier again starts from nothing.

ALTER TABLE org.organization ADD default_reserve numeric
    CHECK (default_reserve >= 0 AND default_reserve < 'Infinity');
COMMENT ON COLUMN org.organization.default_reserve IS 'What is held for a call whose highest cost is not known, in US dollars; null means that such calls are refused where a budget applies.';

ALTER TABLE org.api_key ADD permissions jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(permissions) = 'object');
COMMENT ON COLUMN org.api_key.permissions IS 'What it may do besides: usage (reserve and settle for other keys), events (read those of all organizations).';

-- A budget's period may be one of the calendar.
DO $$
DECLARE
    owner  text;
BEGIN
    FOREACH owner IN ARRAY '{budget, user, team, api_key}'::text[] LOOP
        EXECUTE format('COMMENT ON COLUMN org.%I.budget_duration IS %L', owner,
                       'Length of a period: a whole number and s, m, h, d, w or mo, or a day, week or month of the '
                       'calendar, as in 1mo@Europe/Berlin; null means one period without end.');
        EXECUTE format('COMMENT ON COLUMN org.%I.budget_reset_at IS %L', owner,
                       'When the first period ends that began with the last change of budget_duration.');
    END LOOP;
END $$;

CREATE TABLE org.reservation (
    organization_id  text COLLATE "C" NOT NULL,
    request_id       text COLLATE "C" NOT NULL,
    key_id           text COLLATE "C" NOT NULL,
    team_id          text COLLATE "C" NOT NULL,
    user_id          text COLLATE "C" NOT NULL,
    model            text NOT NULL,
    tags             text[] NOT NULL,
    max_cost         numeric NOT NULL CHECK (max_cost >= 0 AND max_cost < 'Infinity'),
    max_tokens       bigint NOT NULL CHECK (max_tokens >= 0),
    reserved_at      timestamptz NOT NULL,
    expires_at       timestamptz NOT NULL,
    PRIMARY KEY (organization_id, request_id)
) WITH (autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX reservation_request_id_idx ON org.reservation (request_id);
CREATE INDEX reservation_expires_at_idx ON org.reservation (organization_id, expires_at);
CREATE INDEX reservation_user_id_idx ON org.reservation (user_id, expires_at) WHERE user_id <> '';
COMMENT ON TABLE org.reservation IS 'Calls under way and what is held for them; one that is over or has expired moves to usage.';
COMMENT ON COLUMN org.reservation.organization_id IS 'Organization of the key; empty if it has none.';
COMMENT ON COLUMN org.reservation.request_id IS 'Identifier of the call.';
COMMENT ON COLUMN org.reservation.key_id IS 'Key that the call is made with.';
COMMENT ON COLUMN org.reservation.team_id IS 'Team of the key; empty if it has none.';
COMMENT ON COLUMN org.reservation.user_id IS 'User of the key; empty if it has none.';
COMMENT ON COLUMN org.reservation.model IS 'Model that is called, aliases resolved.';
COMMENT ON COLUMN org.reservation.tags IS 'Labels for reports.';
COMMENT ON COLUMN org.reservation.max_cost IS 'What is held: the most that the call may cost, in US dollars.';
COMMENT ON COLUMN org.reservation.max_tokens IS 'What is held: the most tokens that the call may take.';
COMMENT ON COLUMN org.reservation.reserved_at IS 'When it was granted.';
COMMENT ON COLUMN org.reservation.expires_at IS 'From when on it holds nothing any more.';

CREATE TABLE org.usage (
    organization_id  text COLLATE "C" NOT NULL,
    request_id       text COLLATE "C" NOT NULL,
    key_id           text COLLATE "C" NOT NULL,
    team_id          text COLLATE "C" NOT NULL,
    user_id          text COLLATE "C" NOT NULL,
    model            text NOT NULL,
    tags             text[] NOT NULL,
    state            text NOT NULL CHECK (state IN ('settled', 'cancelled', 'expired')),
    failed           boolean NOT NULL DEFAULT false,
    max_cost         numeric NOT NULL CHECK (max_cost >= 0 AND max_cost < 'Infinity'),
    max_tokens       bigint NOT NULL CHECK (max_tokens >= 0),
    cost             numeric NOT NULL DEFAULT 0 CHECK (cost >= 0 AND cost < 'Infinity'),
    prompt_tokens    bigint NOT NULL DEFAULT 0 CHECK (prompt_tokens >= 0),
    completion_tokens            bigint NOT NULL DEFAULT 0 CHECK (completion_tokens >= 0),
    cache_read_input_tokens      bigint NOT NULL DEFAULT 0 CHECK (cache_read_input_tokens >= 0),
    cache_creation_input_tokens  bigint NOT NULL DEFAULT 0 CHECK (cache_creation_input_tokens >= 0),
    reserved_at      timestamptz NOT NULL,
    expires_at       timestamptz NOT NULL,
    closed_at        timestamptz NOT NULL,
    PRIMARY KEY (organization_id, request_id)
);
CREATE INDEX usage_request_id_idx ON org.usage (request_id);
CREATE INDEX usage_closed_at_idx ON org.usage (organization_id, closed_at);
CREATE INDEX usage_user_id_idx ON org.usage (user_id, closed_at) WHERE user_id <> '';
COMMENT ON TABLE org.usage IS 'The ledger: every call that is over, once.';
COMMENT ON COLUMN org.usage.organization_id IS 'Organization of the key; empty if it had none.';
COMMENT ON COLUMN org.usage.request_id IS 'Identifier of the call.';
COMMENT ON COLUMN org.usage.key_id IS 'Key that the call was made with.';
COMMENT ON COLUMN org.usage.team_id IS 'Team of the key; empty if it had none.';
COMMENT ON COLUMN org.usage.user_id IS 'User of the key; empty if it had none.';
COMMENT ON COLUMN org.usage.model IS 'Model that was called, aliases resolved.';
COMMENT ON COLUMN org.usage.tags IS 'Labels for reports.';
COMMENT ON COLUMN org.usage.state IS 'settled: it cost something; cancelled: it was not made; expired: nothing was heard of it in time. The latter two may still be settled.';
COMMENT ON COLUMN org.usage.failed IS 'Whether the call failed, whatever it cost.';
COMMENT ON COLUMN org.usage.max_cost IS 'What had been held for it, in US dollars.';
COMMENT ON COLUMN org.usage.max_tokens IS 'Tokens that had been held for it.';
COMMENT ON COLUMN org.usage.cost IS 'What it cost, in US dollars.';
COMMENT ON COLUMN org.usage.prompt_tokens IS 'Tokens of the prompt.';
COMMENT ON COLUMN org.usage.completion_tokens IS 'Tokens of the completion.';
COMMENT ON COLUMN org.usage.cache_read_input_tokens IS 'Those of the prompt that were read from a cache.';
COMMENT ON COLUMN org.usage.cache_creation_input_tokens IS 'Those of the prompt that were written to a cache.';
COMMENT ON COLUMN org.usage.reserved_at IS 'When it was granted, or recorded without that.';
COMMENT ON COLUMN org.usage.expires_at IS 'When its hold ended or would have ended.';
COMMENT ON COLUMN org.usage.closed_at IS 'When it was settled, cancelled or found expired; the budget period that it belongs to.';

CREATE TABLE org.usage_account (
    organization_id  text COLLATE "C" NOT NULL,
    team_id          text COLLATE "C" NOT NULL,
    user_id          text COLLATE "C" NOT NULL,
    key_id           text COLLATE "C" NOT NULL,
    model            text COLLATE "C" NOT NULL,
    owner_since      timestamptz NOT NULL,
    window_start     timestamptz NOT NULL,
    window_spend     numeric NOT NULL CHECK (window_spend >= 0 AND window_spend < 'Infinity'),
    held_cost        numeric NOT NULL CHECK (held_cost >= 0 AND held_cost < 'Infinity'),
    held_requests    bigint NOT NULL CHECK (held_requests >= 0),
    minute           timestamptz NOT NULL,
    minute_requests  bigint NOT NULL CHECK (minute_requests >= 0),
    minute_tokens    bigint NOT NULL CHECK (minute_tokens >= 0),
    charged_at       timestamptz NOT NULL,
    warned_window    timestamptz NOT NULL,
    warned_budget    numeric NOT NULL CHECK (warned_budget >= 0 AND warned_budget < 'Infinity'),
    exceeded_window  timestamptz NOT NULL,
    exceeded_budget  numeric NOT NULL CHECK (exceeded_budget >= 0 AND exceeded_budget < 'Infinity'),
    PRIMARY KEY (organization_id, team_id, user_id, key_id, model)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);
COMMENT ON TABLE org.usage_account IS 'Sums of reservation and usage for whoever has limits: an organization, a team (team_id), a member (user_id), a team''s member (both), a key (key_id), or a user anywhere (user_id without organization_id).';
COMMENT ON COLUMN org.usage_account.organization_id IS 'Organization of the owner; empty for users, and for keys of none.';
COMMENT ON COLUMN org.usage_account.team_id IS 'Team, or that of a team''s member; else empty.';
COMMENT ON COLUMN org.usage_account.user_id IS 'User, member or team''s member; else empty.';
COMMENT ON COLUMN org.usage_account.key_id IS 'Key; else empty.';
COMMENT ON COLUMN org.usage_account.model IS 'Model whose calls alone are counted, as a model_max_budget names it; empty for all.';
COMMENT ON COLUMN org.usage_account.owner_since IS 'When the owner was made: earlier calls were somebody else''s.';
COMMENT ON COLUMN org.usage_account.window_start IS 'Start of the budget period that window_spend belongs to.';
COMMENT ON COLUMN org.usage_account.window_spend IS 'Cost of calls settled in that period, in US dollars.';
COMMENT ON COLUMN org.usage_account.held_cost IS 'Sum of max_cost of its reservations, in US dollars.';
COMMENT ON COLUMN org.usage_account.held_requests IS 'How many reservations it has.';
COMMENT ON COLUMN org.usage_account.minute IS 'Minute that the next two belong to.';
COMMENT ON COLUMN org.usage_account.minute_requests IS 'Calls reserved in that minute, without those cancelled or expired.';
COMMENT ON COLUMN org.usage_account.minute_tokens IS 'Tokens of those calls: what they took once settled, until then what is held.';
COMMENT ON COLUMN org.usage_account.charged_at IS 'When window_spend last grew, or later.';
COMMENT ON COLUMN org.usage_account.warned_window IS 'Start of the last period in which the soft budget was crossed; infinity for none.';
COMMENT ON COLUMN org.usage_account.warned_budget IS 'The soft budget that was crossed then: a higher one is told of again.';
COMMENT ON COLUMN org.usage_account.exceeded_window IS 'Start of the last period in which the budget was exceeded; infinity for none.';
COMMENT ON COLUMN org.usage_account.exceeded_budget IS 'The budget that was exceeded then: a higher one is told of again.';

CREATE TABLE org.usage_daily (
    organization_id  text COLLATE "C" NOT NULL,
    day              date NOT NULL,
    team_id          text COLLATE "C" NOT NULL,
    key_id           text COLLATE "C" NOT NULL,
    model            text COLLATE "C" NOT NULL,
    spend            numeric NOT NULL CHECK (spend >= 0 AND spend < 'Infinity'),
    prompt_tokens    bigint NOT NULL CHECK (prompt_tokens >= 0),
    completion_tokens            bigint NOT NULL CHECK (completion_tokens >= 0),
    cache_read_input_tokens      bigint NOT NULL CHECK (cache_read_input_tokens >= 0),
    cache_creation_input_tokens  bigint NOT NULL CHECK (cache_creation_input_tokens >= 0),
    successful_requests          bigint NOT NULL CHECK (successful_requests >= 0),
    failed_requests              bigint NOT NULL CHECK (failed_requests >= 0),
    PRIMARY KEY (organization_id, day, team_id, key_id, model)
) WITH (fillfactor = 80);
COMMENT ON TABLE org.usage_daily IS 'Sums of the settled calls of usage, by day.';
COMMENT ON COLUMN org.usage_daily.organization_id IS 'Organization of the key; empty if it had none.';
COMMENT ON COLUMN org.usage_daily.day IS 'Day, in UTC, on which the calls were settled.';
COMMENT ON COLUMN org.usage_daily.team_id IS 'Team of the key; empty if it had none.';
COMMENT ON COLUMN org.usage_daily.key_id IS 'Key that the calls were made with.';
COMMENT ON COLUMN org.usage_daily.model IS 'Model that was called.';
COMMENT ON COLUMN org.usage_daily.spend IS 'What the calls cost, in US dollars.';
COMMENT ON COLUMN org.usage_daily.prompt_tokens IS 'Tokens of their prompts.';
COMMENT ON COLUMN org.usage_daily.completion_tokens IS 'Tokens of their completions.';
COMMENT ON COLUMN org.usage_daily.cache_read_input_tokens IS 'Those of the prompts that were read from a cache.';
COMMENT ON COLUMN org.usage_daily.cache_creation_input_tokens IS 'Those of the prompts that were written to a cache.';
COMMENT ON COLUMN org.usage_daily.successful_requests IS 'How many calls did not fail.';
COMMENT ON COLUMN org.usage_daily.failed_requests IS 'How many calls failed.';

-- Arguments: what the deleted row is called in usage_account, column by column.
CREATE FUNCTION org.close_account() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    owner  jsonb := to_jsonb(OLD);
BEGIN
    DELETE FROM org.usage_account
     WHERE organization_id = coalesce(owner->>TG_ARGV[0], '') AND team_id = coalesce(owner->>TG_ARGV[1], '')
       AND user_id = coalesce(owner->>TG_ARGV[2], '') AND key_id = coalesce(owner->>TG_ARGV[3], '');
    RETURN NULL;
END $$;
COMMENT ON FUNCTION org.close_account() IS 'Trigger: takes the accounts of a deleted owner away.';
CREATE TRIGGER close_account AFTER DELETE ON org.organization
    FOR EACH ROW EXECUTE FUNCTION org.close_account('organization_id', '', '', '');
CREATE TRIGGER close_account AFTER DELETE ON org.team
    FOR EACH ROW EXECUTE FUNCTION org.close_account('organization_id', 'team_id', '', '');
CREATE TRIGGER close_account AFTER DELETE ON org.membership
    FOR EACH ROW EXECUTE FUNCTION org.close_account('organization_id', '', 'user_id', '');
CREATE TRIGGER close_account AFTER DELETE ON org.team_member
    FOR EACH ROW EXECUTE FUNCTION org.close_account('organization_id', 'team_id', 'user_id', '');
CREATE TRIGGER close_account AFTER DELETE ON org."user"
    FOR EACH ROW EXECUTE FUNCTION org.close_account('', '', 'user_id', '');
CREATE TRIGGER close_account AFTER DELETE ON org.api_key
    FOR EACH ROW EXECUTE FUNCTION org.close_account('organization_id', '', '', 'key_id');

-- The rows whose counters every call changes keep room for their next version on the page.
ALTER TABLE org.organization SET (fillfactor = 70);
ALTER TABLE org.membership SET (fillfactor = 70);
ALTER TABLE org.team SET (fillfactor = 70);
ALTER TABLE org.team_member SET (fillfactor = 70);
ALTER TABLE org."user" SET (fillfactor = 70);
ALTER TABLE org.api_key SET (fillfactor = 70);

-- The audit triggers name the columns they watch: here with the new ones.
DO $$
DECLARE
    audited  record;
BEGIN
    FOR audited IN
        SELECT tables.name, tables.key, string_agg(quote_ident(attname), ', ' ORDER BY attnum) AS columns
          FROM (VALUES ('organization', 'organization_id'), ('api_key', 'key_id')) AS tables (name, key)
          JOIN pg_attribute ON attrelid = format('org.%I', tables.name)::regclass
         WHERE attnum > 0 AND NOT attisdropped AND attname NOT IN ('spend', 'model_spend', 'updated_at', 'updated_by')
         GROUP BY tables.name, tables.key
    LOOP
        EXECUTE format('DROP TRIGGER audit ON org.%I', audited.name);
        EXECUTE format('CREATE TRIGGER audit AFTER INSERT OR DELETE OR UPDATE OF %s ON org.%I '
                       'FOR EACH ROW EXECUTE FUNCTION org.audit(%s)', audited.columns, audited.name, audited.key);
    END LOOP;
END $$;
