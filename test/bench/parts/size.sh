# The resources that a gateway takes: memory, lines of code, and its build. Sourced, not run.
# shellcheck shell=bash disable=SC2154

measure_memory() {
    local gateway
    # shellcheck disable=SC2034 # that figures.sh reads
    round=1
    printf 'Keeping %d connections idle ...\n' "$idle"
    for gateway in $(in_turn); do
        start_gateway fresh "${programs[$gateway]}"
        take "memory_$gateway" "$("$here/idle_memory" "${urls[fresh]}" "${pids[fresh]}" "$idle")"
        stop "${pids[fresh]}" TERM KILL
    done
    aim '≤ 60' memory_% 1 "MB of the gateway with $idle idle connections that were answered once"
}

measure_lines() {
    local gateway
    for gateway in "${!programs[@]}"; do
        take "lines_$gateway" "$(cat "${trees[$gateway]}"/gateway/*.{cpp,hpp} | wc -l)"
    done
    aim '≤ 4300' lines_% 1 "lines of gateway/*.cpp and *.hpp"
}

measure_build() {
    local gateway
    rm -rf "$build/bench/gateway"-*
    take_build new "$build/bench/gateway-new"
    ! has_old || take_build old "${trees[old]}/build/gateway"
    aim_to_old '< 1' compiler_% "largest process of a build of the gateway to before"
    aim_to_old '< 1' build_% "processor time of that build to before"
    amount MB compiler_% "largest process of a build of the gateway"
    amount s build_% "processor time of that build"
}

# take_build GATEWAY DIRECTORY: where test/bench/build_gateway built it, or else it is built elsewhere.
take_build() {
    local directory=$2 megabytes time
    if [[ ! -e $directory/cost ]]; then
        directory=$build/bench/gateway-$1
        printf 'Building the %s gateway ...\n' "$1"
        setpriv --pdeathsig TERM "$here/build_gateway" "${trees[$1]}" "$directory"
    fi
    read -r megabytes time <"$directory/cost"
    take "compiler_$1" "$megabytes"
    take "build_$1" "$time"
}
