# Gateways and what is sent to them.  Sourced, not run.
# shellcheck shell=bash disable=SC2154
declare -A urls pids

# Longer than anything takes that works.
patience=30
whole_seconds=$(awk -v seconds="$seconds" 'BEGIN { whole = int(seconds); print whole + (whole < seconds) }')

query() {
    PGOPTIONS="-c lock_timeout=${patience}s" psql -XqAt -v ON_ERROR_STOP=1 "$@"
}

# start_gateway NAME PROGRAM OPTION...: with its default settings but for these; sets urls[NAME] and pids[NAME].
start_gateway() {
    local name=$1 log=$scratch/gateway-$1 end=$((SECONDS + patience))
    : >"$log"
    DATABASE_URL="postgresql://org_gateway@/bench?host=$PGHOST" PG_ORG_HOST=127.0.0.1 PG_ORG_PORT=0 PG_ORG_ADMIN_PORT=0 \
        setpriv --pdeathsig TERM "${@:2}" >>"$log" 2>&1 &
    pids[$name]=$!
    while ((SECONDS < end)); do
        urls[$name]=$(sed -nE 's#.*listening on (http://127\.0\.0\.1:[0-9]+).*#\1#p' "$log")
        [[ ! ${urls[$name]} ]] || ! is_ready "${urls[$name]}" || return 0
        kill -0 "${pids[$name]}" 2>/dev/null || fail "the $name gateway ended at once: $(tail -n 1 "$log")"
        sleep 0.1
    done
    [[ ${urls[$name]} ]] || fail "the $name gateway did not log its address in $patience s: $(tail -n 1 "$log")"
    fail "the $name gateway at ${urls[$name]} was not ready in $patience s: $(tail -n 1 "$log")"
}

is_ready() {
    curl -sf -o /dev/null --noproxy '*' --max-time 5 "$1/health/readiness"
}

# Each gateway in turn, and each the first as often as the other.
in_turn() {
    local both=(new)
    ! has_old || both=(new old)
    ((round % 2)) || both=("${both[1]:-}" "${both[0]}")
    printf '%s\n' "${both[@]}" | grep .
}

# bounded COMMAND...: which takes its seconds; one that hangs is ended.
bounded() {
    timeout --foreground --kill-after=1 $((whole_seconds + 2 * patience)) "$@"
}

# sql SCRIPT: how many a second.  pgbench knows whole seconds only, and its clients may need a part of one to connect.
sql() {
    local length=(-T "$seconds")
    [[ $seconds != *.* ]] || length=(-t 10)
    bounded pgbench -n -M prepared -c "${clients:-8}" -j 2 "${length[@]}" \
        -D organizations="$organizations" -D end_users="$end_users" -f "$here/$1.pgbench" >"$scratch/pgbench" 2>&1 ||
        fail "pgbench failed with $1: $(tail -n 3 "$scratch/pgbench")"
    sed -n 's/^tps = \([0-9.]*\).*/\1/p' "$scratch/pgbench"
}

# http GATEWAY CONNECTIONS SCRIPT [ARGUMENT]: leaves a report, of which the next three tell.  wrk knows whole seconds
# only, but ends early on SIGINT; that must not come before it is able to.
http() {
    local threads=2
    (($2 >= threads)) || threads=$2
    : >"$scratch/gateway-$1"
    bounded timeout --foreground --preserve-status --signal=INT "$seconds" env --ignore-signal=INT \
        wrk -t "$threads" -c "$2" -d "$whole_seconds" --timeout "$patience" --latency \
        -s "$here/$3.lua" "${urls[$1]}" "${@:4}" >"$scratch/wrk" 2>&1 ||
        fail "wrk failed with $3 and $2 connections: $(tail -n 3 "$scratch/wrk")"
    ! grep -E 'Non-2xx|Socket errors' "$scratch/wrk" >&2 || fail "wrk got errors with $3 and $2 connections: see above"
    (($(http_requests))) || fail "wrk got no reply with $3 and $2 connections"
}

http_rate() {
    sed -n 's/^Requests\/sec: *//p' "$scratch/wrk"
}

http_requests() {
    sed -n 's/^ *\([0-9]*\) requests in .*/\1/p' "$scratch/wrk"
}

# http_percentile PERCENT: in ms.
http_percentile() {
    awk -v percent="$1%" '
        $1 == percent { split("us 0.001 ms 1 s 1000 m 60000", words)
                        for (i = 1; i in words; i += 2) if ($2 ~ "[0-9]" words[i] "$") print $2 * words[i + 1] }' "$scratch/wrk"
}

# steady GATEWAY REQUESTS_A_SECOND: as users send them, who do not wait for each other's replies.  An h2load
# connection has one request under way, and sends the next one late if that is late, so there are many of them, but
# only so many that each sends some; they start one after the other, or else all would send at once, again and again.
# Prints how many were sent a second, the median and the two percentiles in ms; of the time after all have started.
steady() {
    local connections start=0.5 each count
    read -r connections each count < <(awk -v rate="$2" -v seconds="$seconds" -v start="$start" '
        BEGIN { n = int(rate * seconds / 4); n = n < 1 ? 1 : n > 256 ? 256 : n
                print n, rate / n, n * int(rate / n * (seconds + start) + 1) }')
    : >"$scratch/gateway-$1"
    rm -f "$scratch/times" # h2load would go on in it
    bounded h2load --h1 -c "$connections" -r 1 --rate-period=1ms --rps="$each" -n "$count" \
        -H 'Authorization: Bearer sk-bench' -B "${urls[$1]}" -i "$scratch/paths" --log-file="$scratch/times" \
        >"$scratch/h2load" 2>&1 || fail "h2load failed: $(tail -n 3 "$scratch/h2load")"
    ! awk '$2 != 200' "$scratch/times" | grep -m 3 . >&2 || fail "h2load got errors: see above"
    sort -n "$scratch/times" |
        awk -v start="$start" -v seconds="$seconds" '
            NR == 1 { first = $1 + start * 1e6 } $1 >= first && $1 < first + seconds * 1e6 { print $3 / 1000 }' |
        sort -g |
        awk -v seconds="$seconds" '
            function percentile(percent,  rank) {
                rank = NR * percent / 100
                return value[int(rank) + (rank > int(rank))]
            }
            { value[NR] = $1 }
            END { print NR / seconds, percentile(50), percentile(99), percentile(99.9) }'
}

# processor_time GATEWAY: in ms, of all its threads, also those that have ended.
processor_time() {
    awk -v ticks="$(getconf CLK_TCK)" '{ print ($14 + $15) * 1000 / ticks }' "/proc/${pids[$1]}/stat"
}

# switches GATEWAY: how often each of its threads has gone to sleep.
switches() {
    grep -H '^voluntary' "/proc/${pids[$1]}/task"/*/status 2>/dev/null || true # a thread may end meanwhile
}

# more_switches BEFORE AFTER: leaves out what the threads did that have ended.
more_switches() {
    awk 'NR == FNR { before[$1] = $2; next } { sum += $2 - before[$1] } END { print sum + 0 }' "$1" "$2"
}
