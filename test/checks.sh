# What the trials of packages and images check with. Sourced, not run.
# shellcheck shell=bash

passed=0
failed=0
output=$(mktemp)

# check LABEL COMMAND...
check() {
    local label=$1
    shift
    if "$@" >"$output" 2>&1 </dev/null; then
        passed=$((passed + 1))
        printf 'ok      %s\n' "$label"
    else
        failed=$((failed + 1))
        printf 'not ok  %s\n' "$label"
        tail -n 10 "$output" | sed "s/^/        /"
    fi
}

not() { ! "$@"; }
equal() { printf '%s\n' "$@" && [[ $1 == "$2" ]]; }
matches() { printf '%s\n' "$@" && [[ $1 == *"$2"* ]]; }

# Waits at most 30 seconds.
eventually() {
    for _ in {1..60}; do
        "$@" && return
        sleep 0.5
    done
    return 1
}

report() {
    rm -f "$output"
    printf '%d passed, %d failed\n' "$passed" "$failed"
    ((failed == 0))
}
