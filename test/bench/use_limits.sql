-- A settled call of each of :end_users end users, at the time in :now.
\set ON_ERROR_STOP on
SET pg_org.now = :'now';
\o /dev/null
SELECT format('SELECT usage_settle_many((
                   SELECT json_agg(json_build_object(''request_id'', call ->> ''request_id'', ''cost'', 0.005,
                                                     ''prompt_tokens'', 10, ''completion_tokens'', 10))
                     FROM json_array_elements(usage_reserve_many(requests)) AS call))
                 FROM batch WHERE kind = ''sentences'' AND n = %s', n)
  FROM generate_series(0, (:end_users - 1) / 64) AS n
\gexec
