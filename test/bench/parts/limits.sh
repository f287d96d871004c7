# (i): limits, beside the extension before they were sentences, and the rows that their counters take. Each extension
# has a server of its own. Sourced, not run.
# shellcheck shell=bash disable=SC2154
declare -A hosts servers
end_users=${BENCH_END_USERS:-10000}
later_calls=200 # each deletes some counters
uses=(one eight many settle)
declare -A use_names=(
    [one]="usage_reserve by 1 client"
    [eight]="usage_reserve by 8 clients"
    [many]="usage_reserve_many by 64"
    [settle]="usage_reserve and usage_settle by 8 clients"
)

measure_limits() {
    local use
    start_server now "$build/bench/stage"
    [[ ! ${BENCH_BEFORE:-} ]] || start_server before "$BENCH_BEFORE"
    prepare_sentences
    warm_up
    in_rounds "Reserving within limits" take_limits
    count_rows
    stop_servers

    for use in "${uses[@]}"; do
        aim_to_before '≥ 0.95' "hot_$use" "(i) ${use_names[$use]}, of one organization, to before"
    done
    for use in "${uses[@]}"; do
        aim_to_before '≥ 0.60' "sentences_$use" "(i) ${use_names[$use]}, with 6 limits for $end_users end users, to before"
    done
    aim '≤ 0.51' rows_later rows "(i) counters of end users a day after one of their two periods ended, to all"
    aim '≤ 0.01' rows_at_last rows "(i) the same a day after both ended"

    for use in "${uses[@]}"; do
        [[ ! ${hosts[before]:-} ]] || amount /s "before_hot_$use" "(i) ${use_names[$use]}, before"
        amount /s "now_hot_$use" "(i) ${use_names[$use]}"
        amount /s "now_sentences_$use" "the same with 6 limits for $end_users end users"
    done
    amount '' rows "counters of $end_users end users"
    amount '' rows_later "of these a day after one of their two periods ended, and after $later_calls calls"
    amount '' rows_at_last "the same a day after both ended"
}

# aim_to_before AIM FIGURE TEXT
aim_to_before() {
    [[ ! ${hosts[before]:-} ]] || aim "$1" "$2" 1 "$3"
}

# start_server NAME STAGE: sets hosts[NAME] and servers[NAME], and fills its database.
start_server() {
    local address=$scratch/server-$1 end=$((SECONDS + 2 * patience))
    printf 'Starting a server with the extension of %s ...\n' "$1"
    # shellcheck disable=SC2016 # the server's
    setpriv --pdeathsig TERM "$checkout/test/with-server" --extension "$2" --below /var/tmp \
        -c fsync=on -c shared_buffers=512MB -c max_wal_size=4GB \
        bash -c 'printf "%s\n" "$PGHOST" >"$0.new" && mv "$0.new" "$0" && exec sleep infinity' "$address" &
    servers[$1]=$!
    until [[ -e $address ]]; do
        kill -0 "${servers[$1]}" 2>/dev/null || fail "the server of $1 ended at once: see above"
        ((SECONDS < end)) || fail "the server of $1 did not start"
        sleep 0.1
    done
    hosts[$1]=$(<"$address")
    PGUSER=postgres on "$1" query -d postgres -c "CREATE ROLE org LOGIN"
    PGUSER=postgres on "$1" create_database bench
    PGUSER=postgres on "$1" query -f "$here/seed_usage.sql" -c "GRANT SELECT ON batch TO org"
}

stop_servers() {
    local name
    for name in "${!servers[@]}"; do
        stop "${servers[$name]}" TERM KILL
    done
}

# on SERVER COMMAND...
on() {
    PGHOST=${hosts[$1]} PGDATABASE=bench "${@:2}"
}

prepare_sentences() {
    printf 'Reserving for %d end users ...\n' "$end_users"
    PGUSER=postgres on now query -v end_users="$end_users" -f "$here/seed_limits.sql"
    use_each_end_user ''
    PGUSER=postgres on now query -c "INSERT INTO warm_counter TABLE org.usage_counter" \
        -c "GRANT SELECT ON warm_counter TO org"
}

# use_each_end_user TIME: at that time, or now.
use_each_end_user() {
    on now query -c "TRUNCATE org.reservation, org.usage, org.usage_counter"
    PGUSER=postgres on now query -v end_users="$end_users" -v now="$1" -f "$here/use_limits.sql"
    (($(rows_of_end_users) == 2 * end_users)) || fail "$(rows_of_end_users) counters of $end_users end users"
}

rows_of_end_users() {
    on now query -c "SELECT count(*) FROM org.usage_counter WHERE each = 'end_user'"
}

# What comes first takes longer than the rest.
warm_up() {
    local name
    for name in "${!hosts[@]}"; do
        use_limits "$name" hot one >"$scratch/warm_up"
    done
    use_limits now sentences one >"$scratch/warm_up"
}

take_limits() {
    local use name order=(before_hot now_hot now_sentences)
    ((round % 2)) || order=(now_sentences now_hot before_hot)
    for use in "${uses[@]}"; do
        for name in "${order[@]}"; do
            [[ ! ${hosts[${name%_*}]:-} ]] || take "${name}_$use" "$(use_limits "${name%_*}" "${name#*_}" "$use")"
        done
        [[ ${hosts[before]:-} ]] || continue
        take "hot_$use" "$(to_before "now_hot_$use")"
        take "sentences_$use" "$(to_before "now_sentences_$use")"
    done
}

# to_before FIGURE: in this round.
to_before() {
    ratio "$(last "$1")" "$(last "before_hot_${1##*_}")"
}

# use_limits SERVER ORGANIZATION USE: how many calls a second.
use_limits() {
    local scripts=usage
    on "$1" query -c "TRUNCATE org.reservation, org.usage, $(on "$1" counters)"
    if [[ $2 == sentences ]]; then
        scripts=limits
        on "$1" query -c "INSERT INTO org.usage_counter TABLE warm_counter" -c "ANALYZE org.usage_counter"
    fi
    case $3 in
        one) clients=1 on "$1" sql "${scripts}_reserve" ;;
        eight) clients=8 on "$1" sql "${scripts}_reserve" ;;
        many) on "$1" by_64 "${scripts}_reserve_many" ;;
        settle) clients=8 on "$1" sql "${scripts}_settle" ;;
    esac
}

# The table of counters, which had another name before.
counters() {
    query -c "SELECT coalesce(to_regclass('org.usage_counter'), to_regclass('org.usage_account'))"
}

# One of the periods ends soon after midnight, when a day passes before the next one; the other 30 days after the limit
# was set.
count_rows() {
    local calls later at_last
    printf 'Counting rows of counters ...\n'
    read -r calls later at_last < <(on now query -F ' ' -c "
        SELECT to_char(day + interval '2 days', 'YYYY-MM-DD\"T00:30:00Z\"'),
               to_char(day + interval '3 days', 'YYYY-MM-DD\"T01:00:01Z\"'),
               to_char(now() AT TIME ZONE 'UTC' + interval '31 days', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')
          FROM date_trunc('day', now() AT TIME ZONE 'UTC') AS day")
    use_each_end_user "$calls"
    take rows "$(rows_of_end_users)"
    call_later "$later"
    take rows_later "$(rows_of_end_users)"
    call_later "$at_last"
    take rows_at_last "$(rows_of_end_users)"
}

call_later() {
    PGUSER=postgres on now query -v calls="$later_calls" -v now="$1" -f "$here/use_limits_later.sql"
}
