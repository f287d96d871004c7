-- Many keys that are made by one statement, as an import does, take half the time.

-- The totals of all lists that a statement changes are written at once. Without scans of the whole table, because a
-- plan that was made while it was small is kept by the session.
DROP FUNCTION org.add_to_total(text, bigint, boolean);
CREATE FUNCTION org.add_to_totals(lists text[], amounts bigint[], adds_up boolean) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $$
DECLARE
    -- At a stricter isolation level, rows that others have added up meanwhile would be an error.
    may_add_up  CONSTANT boolean := adds_up AND current_setting('transaction_isolation') = 'read committed';
BEGIN
    WITH more AS (
        SELECT list, sum(amount) AS amount
          FROM unnest(lists, amounts) AS m (list, amount)
         WHERE list IS NOT NULL
         GROUP BY list
        HAVING sum(amount) <> 0
    ), found AS MATERIALIZED (
        SELECT t.total_id
          FROM more
         CROSS JOIN LATERAL (SELECT total_id FROM org.list_total WHERE list = more.list LIMIT 1000
                                FOR UPDATE SKIP LOCKED) AS t
         WHERE may_add_up
    ), added AS (
        DELETE FROM org.list_total AS t USING found WHERE t.total_id = found.total_id RETURNING t.list, t.amount
    )
    INSERT INTO org.list_total (list, amount)
    SELECT list, sum(amount)
      FROM (SELECT * FROM more UNION ALL SELECT * FROM added) AS summed
     GROUP BY list
    HAVING sum(amount) <> 0;
END $$;
COMMENT ON FUNCTION org.add_to_totals(text[], bigint[], boolean) IS
'Adds to the numbers of elements of lists (null: no list), and adds up the rows of these lists if asked to.';

CREATE OR REPLACE FUNCTION org.count_listed() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    sign     bigint := CASE TG_OP WHEN 'DELETE' THEN -1 ELSE 1 END;
    -- All tenants write to the totals of the platform, so adding up is left to a few of those writes.
    adds_up  boolean := random() < 0.05;
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        DELETE FROM org.list_total
         WHERE list = TG_TABLE_NAME OR TG_TABLE_NAME = 'api_key' AND list ~ '^(api_key/|key_alias)';
    ELSIF TG_OP = 'UPDATE' THEN
        PERFORM org.add_to_totals(ARRAY['api_key/' || OLD.organization_id, 'key_alias/' || OLD.organization_id,
                                        'api_key/' || NEW.organization_id, 'key_alias/' || NEW.organization_id],
                                  ARRAY[-1, -num_nonnulls(OLD.key_alias), 1, num_nonnulls(NEW.key_alias)], true),
                org.add_to_totals('{key_alias}', ARRAY[num_nonnulls(NEW.key_alias) - num_nonnulls(OLD.key_alias)],
                                  adds_up);
    ELSIF TG_TABLE_NAME = 'api_key' THEN
        PERFORM org.add_to_totals(array_agg('api_key/' || organization_id) || array_agg('key_alias/' || organization_id),
                                  array_agg(sign * elements) || array_agg(sign * aliases), true),
                org.add_to_totals('{api_key, key_alias}',
                                  ARRAY[sign * sum(elements), sign * sum(aliases)]::bigint[], adds_up)
           FROM (SELECT organization_id, count(*) AS elements, count(key_alias) AS aliases
                   FROM changed GROUP BY organization_id) AS counted;
    ELSE
        PERFORM org.add_to_totals(ARRAY[TG_TABLE_NAME], ARRAY[sign * (SELECT count(*) FROM changed)], adds_up);
    END IF;
    RETURN NULL;
END $$;

-- The same digests as before, recognized in a sixth of the time.
ALTER TABLE org.api_key
    DROP CONSTRAINT api_key_key_hash_check,
    ADD CONSTRAINT api_key_key_hash_check CHECK (length(key_hash) = 64 AND key_hash !~ '[^0-9a-f]');

-- What few keys have is not indexed for the others.
ALTER TABLE org.api_key DROP CONSTRAINT api_key_previous_key_hash_key;
CREATE UNIQUE INDEX api_key_previous_key_hash_key ON org.api_key (previous_key_hash) WHERE previous_key_hash IS NOT NULL;
DROP INDEX org.api_key_budget_id_idx;
CREATE INDEX api_key_budget_id_idx ON org.api_key (budget_id) WHERE budget_id IS NOT NULL;
DROP INDEX org.api_key_created_by_idx;
CREATE INDEX api_key_created_by_idx ON org.api_key (created_by) WHERE created_by IS NOT NULL;
