-- Replies kept for a day, so that a request sent again with its idempotency
-- key gets what the first got, and nothing happens twice.

CREATE TABLE org.idempotency (
    caller           text COLLATE "C" NOT NULL,
    idempotency_key  text COLLATE "C" NOT NULL,
    request_hash     text NOT NULL,
    reply            text NOT NULL,
    secret_at        integer,
    salt             text NOT NULL,
    created_at       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (caller, idempotency_key)
);
CREATE INDEX idempotency_created_at_idx ON org.idempotency (caller, created_at);
COMMENT ON TABLE org.idempotency IS 'Replies to requests that were sent with an idempotency key, for 24 hours.';
COMMENT ON COLUMN org.idempotency.caller IS 'Whose idempotency key it is: a key_id, or role: and the database role.';
COMMENT ON COLUMN org.idempotency.idempotency_key IS 'The idempotency key.';
COMMENT ON COLUMN org.idempotency.request_hash IS 'sha256 of the function and its arguments, to tell another request from the same one.';
COMMENT ON COLUMN org.idempotency.reply IS 'The reply, with the secret of a new key taken out.';
COMMENT ON COLUMN org.idempotency.secret_at IS 'Where in the reply the secret stood; null if there was none.';
COMMENT ON COLUMN org.idempotency.salt IS 'With this and the caller''s own key the secret can be computed again.';
COMMENT ON COLUMN org.idempotency.created_at IS 'When the request was carried out.';
