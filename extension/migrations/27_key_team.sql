-- One index finds keys by their team, and by organization and team.
DROP INDEX org.api_key_owner_idx, org.api_key_team_id_idx;
CREATE INDEX api_key_team_id_idx ON org.api_key (team_id, organization_id);
