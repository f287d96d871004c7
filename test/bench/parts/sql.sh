# (a) and (c): the functions in SQL.  Sourced, not run.
# shellcheck shell=bash disable=SC2154

# The two must do the same work to be compared.
check_replies_agree() {
    [[ $(query -c "SELECT count(*) FROM generate_series(1, $organizations, 97) AS n
        WHERE org_info(n::text, 'sk-bench')::jsonb <> org_info_plpgsql(n::text, 'sk-bench')::jsonb") == 0 ]] ||
        fail "org_info and org_info_plpgsql answer differently: mend test/bench/org_info_plpgsql.sql"
}

measure_sql() {
    check_replies_agree
    in_rounds "Reading" take_sql org_info org_info_plpgsql
    in_rounds "Writing" take_sql org_member_add org_new_delete
    aim '≥ 1.50' org_info org_info_plpgsql "(a) org_info to the same in PL/pgSQL with json_agg"
    amount /s org_info "org_info by 8 pgbench clients"
    amount /s org_info_plpgsql "the same in PL/pgSQL"
    amount /s org_member_add "(c) org_member_add of a new user"
    amount /s org_new_delete "(c) org_new and org_delete of it"
}

take_sql() {
    local script
    for script; do
        take "$script" "$(sql "$script")"
    done
}
