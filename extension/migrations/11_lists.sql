-- Lists in pages tell how many elements there are, which takes too long to count when there are millions. So each
-- statement that makes or deletes rows writes by how many it changed the totals. Nobody waits for anybody: such
-- changes are added up only now and then, and those that another transaction is adding up are left to it.
CREATE TABLE org.list_total (
    total_id  text COLLATE "C" PRIMARY KEY DEFAULT gen_random_uuid()::text,
    list      text COLLATE "C" NOT NULL,
    amount    bigint NOT NULL
);
CREATE INDEX list_total_list_idx ON org.list_total (list);
COMMENT ON TABLE org.list_total IS
'Number of elements of lists: the sum of the rows of a list. Each row is a change by one statement, or several of them'
' added up.';
COMMENT ON COLUMN org.list_total.total_id IS 'Identifier of the row.';
COMMENT ON COLUMN org.list_total.list IS
'Name of the list: user, team, api_key or key_alias (keys with an alias). The keys and aliases of one organization are'
' lists of their own, named api_key/<organization_id> and key_alias/<organization_id>.';
COMMENT ON COLUMN org.list_total.amount IS 'How many more (or fewer, if negative) there are.';

CREATE FUNCTION org.add_to_total(of_list text, more bigint, adds_up boolean) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF of_list IS NULL OR more = 0 THEN
        RETURN;
    END IF;
    -- At a stricter isolation level, rows that others have added up meanwhile would be an error.
    IF NOT adds_up OR current_setting('transaction_isolation') <> 'read committed' THEN
        INSERT INTO org.list_total (list, amount) VALUES (of_list, more);
        RETURN;
    END IF;
    WITH found AS MATERIALIZED (
        SELECT total_id FROM org.list_total WHERE list = of_list LIMIT 1000 FOR UPDATE SKIP LOCKED
    ), added AS (
        DELETE FROM org.list_total AS t USING found WHERE t.total_id = found.total_id RETURNING t.amount
    )
    INSERT INTO org.list_total (list, amount)
    SELECT of_list, coalesce(sum(amount), 0) + more FROM added HAVING coalesce(sum(amount), 0) + more <> 0;
END $$;
COMMENT ON FUNCTION org.add_to_total(text, bigint, boolean) IS
'Adds to the number of elements of a list (null: none), and adds up its rows if asked to.';

CREATE FUNCTION org.count_listed() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
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
        IF OLD.organization_id IS DISTINCT FROM NEW.organization_id THEN
            PERFORM org.add_to_total('api_key/' || OLD.organization_id, -1, true),
                    org.add_to_total('api_key/' || NEW.organization_id, 1, true);
        END IF;
        PERFORM org.add_to_total('key_alias/' || OLD.organization_id, -num_nonnulls(OLD.key_alias), true),
                org.add_to_total('key_alias/' || NEW.organization_id, num_nonnulls(NEW.key_alias), true),
                org.add_to_total('key_alias', num_nonnulls(NEW.key_alias) - num_nonnulls(OLD.key_alias), adds_up);
    ELSIF TG_TABLE_NAME = 'api_key' THEN
        PERFORM org.add_to_total('api_key/' || organization_id, sign * elements, true),
                org.add_to_total('key_alias/' || organization_id, sign * aliases, true)
           FROM (SELECT organization_id, count(*) AS elements, count(key_alias) AS aliases
                   FROM changed GROUP BY organization_id) AS counted;
        PERFORM org.add_to_total('api_key', sign * elements, adds_up),
                org.add_to_total('key_alias', sign * aliases, adds_up)
           FROM (SELECT count(*) AS elements, count(key_alias) AS aliases FROM changed) AS counted;
    ELSE
        PERFORM org.add_to_total(TG_TABLE_NAME, sign * (SELECT count(*) FROM changed), adds_up);
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION org.count_listed() IS
'Trigger: keeps the totals of lists. The rows that a statement made or deleted are in the transition table changed.';

DO $$
DECLARE
    counted  text;
BEGIN
    FOREACH counted IN ARRAY '{api_key, team, user}'::text[] LOOP
        EXECUTE format('CREATE TRIGGER count_insert AFTER INSERT ON org.%I REFERENCING NEW TABLE AS changed '
                       'FOR EACH STATEMENT EXECUTE FUNCTION org.count_listed()', counted);
        EXECUTE format('CREATE TRIGGER count_delete AFTER DELETE ON org.%I REFERENCING OLD TABLE AS changed '
                       'FOR EACH STATEMENT EXECUTE FUNCTION org.count_listed()', counted);
        EXECUTE format('CREATE TRIGGER count_truncate AFTER TRUNCATE ON org.%I '
                       'FOR EACH STATEMENT EXECUTE FUNCTION org.count_listed()', counted);
    END LOOP;
END $$;
CREATE TRIGGER count_update AFTER UPDATE OF organization_id, key_alias ON org.api_key
   FOR EACH ROW WHEN (OLD.organization_id IS DISTINCT FROM NEW.organization_id
                      OR (OLD.key_alias IS NULL) <> (NEW.key_alias IS NULL))
   EXECUTE FUNCTION org.count_listed();
INSERT INTO org.list_total (list, amount)
SELECT list, count(*)
  FROM (SELECT 'user' AS list FROM org."user"
         UNION ALL
        SELECT 'team' FROM org.team
         UNION ALL
        SELECT unnest(ARRAY['api_key', 'api_key/' || organization_id]) FROM org.api_key
         UNION ALL
        SELECT unnest(ARRAY['key_alias', 'key_alias/' || organization_id]) FROM org.api_key WHERE key_alias IS NOT NULL)
       AS listed
 WHERE list IS NOT NULL
 GROUP BY list;

-- Pages of one organization's keys, and the keys that somebody made.
CREATE INDEX api_key_organization_created_at_idx ON org.api_key (organization_id, created_at, key_id);
CREATE INDEX api_key_created_by_idx ON org.api_key (created_by);
