-- Entity tags: a change with if_match succeeds only if the object is as the caller last saw it.
\getenv checkout PG_ABS_SRCDIR
\set helpers :checkout /test/helpers.sql
\i :helpers
\set ECHO none
SELECT org_new('A', 'A', max_budget => 5), team_new('A', 'Red', 'red') \g /dev/null
SELECT budget_new('b') \g /dev/null
\set ECHO all

SELECT org_etag(org_info('A')) AS tag \gset
SELECT :'tag' ~ '^"[0-9a-f]{32}"$' AS quoted;
SELECT org_update('A', organization_alias => 'B', if_match => :'tag') AS reply \gset
SELECT org_etag(:'reply') = org_etag(org_info('A')) AS tag_of_the_reply_is_current;
SELECT test.attempt(format('org_update(''A'', organization_alias => ''C'', if_match => %L)', :'tag'));
SELECT test.attempt(format('org_patch(''A'', ''{"tags":["x"]}'', if_match => %L)', :'tag'));
SELECT org_info('A') ->> 'organization_alias' AS unchanged;

-- if_match takes a list of tags, a tag without quotes, or * for any state.
SELECT org_etag(org_info('A')) AS tag \gset
SELECT org_update('A', organization_alias => 'D', if_match => '"0", ' || :'tag') ->> 'organization_alias' AS alias;
SELECT org_update('A', organization_alias => 'E', if_match => trim('"' FROM org_etag(org_info('A')))) ->> 'organization_alias' AS alias;
SELECT org_update('A', organization_alias => 'F', if_match => '*') ->> 'organization_alias' AS alias;
SELECT test.attempt('org_update(''A'', organization_alias => ''G'', if_match => '''')');
SELECT test.attempt('org_update(''A'', organization_alias => ''G'', if_match => ''W/"0"'')');

-- Spending does not change the tag; a change of the budget and a block do.
SELECT org_etag(org_info('A')) AS tag \gset
UPDATE org.organization SET spend = 1;
SELECT org_etag(org_info('A')) = :'tag' AS same;
SELECT budget_update(org_info('A') ->> 'budget_id', tpm_limit => 9) \g /dev/null
SELECT org_etag(org_info('A')) = :'tag' AS same;
SELECT org_etag(org_info('A')) AS tag \gset
SELECT org_block('A') \g /dev/null
SELECT org_etag(org_info('A')) = :'tag' AS same;

-- Teams and budgets have entity tags as well.
SELECT org_etag(team_info('red')) AS tag \gset
SELECT team_update('red', team_alias => 'Rot', if_match => :'tag') AS reply \gset
SELECT org_etag(:'reply') = org_etag(team_info('red')) AS tag_of_the_reply_is_current;
SELECT test.attempt(format('team_update(''red'', team_alias => ''Blue'', if_match => %L)', :'tag'));
SELECT org_etag(budget_info('{b}')) AS tag \gset
SELECT budget_update('b', max_budget => 7, if_match => :'tag') ->> 'max_budget' AS max_budget;
SELECT test.attempt(format('budget_update(''b'', max_budget => 8, if_match => %L)', :'tag'));
SELECT test.attempt('org_etag(''{"no":"time"}'')');

\set ECHO none
CALL test.clear();
