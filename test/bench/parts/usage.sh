# (d) to (f), reserving in SQL and over HTTP.
# Sourced, not run.
# shellcheck shell=bash disable=SC2154

measure_usage() {
    start_gateway unbatched "${programs[new]}" --no-batching
    in_rounds "Reserving" reserve
    stop "${pids[unbatched]}" TERM KILL

    aim '≥ 15' usage_many usage_one "(d) usage_reserve_many by 64 to usage_reserve by 16 clients, of one organization"
    aim '≥ 3.00' usage_http_new usage_http_unbatched "(e) POST /usage/reserve by 64 connections to the same with --no-batching"
    aim_to_old '≥ 1.10' usage_http_% "POST /usage/reserve by 64 connections to before"
    aim '≥ 0.70' usage_even usage_many "(f) usage_reserve_many of 1,000 organizations to one"
    aim '≥ 0.90' usage_http_even_% usage_http_% "(f) POST /usage/reserve likewise"

    amount /s usage_one "usage_reserve by 16 pgbench clients"
    amount /s usage_many "reservations by usage_reserve_many, of one organization"
    amount /s usage_even "the same of 1,000 organizations"
    amount /s usage_http_% "(e) POST /usage/reserve by 64 connections, aim 10,000"
    amount ms usage_p99_% "99th percentile of its latency"
    amount /s usage_http_unbatched "the same with --no-batching"
    amount /s usage_http_even_% "POST /usage/reserve of 1,000 organizations"
}

reserve() {
    local gateway
    take_reservations usage_one one_by_one
    take_reservations usage_many by_64 usage_reserve_many
    take_reservations usage_even by_64 usage_reserve_even
    take_reservations usage_http_unbatched post unbatched
    for gateway in $(in_turn); do
        take_reservations "usage_http_$gateway" post "$gateway"
        take "usage_p99_$gateway" "$(http_percentile 99)"
        check_nothing_overspent
        take_reservations "usage_http_even_$gateway" post "$gateway" even
    done
}

# take_reservations NAME COMMAND...: what the command prints, from no reservation on.
take_reservations() {
    query -c "TRUNCATE org.reservation, org.usage_counter"
    take "$1" "$("${@:2}")"
}

# Each of these prints how many reservations a second.
one_by_one() { clients=16 sql usage_reserve; }
by_64() { awk "BEGIN { print 64 * $(clients=2 sql "$1") }"; }
post() { http "$1" 64 usage_reserve "${@:2}" && http_rate; }

# Reservations must stay within every limit, and every counter must be the sum of its ledger.
check_nothing_overspent() {
    [[ $(query -c "SELECT usage_verify('hot')") == '[]' ]] || fail "usage_verify() found differences"
    [[ $(query -c "SELECT count(*) FROM org.organization o JOIN org.budget b USING (budget_id)
         WHERE spend + (SELECT coalesce(sum(max_cost), 0) FROM org.reservation r
                         WHERE r.organization_id = o.organization_id) > max_budget") == 0 ]] || fail "overspent"
}
