-- The calls of a key or team are looked for in the organizations where it has sums: it may have been moved or deleted.
-- A call makes no entry here unless it is the first of its day, key and model.

CREATE INDEX usage_daily_key_id_idx ON org.usage_daily (key_id);
CREATE INDEX usage_daily_team_id_idx ON org.usage_daily (team_id) WHERE team_id <> '';
