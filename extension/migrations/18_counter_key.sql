-- Counters are looked up by their part, which comes early in the key: the columns before it are compared at each step of
-- a search. Those of an owner are found by the other index.

ALTER TABLE org.usage_counter
    DROP CONSTRAINT usage_counter_pkey,
    ADD PRIMARY KEY (organization_id, part, each, team_id, user_id, key_id, end_user, model, tag);
DROP INDEX org.usage_counter_idle_after_idx;
CREATE INDEX usage_counter_owner_idx ON org.usage_counter (organization_id, team_id, user_id, key_id, end_user, idle_after);
