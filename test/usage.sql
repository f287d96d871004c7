-- Shared by the usage scripts: an organization acme with a team red; ann is in both, and her key sk-ann is in the team.
-- So each kind of limit has one owner.  All owners are older than any pg_org.now in the scripts.
\set ECHO none
SET timezone = 'UTC';
SET datestyle = 'ISO';

-- Runs a call, and gives its message, DETAIL and HINT.
CREATE OR REPLACE FUNCTION test.explained(command text) RETURNS TABLE (message text, detail text, hint text) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE 'SELECT ' || command;
    message = 'ok';
    RETURN NEXT;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    message = sqlstate || ' ' || sqlerrm;
    RETURN NEXT;
END $$;

-- Dates all owners back, and makes each key_id the secret without its prefix.
CREATE OR REPLACE PROCEDURE test.settle_in() LANGUAGE sql AS $$
    UPDATE org.organization SET created_at = '2001-01-01Z';
    UPDATE org.team SET created_at = '2001-01-01Z';
    UPDATE org.membership SET created_at = '2001-01-01Z';
    UPDATE org.team_member SET created_at = '2001-01-01Z';
    UPDATE org."user" SET created_at = '2001-01-01Z';
    UPDATE org.api_key SET created_at = '2001-01-01Z';
    UPDATE org.api_key SET key_id = substr(secret, 4)
      FROM unnest('{sk-ann,sk-bob,sk-acme,sk-zoe,sk-lone,sk-beta,sk-gate,sk-gate-acme,sk-gate-beta}'::text[]) AS secret
     WHERE key_hash = encode(sha256(secret::bytea), 'hex');
$$;

-- Names the owners as replies do, and where their limits are stored.
CREATE OR REPLACE VIEW test.owner AS
    SELECT * FROM (VALUES
        (1, 'organization', 'acme', 'org.budget', 'budget_id = ''of-acme'''),
        (2, 'team', 'red', 'org.team', 'team_id = ''red'''),
        (3, 'member', 'ann', 'org.budget', 'budget_id = ''of-member'''),
        (4, 'team_member', 'red/ann', 'org.budget', 'budget_id = ''of-team-member'''),
        (5, 'user', 'ann', 'org."user"', 'user_id = ''ann'''),
        (6, 'key', 'ann', 'org.api_key', 'key_id = ''ann''')) AS t (place, owner, id, relation, condition);

-- Lists all kinds of limits.  Teams have none by model, users none of parallel requests.
CREATE OR REPLACE VIEW test.kind AS
    SELECT o.place AS owner_place, k.place, owner, id, name
      FROM test.owner o, unnest('{max_budget,model_max_budget,max_parallel_requests,rpm_limit,tpm_limit}'::text[])
           WITH ORDINALITY AS k (name, place)
     WHERE (owner, name) NOT IN (('team', 'model_max_budget'), ('user', 'max_parallel_requests'));

CREATE OR REPLACE PROCEDURE test.set_limit(owner text, name text, value text) LANGUAGE plpgsql AS $$
DECLARE
    o record;
BEGIN
    SELECT * INTO STRICT o FROM test.owner WHERE test.owner.owner = set_limit.owner;
    EXECUTE format('UPDATE %s SET %I = %s WHERE %s', o.relation, name,
                   CASE WHEN value IS NOT NULL THEN quote_literal(value)
                        WHEN name = 'model_max_budget' AND o.owner IN ('user', 'key') THEN '''{}'''
                        ELSE 'NULL' END, o.condition);
END $$;

-- Sets every limit of every owner.
CREATE OR REPLACE PROCEDURE test.set_all_limits(value text, value_by_model text) LANGUAGE plpgsql AS $$
DECLARE
    k record;
BEGIN
    FOR k IN SELECT * FROM test.kind LOOP
        CALL test.set_limit(k.owner, k.name, CASE k.name WHEN 'model_max_budget' THEN value_by_model ELSE value END);
    END LOOP;
END $$;

-- Starts over, without any limit.
CREATE OR REPLACE PROCEDURE test.begin_again() LANGUAGE sql AS $$
    CALL test.clear();
    INSERT INTO org.budget (budget_id) VALUES ('of-acme'), ('of-member'), ('of-team-member');
    SELECT org_new('Acme', 'acme', budget_id => 'of-acme');
    SELECT user_new('ann', auto_create_key => false);
    SELECT org_member_add('acme', '{"role": "internal_user", "user_id": "ann"}');
    SELECT team_new('acme', team_id => 'red', members_with_roles => '[{"role": "user", "user_id": "ann"}]');
    UPDATE org.membership SET budget_id = 'of-member';
    UPDATE org.team_member SET budget_id = 'of-team-member';
    SELECT key_generate('ann', 'acme', 'red', key => 'sk-ann', key_alias => 'Ann''s');
    CALL test.settle_in();
    DELETE FROM org.event;
$$;

-- Lists the limits of a reply, one per row, by the fields that set them.
CREATE OR REPLACE FUNCTION test.limits(reply json)
RETURNS TABLE (owner text, id text, "limit" text, model text, value text, spent text, held text, remaining text,
               resets_at text) LANGUAGE sql AS $$
    SELECT l ->> 'owner', l ->> 'id', l ->> 'field', l ->> 'model', l ->> 'value', l ->> 'spent', l ->> 'held',
           l ->> 'remaining', l ->> 'resets_at'
      FROM json_array_elements(reply -> 'limits') WITH ORDINALITY AS e (l, place) ORDER BY place
$$;
CREATE OR REPLACE FUNCTION test.remaining(reply json)
RETURNS TABLE (owner text, id text, "limit" text, model text, value text, remaining text, resets_at text)
LANGUAGE sql AS $$
    SELECT owner, id, "limit", model, value, remaining, resets_at FROM test.limits(reply)
$$;

-- Lists the answers of a reply to many requests, one per row.
CREATE OR REPLACE FUNCTION test.answers(reply json) RETURNS TABLE (place bigint, answer text) LANGUAGE sql AS $$
    SELECT place, coalesce((e -> 'error' ->> 'sqlstate') || ' ' || (e -> 'error' ->> 'message'),
                           concat_ws(' ', e ->> 'request_id', e ->> 'model', e ->> 'state', e ->> 'cost'))
      FROM json_array_elements(reply) WITH ORDINALITY AS t (e, place) ORDER BY place
$$;

-- Tries a call, and undoes it.
CREATE OR REPLACE FUNCTION test.trial(command text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE 'SELECT ' || command;
    RAISE SQLSTATE 'YESOK';
EXCEPTION
    WHEN SQLSTATE 'YESOK' THEN RETURN 'ok';
    WHEN OTHERS THEN RETURN sqlstate || ' ' || sqlerrm;
END $$;

CALL test.begin_again();
\set ECHO all
