-- Calls are looked up by their request_id, with or without an organization: one index does for both.

ALTER TABLE org.reservation
    DROP CONSTRAINT reservation_pkey,
    ADD PRIMARY KEY (request_id, organization_id);
DROP INDEX org.reservation_request_id_idx;
ALTER TABLE org.usage
    DROP CONSTRAINT usage_pkey,
    ADD PRIMARY KEY (request_id, organization_id);
DROP INDEX org.usage_request_id_idx;
