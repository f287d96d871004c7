# (g): calls, settled by reservation_id, beside a full ledger and beside an empty one, in turn; reports from the full one,
# and calls while a partition of it is archived. It is last, as it fills the ledger. Sourced, not run.
# shellcheck shell=bash disable=SC2154

measure_ledger() {
    printf 'Filling the ledger ...\n'
    make_seeded_database bench_empty
    query -v calls="$ledger" -f "$here/fill_ledger.sql"
    take ledger_bytes "$(query -c "SELECT sum(pg_total_relation_size(format('org.%I', name)::regclass)) / $ledger
                                     FROM org.partition WHERE of_table = 'org.usage'")"
    PGUSER=postgres query -c CHECKPOINT
    begin_all_calls
    in_rounds "Calls beside a full and an empty ledger" let_each_go_on
    take_all_calls
    in_rounds "Daily activity" take_daily_activity
    measure_archiving

    aim '≥ 0.95' full_ordered empty_ordered "(g) reserve and settle by 64 in 8 sessions, by reservation_id, time-ordered request_ids, $ledger calls in the ledger to none"
    aim '≥ 0.90' full_random empty_random "(g) the same with random request_ids"
    aim '≤ 1.20' daily_small daily_large "(g) time of a month's daily activity of one organization with most of the calls to one with few"
    aim '≥ 0.80' archiving_calls quiet_calls "(g) reserve and settle by 64 while a tenth of the ledger is archived to before"
    amount /s empty_random "(g) calls reserved and settled by 64, with random request_ids"
    amount /s full_random "the same with $ledger calls in the ledger"
    amount /s daily_large "daily activities of a month a second"
    amount ms quiet_longest "longest of single requests beside batches of 64"
    amount ms archiving_longest "the same while org_maintain() archives a tenth of the ledger"
    amount ms between_longest "the same between its calls, in four times as much time: what disk and machine make wait"
    amount s archiving_seconds "for archiving it"
    amount bytes ledger_bytes "of a call in the ledger, with its indexes"
}

# Sessions that go on through all rounds, and rest while others are measured: they have been running for a while, as those
# of a gateway have. A new one maps each page of the shared buffers that it reads for the first time, and the first
# change of a page after a checkpoint writes the whole page into the WAL.
begin_all_calls() {
    local beside
    query -c "TRUNCATE org.reservation, org.usage_counter"
    printf 'Warming up sessions ...\n'
    for beside in empty_ordered full_ordered empty_random full_random; do
        PGDATABASE=$(ledger_database "$beside") begin_pgbench "$beside" -c 8 -j 2 -f "$here/ledger_${beside#*_}.pgbench"
        sleep "$(awk "BEGIN { print 1 + $ledger / 1.5e6 }")"
        kill -STOP "${pids[$beside]}"
    done
}

# ledger_database BESIDE: the one that has no calls yet, or the one with a full ledger.
ledger_database() {
    [[ $1 == empty_* ]] && echo bench_empty || echo "$PGDATABASE"
}

# When each was measured; pgbench's logs are whole only at the end.
declare -a windows=()

let_each_go_on() {
    local beside from
    for beside in empty_ordered full_ordered empty_random full_random; do
        kill -CONT "${pids[$beside]}"
        from=$EPOCHREALTIME
        sleep "$seconds"
        windows+=("$beside $from $EPOCHREALTIME")
        kill -STOP "${pids[$beside]}"
    done
}

take_all_calls() {
    local beside moment window
    for beside in empty_ordered full_ordered empty_random full_random; do
        kill -CONT "${pids[$beside]}"
        end_pgbench "$beside"
    done
    for moment in "${windows[@]}"; do
        read -ra window <<<"$moment"
        take "${window[0]}" "$(calls_by_64 "${window[@]}")"
    done
}

take_daily_activity() {
    take daily_large "$(clients=1 sql daily_activity_hot)"
    take daily_small "$(clients=1 sql daily_activity_even)"
}

# Batches by two clients, and single requests by one whose longest is told; in the same run before and during archiving,
# and while no call of org_maintain() is at work, which is to tell what waits for archiving from what waits for the disk.
measure_archiving() {
    local quiet maintained ended part_began end
    PGUSER=postgres query -c CHECKPOINT
    begin_calls
    sleep "$seconds" # until they are warm
    quiet=$EPOCHREALTIME
    sleep "$seconds"
    sleep "$seconds"
    maintained=$EPOCHREALTIME
    query -o /dev/null -c "SELECT org_retention_update(ledger_days => 35)"
    end=$((SECONDS + 1800))
    until part_began=$EPOCHREALTIME && [[ $(query -c "SELECT org_maintain() ->> 'is_complete'") == true ]]; do
        ((SECONDS < end)) || fail "a tenth of the ledger was not archived in half an hour"
        printf '%s %s\n' "$part_began" "$EPOCHREALTIME" >>"$scratch/steps"
        sleep "$(awk "BEGIN { print 4 * ($EPOCHREALTIME - $part_began) }")" # as the gateway does
    done
    ended=$EPOCHREALTIME
    end_pgbench batches
    end_pgbench single
    printf '%s %s\n' "$part_began" "$ended" >>"$scratch/steps"
    take quiet_calls "$(calls_by_64 batches "$quiet" "$maintained")"
    take quiet_longest "$(longest_single "$quiet" "$maintained" /dev/null)"
    take archiving_calls "$(calls_by_64 batches "$maintained" "$ended")"
    take archiving_longest "$(longest_single "$maintained" "$ended" "$scratch/steps" beside)"
    take between_longest "$(longest_single "$maintained" "$ended" "$scratch/steps")"
    take archiving_seconds "$(awk "BEGIN { print $ended - $maintained }")"
    [[ $(query -c "SELECT count(*) FROM org.usage_archive WHERE archived_at IS NOT NULL") == 1 ]] || fail "nothing was archived"
}

begin_calls() {
    begin_pgbench batches -c 2 -f "$here/ledger_random.pgbench"
    begin_pgbench single -c 1 -f "$here/usage_reserve.pgbench"
}

# begin_pgbench NAME OPTION...: until it is told to end; logs each transaction.
begin_pgbench() {
    setpriv --pdeathsig TERM pgbench -n -M prepared -T 3600 --log --log-prefix="$scratch/log_$1" "${@:2}" >"$scratch/pgbench_$1" 2>&1 &
    pids[$1]=$!
}

# end_pgbench NAME: as if its time was over, so that its log is whole.
end_pgbench() {
    stop "${pids[$1]}" ALRM KILL
}

# calls_by_64 NAME FROM TO: how many a second in batches, by the log of that pgbench.
calls_by_64() {
    cat "$scratch/log_$1".* | awk -v from="$2" -v to="$3" '
        $5 + $6 / 1e6 >= from && $5 + $6 / 1e6 < to { calls += 64 } END { print calls / (to - from) }'
}

# longest_single FROM TO STEPS [beside]: the longest single request in ms, of those that ended in that time and were under
# way beside none of the steps of a file, or beside one; each line has a step's begin and end.
longest_single() {
    cat "$scratch"/log_single* | awk -v from="$1" -v to="$2" -v file="$3" -v beside="${4:+1}" '
        BEGIN { for (steps = 0; (getline <file) > 0; steps++) { begins[steps] = $1; ends[steps] = $2 } }
        {
            end = $5 + $6 / 1e6
            if (end < from || end >= to || $3 <= longest) next
            found = ""
            for (i = 0; i < steps && !found; i++)
                if (begins[i] < end && ends[i] > end - $3 / 1e6) found = 1
            if (found == beside) longest = $3
        }
        END { print longest / 1000 }'
}
