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
-- A calendar period is a day, a week from Monday, a month, a quarter or a year, and nothing else.
SELECT duration, attempt(format('budget_new(budget_duration => %L)', duration)) AS budget,
       attempt(format('key_generate(max_budget => 1, budget_duration => %L)', duration)) AS key,
       left(attempt(format('key_generate(duration => %L)', duration)), 5) AS expiry
  FROM unnest('{1d@UTC, 1w@Europe/Berlin, 1mo@America/Argentina/Buenos_Aires, 1d@europe/berlin, 1d@, 1d@Nowhere,
                1d@Europe, 1d@../etc/passwd, 2d@UTC, 3mo@UTC, 24h@UTC, 60m@UTC, 1s@UTC, 0d@UTC, @UTC, d@UTC, "1d @UTC",
                "1d@ UTC", 1d@UTC@UTC, 1q@UTC, 1y@Asia/Kolkata, 1q, 1y, 2q@UTC, 2y@UTC}'::text[]) AS duration;
-- A time zone is a name of pg_timezone_names, as written there, or an offset of ISO 8601. POSIX texts, which have the
-- opposite sign, and files of the time zone database that are no places are refused.
SELECT zone, left(attempt(format('budget_new(budget_duration => %L)', '1d@' || zone)), 5) AS budget,
       left(attempt(format('key_generate(model_max_budget => %L)',
                           jsonb_build_object('m', jsonb_build_object('budget_limit', 1, 'time_period', '1d@' || zone)))
                   ), 5) AS model
  FROM unnest('{UTC, Etc/UTC, GMT, GMT0, GMT+0, Etc/GMT+5, EST5EDT, CST6CDT, America/Port-au-Prince,
                +02:00, -05:30, +02, -12, +15:59, -00:00,
                UTC+5, UTC-5, UTC5, GMT+5, EST5, EST5EDT4, EST5EDT\,M3.2.0\,M11.1.0, <X>3, <+02>-2, X3, Foo/Bar+5, :UTC,
                posixrules, Factory, localtime, posix/Europe/Berlin, right/Europe/Berlin, zone.tab, tzdata.zi,
                utc, Utc, EUROPE/BERLIN, Europe/Berlin/, ./Europe/Berlin, Z, BST, +2, +2:00, +0200, +02:0, +02:60,
                +16:00, +02:00:00, 02:00, ++2, +, -, +02:, +ab:cd}'::text[]) AS zone;
SELECT attempt($$budget_new(budget_duration => '1d@UTC+5')$$);
SELECT attempt(format('budget_new(budget_duration => %L)', '1d@' || repeat('x', 10000)));
-- All names are accepted, a hundred at a time.
SELECT refused
  FROM (SELECT attempt(format('key_generate(model_max_budget => %L)', jsonb_object_agg(name, jsonb_build_object('budget_limit', 1, 'time_period', '1d@' || name))))
          FROM (SELECT name, row_number() OVER () / 100 AS hundred FROM pg_timezone_names
                 WHERE name !~ '^(posix/|right/|(posixrules|localtime|Factory)$)') AS names
         GROUP BY hundred) AS attempts (refused)
 WHERE refused <> 'ok';

-- The first period ends with the current calendar period.
RESET pg_org.now;
SELECT (budget ->> 'budget_reset_at')::timestamptz = date_trunc('month', now()) + interval '1 month' AS its_end
  FROM budget_new(budget_duration => '1mo@UTC') AS budget;

SELECT zone, at, period_end('1d@' || zone, at) AS day, period_end('1w@' || zone, at) AS week,
       period_end('1mo@' || zone, at) AS month, period_end('1q@' || zone, at) AS quarter,
       period_end('1y@' || zone, at) AS year
  FROM (VALUES ('UTC', '2023-12-31 23:59:59.999999'), ('UTC', '2024-01-01 00:00'), ('UTC', '2024-02-29 12:00'),
               ('Europe/Berlin', '2023-12-31 22:59:59.999999'), ('Europe/Berlin', '2023-12-31 23:00'),
               ('Asia/Kathmandu', '2024-02-29 18:14:59.999999'), ('Asia/Kathmandu', '2024-02-29 18:15'),
               ('Pacific/Kiritimati', '2024-06-30 09:59'), ('Pacific/Kiritimati', '2024-06-30 10:00'),
               ('Pacific/Apia', '2011-12-30 09:59'), ('Pacific/Apia', '2011-12-30 10:00')) AS t (zone, moment),
       CAST(moment AS timestamptz) AS at;

-- Offsets are positive east of Greenwich.
SELECT zone, period_end('1d@' || zone, '2024-07-01 12:00') AS day, period_end('1y@' || zone, '2024-07-01 12:00') AS year
  FROM unnest('{+02:00, +02, -05:30, +05:45, -00:00, +15:59, -15:59, Etc/GMT+5}'::text[]) AS zone;
-- CET is the zone, if the database has it, not the abbreviation, which knows no summer.
SELECT name, ends FROM pg_timezone_names, period_end('1d@' || name, '2024-07-01 12:00') AS ends
 WHERE name IN ('CET', 'MET') AND ends <> '2024-07-01 22:00';
-- What is stored keeps its period, though it would not be accepted any more: POSIX texts, other cases, and, in UTC,
-- names that have left the time zone database.
SELECT zone, period_end('1d@' || zone, '2024-07-01 12:00') AS day,
       period_end('1mo@' || zone, '2024-07-01 12:00') AS month
  FROM unnest('{UTC+5, <X>3, EST5EDT4, europe/berlin, +2, Nowhere/Land, ../etc/passwd}'::text[]) AS zone;
UPDATE org.api_key
   SET budget_duration = NULL, max_budget = NULL,
       model_max_budget = '{"m": {"budget_limit": 1, "time_period": "1d@UTC+5"}}';
SET pg_org.now = '2024-07-01 12:00';
SELECT usage_limits('sk-key') -> 'limits' -> 0 ->> 'resets_at' AS of_a_model;
UPDATE org.api_key SET model_max_budget = '{}', max_budget = 5;

-- A day on which the clocks change does not have 24 hours.
SELECT zone, upper - lower AS length, lower, upper
  FROM (VALUES ('Europe/Berlin', '2024-03-31 12:00'), ('Europe/Berlin', '2024-10-27 12:00'),
               ('Australia/Lord_Howe', '2024-04-07 00:00'), ('Africa/Cairo', '2023-04-28 12:00'),
               ('America/Santiago', '2023-09-03 12:00'), ('America/Havana', '2023-11-05 12:00'),
               ('Atlantic/Azores', '2023-10-29 12:00')) AS t (zone, noon),
       period_end('1d@' || zone, noon::timestamptz - interval '1 day') AS lower,
       period_end('1d@' || zone, noon::timestamptz) AS upper;
-- Each moment is in exactly one period, however the clocks change.
-- Each change in a transaction of its own, since a key that one transaction updates often gets slow.
CREATE PROCEDURE test.require_one_period(zone text, changed timestamptz) LANGUAGE plpgsql AS $$
DECLARE
    wrong text;
BEGIN
    SELECT string_agg(format('%s from %s to %s', unit, at, ends), ', ') INTO wrong
      FROM unnest('{1d, 1w, 1mo}'::text[]) AS unit,
           generate_series(changed - interval '2 hours', changed + interval '2 hours', '30 min') AS at,
           period_end(unit || '@' || zone, at) AS ends
     WHERE ends <= at OR period_end(unit || '@' || zone, ends - interval '1 us') <> ends
           OR period_end(unit || '@' || zone, ends) <= ends;
    IF wrong IS NOT NULL THEN
        RAISE '%: %', zone, wrong;
    END IF;
END $$;
CALL require_one_period('Europe/Berlin', '2024-03-31 01:00');
CALL require_one_period('Europe/Berlin', '2024-10-27 01:00');
CALL require_one_period('Australia/Lord_Howe', '2024-04-06 15:00');
CALL require_one_period('Africa/Cairo', '2023-04-27 22:00');
CALL require_one_period('Africa/Cairo', '2023-10-26 21:00');
CALL require_one_period('America/Santiago', '2023-04-02 03:00');
CALL require_one_period('America/Santiago', '2023-09-03 04:00');
CALL require_one_period('America/Havana', '2023-03-12 05:00');
CALL require_one_period('America/Havana', '2023-11-05 05:00');
CALL require_one_period('Atlantic/Azores', '2023-10-29 01:00');
CALL require_one_period('Asia/Beirut', '2022-10-29 21:00');
CALL require_one_period('America/Nuuk', '2024-03-31 01:00');
CALL require_one_period('Pacific/Apia', '2011-12-30 10:00');

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
DROP PROCEDURE test.require_one_period;
DROP FUNCTION test.period_end;
CALL clear();
