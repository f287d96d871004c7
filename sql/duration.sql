-- Durations: when the periods of a budget end, counted from a reset or by the calendar of a time zone.
\getenv checkout PG_ABS_SRCDIR
\set helpers :checkout /test/helpers.sql
\i :helpers
SELECT key_generate(key => 'sk-key', max_budget => 5) \g /dev/null

-- Gives the end of the period that contains a point in time.
CREATE FUNCTION test.period_end(duration text, at timestamptz, anchor timestamptz DEFAULT NULL) RETURNS timestamptz
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE org.api_key SET budget_duration = duration, budget_reset_at = anchor;
    PERFORM set_config('pg_org.now', at::text, false);
    RETURN (usage_limits('sk-key') -> 'limits' -> 0 ->> 'resets_at')::timestamptz;
END $$;

-- Counted from a reset --------------------------------------------------------
SET timezone = 'UTC';
SELECT duration, at, period_end(duration, at, '2026-01-31 12:00')
  FROM (VALUES (1, '{1d, 1w, 1mo, 2mo}'::text[], '{2025-12-31 12:00, 2026-01-31 11:59:59.999999, 2026-01-31 12:00,
                2026-02-28 11:59:59.999999, 2026-02-28 12:00, 2026-03-31 11:59:59.999999,
                2028-02-29 12:00}'::timestamptz[]),
               (2, '{90s, 1h}', '{2026-01-31 12:00, 2026-01-31 12:01:29, 2026-01-31 12:01:30, 2099-12-31 23:59:59}'))
       AS t (place, durations, times), unnest(durations) AS duration, unnest(times) AS at
 ORDER BY place, duration, at;

-- Counted by the calendar -----------------------------------------------------
-- A calendar period is a day, a week from Monday or a month, and nothing else.
SELECT duration, attempt(format('budget_new(budget_duration => %L)', duration)) AS budget,
       attempt(format('key_generate(max_budget => 1, budget_duration => %L)', duration)) AS key,
       left(attempt(format('key_generate(duration => %L)', duration)), 5) AS expiry
  FROM unnest('{1d@UTC, 1w@Europe/Berlin, 1mo@America/Argentina/Buenos_Aires, 1d@europe/berlin, 1d@, 1d@Nowhere,
                1d@Europe, 1d@../etc/passwd, 2d@UTC, 3mo@UTC, 24h@UTC, 60m@UTC, 1s@UTC, 0d@UTC, @UTC, d@UTC, "1d @UTC",
                "1d@ UTC", 1d@UTC@UTC}'::text[]) AS duration;
-- The first period ends with the current calendar period.
RESET pg_org.now;
SELECT (budget ->> 'budget_reset_at')::timestamptz = date_trunc('month', now()) + interval '1 month' AS its_end
  FROM budget_new(budget_duration => '1mo@UTC') AS budget;

SELECT zone, at, period_end('1d@' || zone, at) AS day, period_end('1w@' || zone, at) AS week,
       period_end('1mo@' || zone, at) AS month
  FROM (VALUES ('UTC', '2023-12-31 23:59:59.999999'), ('UTC', '2024-01-01 00:00'), ('UTC', '2024-02-29 12:00'),
               ('Europe/Berlin', '2023-12-31 22:59:59.999999'), ('Europe/Berlin', '2023-12-31 23:00'),
               ('Asia/Kathmandu', '2024-02-29 18:14:59.999999'), ('Asia/Kathmandu', '2024-02-29 18:15'),
               ('Pacific/Kiritimati', '2024-06-30 09:59'), ('Pacific/Kiritimati', '2024-06-30 10:00'),
               ('Pacific/Apia', '2011-12-30 09:59'), ('Pacific/Apia', '2011-12-30 10:00')) AS t (zone, moment),
       CAST(moment AS timestamptz) AS at;

-- A day on which the clocks change does not have 24 hours.
SELECT zone, upper - lower AS length, lower, upper
  FROM (VALUES ('Europe/Berlin', '2024-03-31 12:00'), ('Europe/Berlin', '2024-10-27 12:00'),
               ('Australia/Lord_Howe', '2024-04-07 00:00'), ('Africa/Cairo', '2023-04-28 12:00'),
               ('America/Santiago', '2023-09-03 12:00'), ('America/Havana', '2023-11-05 12:00'),
               ('Atlantic/Azores', '2023-10-29 12:00')) AS t (zone, noon),
       period_end('1d@' || zone, noon::timestamptz - interval '1 day') AS lower,
       period_end('1d@' || zone, noon::timestamptz) AS upper;
-- Each moment is in exactly one period, however the clocks change.
SELECT zone, changed, unit, at, ends
  FROM (VALUES ('Europe/Berlin', '2024-03-31 01:00'), ('Europe/Berlin', '2024-10-27 01:00'),
               ('Australia/Lord_Howe', '2024-04-06 15:00'), ('Africa/Cairo', '2023-04-27 22:00'),
               ('Africa/Cairo', '2023-10-26 21:00'), ('America/Santiago', '2023-04-02 03:00'),
               ('America/Santiago', '2023-09-03 04:00'), ('America/Havana', '2023-03-12 05:00'),
               ('America/Havana', '2023-11-05 05:00'), ('Atlantic/Azores', '2023-10-29 01:00'),
               ('Asia/Beirut', '2022-10-29 21:00'), ('America/Nuuk', '2024-03-31 01:00'),
               ('Pacific/Apia', '2011-12-30 10:00')) AS t (zone, changed),
       unnest('{1d, 1w, 1mo}'::text[]) AS unit,
       generate_series(changed::timestamptz - interval '2 hours', changed::timestamptz + interval '2 hours', '30 min')
       AS at,
       period_end(unit || '@' || zone, at) AS ends
 WHERE ends <= at OR period_end(unit || '@' || zone, ends - interval '1 us') <> ends
       OR period_end(unit || '@' || zone, ends) <= ends;

-- When the clocks go back to midnight, the repeated hour is in the new day both times.
UPDATE org.api_key SET created_at = '2023-01-01', budget_duration = '1d@America/Havana', budget_reset_at = NULL;
SET pg_org.now = '2023-11-05 03:59:59+00';
SELECT usage_record('sk-key', 'm', 5) ->> 'settled_at' AS the_day_before;
SET pg_org.now = '2023-11-05 04:30:00+00';
SELECT attempt($$usage_reserve('sk-key', 'm', 6)$$);
SELECT usage_record('sk-key', 'm', 3) ->> 'settled_at' AS first_time;
SET pg_org.now = '2023-11-05 05:30:00+00';
SELECT attempt($$usage_reserve('sk-key', 'm', 3)$$);
SELECT usage_record('sk-key', 'm', 2) ->> 'settled_at' AS second_time;
SELECT "limit" -> 'spent' AS spent, "limit" -> 'resets_at' AS resets_at
  FROM json_array_elements(usage_limits('sk-key') -> 'limits') AS "limit";
SELECT usage_verify();

RESET pg_org.now;
RESET timezone;
DROP FUNCTION test.period_end;
CALL clear();
