# (b), and reading over HTTP beside the old gateway.  Sourced, not run.
# shellcheck shell=bash disable=SC2154
pool_size=10 # the default of --pool-size

measure_http() {
    local connections
    shuf -i "1-$organizations" | sed 's#^#/organization/info?organization_id=#' >"$scratch/paths"
    in_rounds "Reading over HTTP" read_over_http

    aim_to_old '≥ 1.40' get_%_1 "GET /organization/info by 1 connection to before"
    aim_to_old '≥ 1.15' get_%_16 "the same by 16 connections"
    aim_to_old '≥ 1.05' get_%_64 "by 64"
    aim_to_old '≥ 1.00' get_%_256 "by 256"
    aim '≥ 0.45' get_%_16 org_info_8 "(b) GET /organization/info by 16 connections to org_info by 8 pgbench clients"
    aim '≥ 0.60' get_%_16 org_info_pool "the same to org_info by $pool_size, as many as the pool has"
    aim '≥ 0.60' get_%_64 org_info_pool "the same by 64 connections"
    aim '≤ 2.50' switches_%_16 1 "voluntary context switches of the gateway a request, by 16 connections"
    aim_to_old '≤ 0.70' processor_%_16 "processor time of the gateway a request to before, by 16 connections"
    aim '≤ 10' p99_%_16 p50_%_16 "99th percentile of latency to the median, by 16 connections"
    aim '≤ 5' steady_p99_% steady_p50_% "the same of requests that come at half of the rate of 64 connections"
    aim '≤ 20' steady_p999_% steady_p50_% "likewise the 99.9th percentile"

    amount /s get_%_1 "GET /organization/info by 1 connection"
    for connections in 16 64 256; do
        amount /s "get_%_$connections" "the same by $connections connections"
    done
    amount /s org_info_8 "org_info by 8 pgbench clients, in these rounds"
    amount /s org_info_pool "the same by $pool_size"
    for connections in 16 64; do
        amount '' "switches_%_$connections" "voluntary context switches a request, by $connections connections"
        amount µs "processor_%_$connections" "processor time a request, by $connections connections"
    done
    amount ms p50_%_16 "median of latency by 16 connections"
    amount ms p99_%_16 "99th percentile"
    amount /s steady_rate_% "requests that came at half of the rate of 64 connections"
    amount ms steady_p50_% "median of their latency"
    amount ms steady_p99_% "99th percentile"
    amount ms steady_p999_% "99.9th percentile"
}

read_over_http() {
    local connections gateway
    take org_info_8 "$(clients=8 sql org_info)"
    take org_info_pool "$(clients=$pool_size sql org_info)"
    for connections in 1 16 64 256; do
        for gateway in $(in_turn); do
            get "$gateway" "$connections"
        done
    done
    for gateway in $(in_turn); do
        get_steadily "$gateway"
    done
}

# get GATEWAY CONNECTIONS: what the clients see of it, and what that takes of the gateway.
get() {
    local name=$1_$2 time_before requests
    time_before=$(processor_time "$1")
    switches "$1" >"$scratch/switches_before"
    http "$1" "$2" organization_info "$organizations"
    switches "$1" >"$scratch/switches_after"
    requests=$(http_requests)
    take "get_$name" "$(http_rate)"
    take "p50_$name" "$(http_percentile 50)"
    take "p99_$name" "$(http_percentile 99)"
    take "switches_$name" "$(a_request "$(more_switches "$scratch"/switches_{before,after})" "$requests")"
    take "processor_$name" "$(a_request "$(processor_time "$1") - $time_before" "$requests" 1000)"
}

# a_request SUM REQUESTS [FACTOR]
a_request() {
    awk "BEGIN { printf \"%.3f\", ($1) * ${3:-1} / $2 }"
}

get_steadily() {
    local rate p50 p99 p999
    read -r rate p50 p99 p999 <<<"$(steady "$1" "$(half "$(last "get_$1_64")")")"
    take "steady_rate_$1" "$rate"
    take "steady_p50_$1" "$p50"
    take "steady_p99_$1" "$p99"
    take "steady_p999_$1" "$p999"
}

half() {
    awk "BEGIN { print $1 / 2 }"
}
