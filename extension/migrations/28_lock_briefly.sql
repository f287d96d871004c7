-- Without the other partitions: autovacuum may work on one of them for long, and gives way only to who waits for longer.
DROP FUNCTION org.lock_briefly(regclass);
CREATE FUNCTION org.lock_briefly(of_table regclass, leaving regclass) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    longest  CONSTANT text := current_setting('lock_timeout');
BEGIN
    FOR attempt IN 1..20 LOOP
        BEGIN
            SET LOCAL lock_timeout = '50ms';
            EXECUTE format('LOCK TABLE ONLY %s, ONLY %s IN ACCESS EXCLUSIVE MODE', of_table, leaving);
            PERFORM set_config('lock_timeout', longest, true);
            RETURN;
        EXCEPTION WHEN lock_not_available THEN
            PERFORM pg_sleep(0.1 * random());
        END;
    END LOOP;
    RAISE lock_not_available USING MESSAGE = format('%s is in use all the time', of_table),
        HINT = 'Try again. See pg_locks for long transactions that read it.';
END $$;
COMMENT ON FUNCTION org.lock_briefly(regclass, regclass) IS
'Locks a table and a partition that is to leave it, without making others wait for long: who waits for this lock keeps'
' newcomers waiting.';
