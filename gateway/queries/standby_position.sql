-- The same for a standby.  The timeline is that of its last checkpoint: after a failover the standby is used again from
-- its next checkpoint on.
SELECT pg_catalog.concat_ws('/', s.system_identifier,
                            pg_catalog.lpad(pg_catalog.upper(pg_catalog.to_hex(c.timeline_id)), 8, '0'), d.oid),
       pg_catalog.pg_last_wal_replay_lsn() - '0/0'
  FROM pg_catalog.pg_control_system() AS s, pg_catalog.pg_control_checkpoint() AS c, pg_catalog.pg_database AS d
 WHERE d.datname = pg_catalog.current_database() AND pg_catalog.pg_is_in_recovery();
