-- Events: what others want to hear of, written in the transaction in which it
-- happened (an outbox), read by org_events(), delivered by webhooks.
--
-- An event gets its number when it is published: by the first who reads after
-- it was committed, under the lock of event_counter.  So events become visible
-- in the order of their numbers, and who reads on from a number can't miss one
-- that was committed late.

CREATE TABLE org.event (
    organization_id  text COLLATE "C" NOT NULL,
    outbox_id        text COLLATE "C" NOT NULL DEFAULT gen_random_uuid()::text,
    event_id         bigint CHECK (event_id > 0),
    occurred_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    kind             text NOT NULL CHECK (kind ~ '^[A-Za-z0-9_.]+$'),
    data             jsonb NOT NULL CHECK (jsonb_typeof(data) = 'object'),
    attempts         integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    next_attempt_at  timestamptz NOT NULL DEFAULT '-infinity',
    delivered_at     timestamptz,
    PRIMARY KEY (organization_id, outbox_id)
) WITH (autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX event_unpublished_idx ON org.event (occurred_at, organization_id, outbox_id) WHERE event_id IS NULL;
CREATE INDEX event_event_id_idx ON org.event (event_id) WHERE event_id IS NOT NULL;
CREATE UNIQUE INDEX event_organization_idx ON org.event (organization_id, event_id) WHERE event_id IS NOT NULL;
CREATE INDEX event_undelivered_idx ON org.event (organization_id, event_id)
    WHERE event_id IS NOT NULL AND delivered_at IS NULL;
COMMENT ON TABLE org.event IS 'What happened that others want to hear of. Only grows; org_event_purge() takes old events away.';
COMMENT ON COLUMN org.event.organization_id IS 'Organization concerned; empty for what belongs to none.';
COMMENT ON COLUMN org.event.outbox_id IS 'Identifier of the event before it has its number.';
COMMENT ON COLUMN org.event.event_id IS 'Number of the event; null until it is published.';
COMMENT ON COLUMN org.event.occurred_at IS 'When it happened.';
COMMENT ON COLUMN org.event.kind IS 'What happened: organization, member or key and created, deleted, blocked or unblocked; budget.soft_limit_crossed; budget.exceeded.';
COMMENT ON COLUMN org.event.data IS 'What it happened to: an object, without secrets.';
COMMENT ON COLUMN org.event.attempts IS 'How often it was claimed for delivery.';
COMMENT ON COLUMN org.event.next_attempt_at IS 'From when on it may be claimed.';
COMMENT ON COLUMN org.event.delivered_at IS 'When its delivery was acknowledged; null until then.';

CREATE TABLE org.event_counter (
    only_row       boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    last_event_id  bigint NOT NULL CHECK (last_event_id >= 0)
);
INSERT INTO org.event_counter (last_event_id) VALUES (0);
COMMENT ON TABLE org.event_counter IS 'How far events are numbered: one row, locked by whoever publishes.';
COMMENT ON COLUMN org.event_counter.only_row IS 'Makes sure that there is one row.';
COMMENT ON COLUMN org.event_counter.last_event_id IS 'The last number given to an event.';

CREATE FUNCTION org.emit() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    thing  record;
    kind   text;
    data   jsonb;
BEGIN
    IF TG_OP = 'INSERT' THEN
        thing := NEW;
        kind := 'created';
    ELSIF TG_OP = 'DELETE' THEN
        thing := OLD;
        kind := 'deleted';
    ELSE
        thing := NEW;
        kind := CASE WHEN NEW.blocked THEN 'blocked' ELSE 'unblocked' END;
    END IF;
    IF TG_TABLE_NAME = 'membership' THEN
        kind := 'member.' || kind;
        data := jsonb_build_object('user_id', thing.user_id, 'user_role', thing.user_role);
    ELSIF TG_TABLE_NAME = 'api_key' THEN
        kind := 'key.' || kind;
        data := jsonb_build_object('token_id', thing.key_id, 'key_alias', thing.key_alias, 'user_id', thing.user_id,
                                   'team_id', thing.team_id);
    ELSE
        kind := 'organization.' || kind;
        data := jsonb_build_object('organization_alias', thing.organization_alias);
    END IF;
    INSERT INTO org.event (organization_id, kind, data) VALUES (coalesce(thing.organization_id, ''), kind, data);
    RETURN NULL;
END $$;
COMMENT ON FUNCTION org.emit() IS 'Trigger: writes an event for the change of a row.';

CREATE TRIGGER emit AFTER INSERT OR DELETE ON org.organization FOR EACH ROW EXECUTE FUNCTION org.emit();
CREATE TRIGGER emit AFTER INSERT OR DELETE ON org.membership FOR EACH ROW EXECUTE FUNCTION org.emit();
CREATE TRIGGER emit AFTER INSERT OR DELETE ON org.api_key FOR EACH ROW EXECUTE FUNCTION org.emit();
CREATE TRIGGER emit_blocked AFTER UPDATE OF blocked ON org.organization
    FOR EACH ROW WHEN (NEW.blocked <> OLD.blocked) EXECUTE FUNCTION org.emit();
CREATE TRIGGER emit_blocked AFTER UPDATE OF blocked ON org.api_key
    FOR EACH ROW WHEN (NEW.blocked <> OLD.blocked) EXECUTE FUNCTION org.emit();
