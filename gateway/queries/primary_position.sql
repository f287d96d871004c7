-- The cluster, timeline and database, and the current WAL position.  Asynchronous commits may not be written yet.
SELECT pg_catalog.concat_ws('/', s.system_identifier, pg_catalog.left(pg_catalog.pg_walfile_name(p.lsn), 8), d.oid),
       p.lsn - '0/0'
  FROM pg_catalog.pg_control_system() AS s,
       (SELECT CASE pg_catalog.current_setting('synchronous_commit')
               WHEN 'off' THEN pg_catalog.pg_current_wal_insert_lsn()
               ELSE pg_catalog.pg_current_wal_lsn() END) AS p (lsn),
       pg_catalog.pg_database AS d
 WHERE d.datname = pg_catalog.current_database();
