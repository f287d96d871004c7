-- Autovacuum gives way only to who has waited for deadlock_timeout, which is longer than the waits for the table: so it is
-- waited for before them, with a lock that is not in the way of readers and writers. All that leave are locked at once,
-- since nobody can use the table between them.
DROP FUNCTION org.lock_briefly(regclass, regclass);
CREATE FUNCTION org.lock_briefly(of_table regclass, leaving regclass[]) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    longest    CONSTANT text := current_setting('lock_timeout');
    patience   CONSTANT interval := least(nullif(longest::interval, interval '0'),
                                          current_setting('deadlock_timeout')::interval + interval '4 seconds');
    partitions CONSTANT text := (SELECT string_agg(format('ONLY %s', p), ', ') FROM unnest(leaving) AS p);
BEGIN
    BEGIN
        PERFORM set_config('lock_timeout', format('%sms', (1000 * extract(epoch FROM patience))::bigint), true);
        EXECUTE format('LOCK TABLE %s IN SHARE UPDATE EXCLUSIVE MODE', partitions);
    EXCEPTION WHEN lock_not_available THEN
        RAISE lock_not_available USING MESSAGE = format('an old partition of %s is being vacuumed or changed', of_table),
            HINT = 'Try again later. See pg_locks and pg_stat_progress_vacuum for who works on it.';
    END;
    FOR attempt IN 1..20 LOOP
        BEGIN
            SET LOCAL lock_timeout = '50ms';
            EXECUTE format('LOCK TABLE ONLY %s, %s IN ACCESS EXCLUSIVE MODE', of_table, partitions);
            PERFORM set_config('lock_timeout', longest, true);
            RETURN;
        EXCEPTION WHEN lock_not_available THEN
            PERFORM pg_sleep(0.1 * random());
        END;
    END LOOP;
    RAISE lock_not_available USING MESSAGE = format('%s is in use all the time', of_table),
        HINT = 'Try again. See pg_locks for long transactions that read it.';
END $$;
COMMENT ON FUNCTION org.lock_briefly(regclass, regclass[]) IS
'Locks a table and partitions that are to leave it, without making others wait for long: who waits for this lock keeps'
' newcomers waiting.';
