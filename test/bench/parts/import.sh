# (i): importing LiteLLM's database. Sourced, not run.
# shellcheck shell=bash disable=SC2154

measure_import() {
    local began
    PGUSER=postgres create_database bench_import
    PGUSER=postgres query -d postgres -c "CREATE DATABASE litellm" \
        -c "ALTER DATABASE bench_import SET log_min_duration_statement = 0"
    PGUSER=postgres PGDATABASE=litellm query -f "$checkout/test/migrate/litellm.sql" -v organizations="$((imported / 20))" \
        -v users="$((imported / 4))" -v keys="$imported" -f "$checkout/test/migrate/fixture.sql"
    printf 'Importing %d keys ...\n' "$imported"
    began=$EPOCHREALTIME
    PGUSER=postgres "$checkout/tools/pg_org" import-litellm --from dbname=litellm --to dbname=bench_import >/dev/null
    take import_seconds "$(awk "BEGIN { print $EPOCHREALTIME - $began }")"
    take import_keys "$(awk "BEGIN { print 1000 * $imported / $(milliseconds_of_keys) }")"
    amount s import_seconds "(i) for importing $imported keys, with as many owners and twice as many sums of days"
    amount /s import_keys "keys of it, in the statement that writes them"
}

# How long that took, by the server's log.
milliseconds_of_keys() {
    awk '/ duration: .* ms  statement: / { sub(/.* duration: /, ""); duration = $1 }
         /INSERT INTO org\.api_key / { print duration }' "$PGLOG"
}
