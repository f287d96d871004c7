-- Closed calls are looked up by a digest of their request_id that keeps request_ids together that begin alike. Those that
-- begin with the time, as UUIDs of version 7 do, get to a few pages of the index, which stay in memory; those in no order
-- are looked up as before.

CREATE FUNCTION org.request_digest(request_id text) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (hashtext(left(request_id, 7))::bigint << 48)
     | ((hashtext(left(request_id, 11)) & 65535)::bigint << 32)
     | (hashtext(request_id)::bigint & 4294967295);
COMMENT ON FUNCTION org.request_digest(text) IS
'Digest of a request_id by which closed calls are looked up: 16 bits each of its first 7 and 11 characters, and 32 of all.';

DO $$
DECLARE
    started  timestamptz := clock_timestamp();
BEGIN
    CREATE INDEX usage_request_digest_idx ON org.usage (org.request_digest(request_id));
    DROP INDEX org.usage_request_id_idx;
    IF clock_timestamp() - started > interval '1 second' THEN
        RAISE NOTICE 'org.usage got an index in % s', round(extract(epoch FROM clock_timestamp() - started), 1);
    END IF;
END $$;
