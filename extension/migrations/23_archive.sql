-- Old partitions of the ledger leave it, after their sums were carried forward: for each day, the sums of the settled
-- calls that all owners, the model and the tags have in common.

CREATE FUNCTION org.make_archive_schema() RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF to_regnamespace('org_archive') IS NULL THEN
        CREATE SCHEMA org_archive;
        COMMENT ON SCHEMA org_archive IS 'Partitions of the ledger that were archived: see usage_archive().';
    ELSIF NOT pg_has_role((SELECT nspowner FROM pg_namespace WHERE nspname = 'org_archive'), 'USAGE') THEN
        RAISE insufficient_privilege USING MESSAGE = 'must be owner of schema org_archive',
            HINT = 'Rename the schema if it is not for the archive of pg_org, then try again.';
    END IF;
END $$;
COMMENT ON FUNCTION org.make_archive_schema() IS 'Makes the schema of the archive, unless it is there.';

CREATE TABLE org.usage_archive (
    ends_at        timestamptz PRIMARY KEY,
    starts_at      timestamptz,
    name           text NOT NULL,
    filenode       oid NOT NULL,
    summed_blocks  bigint NOT NULL DEFAULT 0 CHECK (summed_blocks >= 0),
    archived_at    timestamptz
);
COMMENT ON TABLE org.usage_archive IS
'Partitions of the ledger that have been archived, and the one whose sums are being carried forward.';
COMMENT ON COLUMN org.usage_archive.ends_at IS 'End of the partition: the calls were closed before.';
COMMENT ON COLUMN org.usage_archive.starts_at IS 'Start of the partition; null: all earlier calls were in it.';
COMMENT ON COLUMN org.usage_archive.name IS 'Name of the partition, and of its table in schema org_archive as long as that is kept.';
COMMENT ON COLUMN org.usage_archive.filenode IS
'File of the partition when its sums began to be carried forward: in another one, its calls are at other places.';
COMMENT ON COLUMN org.usage_archive.summed_blocks IS 'How many of the blocks of that file have been summed.';
COMMENT ON COLUMN org.usage_archive.archived_at IS
'When it left the ledger, and its sums began to count; null: its calls still do.';

CREATE TABLE org.usage_carried (
    organization_id  text COLLATE "C" NOT NULL,
    ends_at          timestamptz NOT NULL REFERENCES org.usage_archive,
    digest           uuid NOT NULL,
    day              date NOT NULL,
    team_id          text COLLATE "C" NOT NULL,
    user_id          text COLLATE "C" NOT NULL,
    key_id           text COLLATE "C" NOT NULL,
    end_user         text COLLATE "C" NOT NULL,
    delegated        boolean NOT NULL,
    model            text NOT NULL,
    tags             text[] NOT NULL,
    requests         bigint NOT NULL CHECK (requests >= 0),
    failed_requests  bigint NOT NULL CHECK (failed_requests BETWEEN 0 AND requests),
    cost             numeric NOT NULL CHECK (cost >= 0 AND cost < 'Infinity'),
    prompt_tokens    bigint NOT NULL CHECK (prompt_tokens >= 0),
    completion_tokens            bigint NOT NULL CHECK (completion_tokens >= 0),
    cache_read_input_tokens      bigint NOT NULL CHECK (cache_read_input_tokens >= 0),
    cache_creation_input_tokens  bigint NOT NULL CHECK (cache_creation_input_tokens >= 0),
    first_reserved_at            timestamptz NOT NULL,
    first_closed_at              timestamptz NOT NULL,
    last_closed_at               timestamptz NOT NULL,
    PRIMARY KEY (organization_id, ends_at, digest)
);
CREATE INDEX usage_carried_ends_at_idx ON org.usage_carried (ends_at);
CREATE INDEX usage_carried_user_id_idx ON org.usage_carried (user_id) WHERE user_id <> '';
CREATE INDEX usage_carried_end_user_idx ON org.usage_carried (end_user) WHERE end_user <> '';
COMMENT ON TABLE org.usage_carried IS 'Sums of the settled calls of archived partitions, which count like the calls.';
COMMENT ON COLUMN org.usage_carried.organization_id IS 'Organization of the key; empty if it had none.';
COMMENT ON COLUMN org.usage_carried.ends_at IS 'End of the partition that the calls were in.';
COMMENT ON COLUMN org.usage_carried.digest IS
'Digest of what the calls have in common: the columns up to tags, and the same resets and creations of owners before'
' and after them.';
COMMENT ON COLUMN org.usage_carried.day IS 'Day, in UTC, on which the calls were closed.';
COMMENT ON COLUMN org.usage_carried.team_id IS 'Team of the key; empty if it had none.';
COMMENT ON COLUMN org.usage_carried.user_id IS 'User of the key; empty if it had none.';
COMMENT ON COLUMN org.usage_carried.key_id IS 'Key that the calls were made with.';
COMMENT ON COLUMN org.usage_carried.end_user IS 'End user that the calls were for; empty if none was named.';
COMMENT ON COLUMN org.usage_carried.delegated IS
'Whether an organization''s admin made the key for its user; then the calls do not count for the user on the platform.';
COMMENT ON COLUMN org.usage_carried.model IS 'Model that was called, aliases resolved.';
COMMENT ON COLUMN org.usage_carried.tags IS 'Labels for reports.';
COMMENT ON COLUMN org.usage_carried.requests IS 'Number of the calls.';
COMMENT ON COLUMN org.usage_carried.failed_requests IS 'Number of those that failed.';
COMMENT ON COLUMN org.usage_carried.cost IS 'Cost of the calls, in US dollars.';
COMMENT ON COLUMN org.usage_carried.prompt_tokens IS 'Tokens of the prompts.';
COMMENT ON COLUMN org.usage_carried.completion_tokens IS 'Tokens of the completions.';
COMMENT ON COLUMN org.usage_carried.cache_read_input_tokens IS 'Tokens of the prompts that were read from a cache.';
COMMENT ON COLUMN org.usage_carried.cache_creation_input_tokens IS 'Tokens of the prompts that were written to a cache.';
COMMENT ON COLUMN org.usage_carried.first_reserved_at IS 'When the first of the calls was reserved.';
COMMENT ON COLUMN org.usage_carried.first_closed_at IS 'When the first of the calls was closed.';
COMMENT ON COLUMN org.usage_carried.last_closed_at IS 'When the last of the calls was closed.';

CREATE TABLE org.usage_boundary (
    organization_id  text COLLATE "C" NOT NULL,
    ends_at          timestamptz NOT NULL REFERENCES org.usage_archive,
    team_id          text COLLATE "C" NOT NULL,
    user_id          text COLLATE "C" NOT NULL,
    key_id           text COLLATE "C" NOT NULL,
    end_user         text COLLATE "C" NOT NULL,
    times            timestamptz[] NOT NULL,
    PRIMARY KEY (organization_id, ends_at, team_id, user_id, key_id, end_user)
);
CREATE INDEX usage_boundary_ends_at_idx ON org.usage_boundary (ends_at);
COMMENT ON TABLE org.usage_boundary IS
'Times at which owners of limits were made, or began to count anew, in the partition whose sums are being carried forward:'
' calls before and after are not summed together. Owners are named as in usage_counter.';
COMMENT ON COLUMN org.usage_boundary.organization_id IS 'Organization of the owner; empty if it has none.';
COMMENT ON COLUMN org.usage_boundary.ends_at IS 'End of the partition.';
COMMENT ON COLUMN org.usage_boundary.team_id IS 'Team, or team of a team''s member; empty for other owners.';
COMMENT ON COLUMN org.usage_boundary.user_id IS 'User, member or team''s member; empty for other owners.';
COMMENT ON COLUMN org.usage_boundary.key_id IS 'Key; empty for other owners.';
COMMENT ON COLUMN org.usage_boundary.end_user IS 'End user; empty for other owners.';
COMMENT ON COLUMN org.usage_boundary.times IS 'The times, the earliest first.';

CREATE VIEW org.usage_settled AS
    SELECT organization_id, team_id, user_id, key_id, end_user, delegated, model, tags, reserved_at, closed_at,
           1::bigint AS requests, failed::integer::bigint AS failed_requests, cost, prompt_tokens, completion_tokens,
           cache_read_input_tokens, cache_creation_input_tokens
      FROM org.usage
     WHERE state = 'settled'
     UNION ALL
    SELECT c.organization_id, c.team_id, c.user_id, c.key_id, c.end_user, c.delegated, c.model, c.tags,
           c.first_reserved_at, c.first_closed_at, c.requests, c.failed_requests, c.cost, c.prompt_tokens,
           c.completion_tokens, c.cache_read_input_tokens, c.cache_creation_input_tokens
      FROM org.usage_carried c
      JOIN org.usage_archive a USING (ends_at)
     WHERE a.archived_at IS NOT NULL;
COMMENT ON VIEW org.usage_settled IS
'The settled calls of the ledger one by one, and the sums of those that were archived.';
COMMENT ON COLUMN org.usage_settled.organization_id IS 'Organization of the key; empty if it had none.';
COMMENT ON COLUMN org.usage_settled.team_id IS 'Team of the key; empty if it had none.';
COMMENT ON COLUMN org.usage_settled.user_id IS 'User of the key; empty if it had none.';
COMMENT ON COLUMN org.usage_settled.key_id IS 'Key that the calls were made with.';
COMMENT ON COLUMN org.usage_settled.end_user IS 'End user that the calls were for; empty if none was named.';
COMMENT ON COLUMN org.usage_settled.delegated IS
'Whether an organization''s admin made the key for its user; then the calls do not count for the user on the platform.';
COMMENT ON COLUMN org.usage_settled.model IS 'Model that was called, aliases resolved.';
COMMENT ON COLUMN org.usage_settled.tags IS 'Labels for reports.';
COMMENT ON COLUMN org.usage_settled.reserved_at IS 'When the call was reserved, or the first of the calls.';
COMMENT ON COLUMN org.usage_settled.closed_at IS 'When the call was settled, or the first of the calls.';
COMMENT ON COLUMN org.usage_settled.requests IS 'Number of the calls.';
COMMENT ON COLUMN org.usage_settled.failed_requests IS 'Number of those that failed.';
COMMENT ON COLUMN org.usage_settled.cost IS 'Cost of the calls, in US dollars.';
COMMENT ON COLUMN org.usage_settled.prompt_tokens IS 'Tokens of the prompts.';
COMMENT ON COLUMN org.usage_settled.completion_tokens IS 'Tokens of the completions.';
COMMENT ON COLUMN org.usage_settled.cache_read_input_tokens IS 'Tokens of the prompts that were read from a cache.';
COMMENT ON COLUMN org.usage_settled.cache_creation_input_tokens IS 'Tokens of the prompts that were written to a cache.';

CREATE FUNCTION org.lock_briefly(of_table regclass) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    longest  CONSTANT text := current_setting('lock_timeout');
BEGIN
    FOR attempt IN 1..20 LOOP
        BEGIN
            SET LOCAL lock_timeout = '50ms';
            EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', of_table);
            PERFORM set_config('lock_timeout', longest, true);
            RETURN;
        EXCEPTION WHEN lock_not_available THEN
            PERFORM pg_sleep(0.1 * random());
        END;
    END LOOP;
    RAISE lock_not_available USING MESSAGE = format('%s is in use all the time', of_table),
        HINT = 'Try again. See pg_locks for long transactions that read it.';
END $$;
COMMENT ON FUNCTION org.lock_briefly(regclass) IS
'Locks a table whose partition is to leave, without making others wait for long: who waits for this lock keeps newcomers'
' waiting.';
