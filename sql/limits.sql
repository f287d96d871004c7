-- Ownership: limits and models of teams and keys can't exceed those of their owner.
\getenv checkout PG_ABS_SRCDIR
\set helpers :checkout /test/helpers.sql
\i :helpers
\set ECHO none
SELECT org_new('A', 'A', models => '{gpt-4o,openai/*}', max_budget => 100, tpm_limit => 1000, rpm_limit => 10),
       org_new('Free', 'F') \g /dev/null
\set ECHO all

-- A team has limits and models up to the organization's, or none of its own.
SELECT test.attempt('team_new(''A'', max_budget => 100.01)');
SELECT test.attempt('team_new(''A'', tpm_limit => 1001)');
SELECT test.attempt('team_new(''A'', rpm_limit => 11)');
SELECT test.attempt('team_new(''A'', models => ''{gpt-4o,claude}'')');
SELECT test.attempt('team_new(''A'', models => ''{*}'')');
SELECT test.attempt('team_new(''A'', models => ''{all-proxy-models}'')');
SELECT test.attempt('team_new(''A'', team_id => ''full'', max_budget => 100, tpm_limit => 1000, rpm_limit => 10, models => ''{openai/gpt-5,openai/*}'')');
SELECT test.attempt('team_new(''A'', team_id => ''open'')');
SELECT test.attempt('team_new(''F'', team_id => ''any'', max_budget => 1e12, models => ''{claude}'')');
SELECT test.attempt('team_update(''full'', max_budget => 101)');
SELECT test.attempt('team_update(''open'', models => ''{claude}'')');

-- A key's models must be among those of its organization and its team.
SELECT test.attempt('key_generate(organization_id => ''A'', models => ''{claude}'')');
SELECT test.attempt('key_generate(team_id => ''full'', models => ''{gpt-4o}'')');
SELECT key_generate(team_id => 'full', models => '{openai/gpt-5}', key => 'sk-limited') ->> 'models' AS models;
SELECT test.attempt('key_update(''sk-limited'', models => ''{gpt-4o}'')');
SELECT test.attempt('key_generate(team_id => ''open'', models => ''{all-team-models}'')');

-- Lowering a limit below that of a team or key is refused; the message names it, and nothing changes.
SELECT test.fingerprint() AS before \gset
SELECT test.attempt('org_update(''A'', max_budget => 99)');
SELECT test.attempt('org_patch(''A'', ''{"tpm_limit": 999, "rpm_limit": 9}'')');
SELECT test.masked(test.attempt('org_update(''A'', models => ''{gpt-4o}'')'));
SELECT test.attempt(format('budget_update(%L, max_budget => 1)', org_info('A') ->> 'budget_id'));
SELECT budget_new('small', max_budget => 1) \g /dev/null
SELECT test.attempt('org_update(''A'', budget_id => ''small'')');
SELECT budget_delete('small') \g /dev/null
SELECT test.masked(test.attempt('team_update(''full'', models => ''{openai/gpt-4}'')'));
SELECT test.fingerprint() = :'before' AS refusals_changed_nothing;

-- A limit can be lowered if nothing owned exceeds it.
SELECT team_update('full', max_budget => 50, tpm_limit => 500, rpm_limit => 5) -> 'data' ->> 'max_budget' AS max_budget;
SELECT org_update('A', max_budget => 50) -> 'litellm_budget_table' ->> 'max_budget' AS max_budget;

-- With cascade owned limits are lowered as well; a list of models never becomes empty, which would mean all.
SELECT org_update('A', max_budget => 20, tpm_limit => 200, models => '{gpt-4o,claude}', cascade => true) ->> 'models' AS models;
SELECT team ->> 'team_id' AS team, team ->> 'max_budget' AS max_budget, team ->> 'tpm_limit' AS tpm, team ->> 'rpm_limit' AS rpm,
       team ->> 'models' AS models
  FROM json_array_elements(org_info('A') -> 'teams') AS team;
SELECT key_info('sk-limited') -> 'info' ->> 'models' AS models;
SELECT team_update('full', models => '{claude,gpt-4o}'), key_update('sk-limited', models => '{claude,gpt-4o}') \g /dev/null
SELECT team_update('full', models => '{claude}', cascade => true) -> 'data' ->> 'models' AS team;
SELECT key_info('sk-limited') -> 'info' ->> 'models' AS key;

-- Raising or clearing a limit is always allowed.
SELECT org_patch('A', '{"max_budget": null, "tpm_limit": 5000}') -> 'litellm_budget_table' ->> 'tpm_limit' AS tpm_limit;

\set ECHO none
CALL test.clear();
