-- :calls calls of one end user, at the time in :now.
\set ON_ERROR_STOP on
SET pg_org.now = :'now';
\o /dev/null
SELECT 'SELECT usage_reserve(''sk-sentences-0'', ''gpt-4o'', 0.01, 100, end_user => ''user-0'')'
  FROM generate_series(1, :calls)
\gexec
