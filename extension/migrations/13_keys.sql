-- What else a key has: a budget shared with others, the routes it may call, names of its own for models, and tags. And
-- of teams, the latter two as well.
ALTER TABLE org.api_key
    ADD budget_id text COLLATE "C" REFERENCES org.budget,
    ADD allowed_routes text[] NOT NULL DEFAULT '{}',
    ADD aliases jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(aliases) = 'object'),
    ADD tags text[] NOT NULL DEFAULT '{}',
    ADD spend_reset_at timestamptz,
    ADD CHECK (budget_id IS NULL
               OR (max_budget IS NULL AND budget_duration IS NULL AND model_max_budget = '{}'));
CREATE INDEX api_key_budget_id_idx ON org.api_key (budget_id);
COMMENT ON COLUMN org.api_key.budget_id IS 'Budget that limits the key, in place of a max_budget of its own; null means none.';
COMMENT ON COLUMN org.api_key.allowed_routes IS 'Routes the key may call: paths, in which * stands for anything, or llm_api_routes, management_routes or info_routes; empty means all.';
COMMENT ON COLUMN org.api_key.aliases IS 'Names that stand for models in calls with the key: an object of names and models.';
COMMENT ON COLUMN org.api_key.tags IS 'Labels that calls with the key get for reports.';
COMMENT ON COLUMN org.api_key.spend_reset_at IS 'When what counts against its budgets was reset; null means never.';

ALTER TABLE org.team
    ADD tags text[] NOT NULL DEFAULT '{}',
    ADD model_aliases jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(model_aliases) = 'object');
COMMENT ON COLUMN org.team.tags IS 'Labels that calls with the team''s keys get for reports.';
COMMENT ON COLUMN org.team.model_aliases IS 'Names that stand for models in calls with the team''s keys: an object of names and models.';

-- An alias belongs to one key of an organization.
DROP INDEX org.api_key_key_alias_idx;
CREATE INDEX api_key_key_alias_idx ON org.api_key (key_alias, organization_id);
