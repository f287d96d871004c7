-- Calls of deleted keys can still be recorded; whoever was made after the delete is not charged for them.
\getenv checkout PG_ABS_SRCDIR
\set helpers :checkout /test/helpers.sql
\i :helpers
\set ECHO none
SELECT user_new('ann', user_email => 'ann@example.com', auto_create_key => false) \g /dev/null
SELECT org_new('Acme', 'acme', max_budget => 100), org_new('Other', 'other'),
       org_member_add('acme', '[{"role":"org_admin","user_id":"boss"}, {"role":"internal_user","user_id":"ann"}]', 10),
       team_new(organization_id => 'acme', team_id => 'red', team_alias => 'Red',
                members_with_roles => '[{"user_id":"ann","role":"user"}]') \g /dev/null
SELECT key_generate('ann', 'acme', 'red', key => 'sk-ann', key_alias => 'of Ann', tags => '{k}'),
       key_generate('ann', 'acme', key => 'sk-second', key_alias => 'second'),
       key_generate('ann', key => 'sk-own', key_alias => 'own'),
       key_generate('boss', 'acme', key => 'sk-boss'),
       key_generate(key => 'sk-gateway', permissions => '{"usage": true}'),
       key_generate(organization_id => 'acme', key => 'sk-gateway-acme', permissions => '{"usage": true}'),
       key_generate(organization_id => 'other', key => 'sk-gateway-other',
                    permissions => '{"usage": true}') \g /dev/null
SELECT key_id AS id_of_ann FROM org.api_key WHERE key_alias = 'of Ann' \gset
-- Shows who has spent what.
CREATE FUNCTION test.spent() RETURNS TABLE (owner text, spend numeric) LANGUAGE sql AS $$
    SELECT 'organization ' || organization_id, spend FROM org.organization UNION ALL
    SELECT 'team ' || team_id, spend FROM org.team UNION ALL
    SELECT 'member ' || organization_id || '/' || user_id, spend FROM org.membership UNION ALL
    SELECT 'team member ' || user_id, spend FROM org.team_member UNION ALL
    SELECT 'user ' || user_id, spend FROM org."user" UNION ALL
    SELECT 'key ' || coalesce(key_alias, key_name), spend FROM org.api_key
     ORDER BY 1
$$;
CREATE VIEW test.ledger AS
    SELECT request_id, u.organization_id, u.team_id, u.user_id, alias AS key, model, tags, state, cost
      FROM org.usage AS u LEFT JOIN org.former_owner ON kind = 'key' AND id = key_id;
\set ECHO all

-- A deleted key is kept with its owners; of its secret nothing but the digest.
SELECT usage_record('sk-ann', 'm', 1, 'before') ->> 'cost' AS cost;
SELECT key_delete('{sk-ann, sk-own}') -> 'deleted_keys' AS deleted;
SELECT kind, id = :'id_of_ann' AS of_ann, key_hash = encode(sha256('sk-ann'), 'hex') AS digest, organization_id,
       team_id, user_id, delegated, alias, deleted_at <= clock_timestamp() AS dated
  FROM org.former_owner ORDER BY alias;

-- Its calls are recorded, by secret or token_id, and charged to those who are left. The same request_id gets the same
-- reply.
SELECT usage_record('sk-ann', 'm', 2, 'by secret', tags => '{t}', api_key => 'sk-gateway') ->> 'organization_id'
       AS recorded_into;
SELECT usage_record(token_id => :'id_of_ann', model => 'm', cost => 4, request_id => 'by id',
                    api_key => 'sk-gateway-acme') ->> 'token_id' = :'id_of_ann' AS with_its_id;
SELECT usage_record('sk-own', 'm', 8, 'of no organization') ->> 'organization_id' AS recorded_into;
SELECT usage_record('sk-ann', 'm', 16, 'by secret') ->> 'cost' AS cost,
       usage_record('sk-ann', 'm', 16, 'before') ->> 'cost' AS cost_before;
SELECT * FROM test.ledger ORDER BY request_id COLLATE "C";
SELECT * FROM test.spent();
SELECT usage_verify();

-- A key that never was is refused, and so is one of an organization that is not the gateway's.
SELECT attempt('usage_record(''sk-nobody'', ''m'', 1)') AS unknown,
       attempt('usage_record(token_id => ''nobody'', model => ''m'', cost => 1)') AS unknown_id,
       attempt('usage_record(''sk-ann'', ''m'', 1, api_key => ''sk-gateway-other'')') AS of_another,
       attempt('usage_record(''sk-own'', ''m'', 1, api_key => ''sk-gateway-other'')') AS of_none;
SELECT attempt('usage_record(''sk-ann'', ''m'', 1, api_key => ''sk-boss'')') AS without_the_permission;
-- Nothing else can be done with a deleted key.
SELECT attempt('usage_reserve(''sk-ann'', ''m'', 1)') AS reserve, attempt('usage_limits(''sk-ann'')') AS limits,
       attempt('org_list(api_key => ''sk-ann'')') AS own_call;
SELECT json_array_elements(usage_reserve_many(json_build_array(json_build_object(
           'token_id', :'id_of_ann', 'model', 'm', 'max_cost', 1)))) -> 'error' ->> 'message' AS reserve_many;
-- Another call is recorded with the name.
SELECT attempt('usage_record(''sk-second'', ''m'', 1, ''by secret'')') AS other_key,
       attempt('usage_record(''sk-ann'', ''n'', 1, ''by secret'')') AS other_model,
       attempt('usage_record(''sk-ann'', ''m'', -1)') AS wrong;

-- A secret that is in use again stands for the new key.
SELECT key_generate('ann', 'acme', key => 'sk-ann', key_alias => 'anew') \g /dev/null
SELECT usage_record('sk-ann', 'm', 32, 'with the new key') ->> 'token_id' = :'id_of_ann' AS with_the_former;
SELECT key_delete('{sk-ann}') \g /dev/null
SELECT usage_record('sk-ann', 'm', 64, 'with the last one') ->> 'token_id' = :'id_of_ann' AS with_the_first;
SELECT usage_verify();

-- Whoever was made after the delete is not charged, and their aliases and tags are not taken.
SELECT team_delete('{red}') -> 0 ->> 'team_id' AS deleted, org_member_delete('acme', 'ann') ->> 'user_id' AS removed;
SELECT org_member_add('acme', '{"role":"internal_user","user_id":"ann"}', 10),
       team_new(organization_id => 'acme', team_id => 'red', tags => '{new}',
                members_with_roles => '[{"user_id":"ann","role":"user"}]',
                model_aliases => '{"m": "new"}') \g /dev/null
SELECT usage_record(token_id => :'id_of_ann', model => 'm', cost => 128, request_id => 'late') ->> 'model' AS model;
SELECT * FROM test.spent();
SELECT tags FROM org.usage WHERE request_id = 'late';
SELECT usage_verify();

-- The names of deleted teams, organizations and users are kept, too.
SELECT json_array_length(org_delete('{acme}')) AS deleted;
SELECT user_delete('{ann}') AS deleted;
SELECT kind, id, organization_id, team_id, user_id, alias FROM org.former_owner WHERE kind <> 'key' ORDER BY kind, id;
-- Calls are recorded when nobody is left, and a new organization of the same identifier neither pays nor sees them.
SELECT usage_record(token_id => :'id_of_ann', model => 'm', cost => 256, request_id => 'of nobody')
       ->> 'organization_id' AS recorded_into;
SELECT org_new('New', 'acme', max_budget => 1, model_aliases => '{"m": "new"}', tags => '{new}'),
       org_member_add('acme', '{"role":"org_admin","user_id":"boss"}'),
       key_generate('boss', 'acme', key => 'sk-new-boss') \g /dev/null
SELECT usage_record('sk-ann', 'm', 512, 'of the former') ->> 'model' AS model;
SELECT attempt('usage_record(''sk-new-boss'', ''m'', 1, ''of the former'')') AS same_name;
SELECT * FROM test.spent();
SELECT usage_verify();
SELECT caller, org_daily_activity('{acme}', '2000-01-01', '9999-12-31', api_key => caller)
       -> 'metadata' ->> 'total_spend' AS sees
  FROM unnest('{sk-new-boss,NULL}'::text[]) AS caller;
DELETE FROM org.usage_daily;
SELECT usage_repair() \g /dev/null
SELECT usage_verify();
SELECT org_daily_activity('{acme}', '2000-01-01', '9999-12-31', api_key => 'sk-new-boss')
       -> 'metadata' ->> 'total_spend' AS new_admin_sees;

-- The last delete counts.
SELECT json_array_length(org_delete('{acme}')) AS deleted;
SELECT alias FROM org.former_owner WHERE kind = 'organization' AND id = 'acme';

\set ECHO none
DROP VIEW test.ledger;
DROP FUNCTION test.spent;
CALL test.clear();
