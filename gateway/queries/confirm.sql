-- Writes something that the synchronous standbys must get, if there are any.
SELECT pg_catalog.pg_logical_emit_message(true, 'pg_org', '')
 WHERE pg_catalog.current_setting('synchronous_standby_names') <> '';
