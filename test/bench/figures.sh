# What was measured: figures by name, one a round, and the two tables that are made of
# their medians.  A % in a name stands for the gateway, new or old.  Sourced, not run.
# shellcheck shell=bash disable=SC2154
declare -A figures
taken=0
aims=()
amounts=()

is_number() {
    [[ $1 =~ ^[0-9]+(\.[0-9]+)?$ ]]
}

# take NAME FIGURE
take() {
    is_number "$2" || fail "$1 came out as '$2', which is no number"
    figures[$1]+=$2$'\n'
    taken=$((taken + 1))
}

last() {
    tail -n 1 <<<"${figures[$1]%$'\n'}"
}

# median NAME: a number is its own.
median() {
    if is_number "$1"; then
        printf '%s\n' "$1"
    else
        sort -g <<<"${figures[$1]%$'\n'}" | awk '{ value[NR] = $1 } END { print value[int((NR + 1) / 2)] }'
    fi
}

# ratio NAME NAME
ratio() {
    awk -v a="$(median "$1")" -v b="$(median "$2")" '
        BEGIN { if (b > 0) printf(a / b < 100 ? "%.2f" : "%.0f", a / b) }'
}

has_old() {
    [[ ${programs[old]:-} ]]
}

# of GATEWAY NAME NAME: their ratio for that gateway; nothing if none of them is a gateway's.
of() {
    local gateway=$1 names=${*:2}
    [[ $gateway == new || $names == *%* ]] || return 0
    # shellcheck disable=SC2086 # two names
    ratio ${names//%/$gateway}
}

# padded WIDTH TEXT: printf alone may count bytes.
padded() {
    printf '%s%*s' "$2" $(($1 - ${#2})) ''
}

# aim AIM NAME NAME TEXT: a row of the first table, with the ratio of two figures, or with one figure itself if the
# other is 1.
aim() {
    local new old=
    new=$(of new "$2" "$3")
    is_number "$new" || fail "the ratio of $2 and $3 came out as '$new', which is no number"
    ! has_old || old=$(of old "$2" "$3")
    aims+=("$(printf '%7s  %s %7s  %s' "$new" "$(padded 6 "$1")" "$old" "$4")")
}

# aim_to_old AIM NAME TEXT: likewise, of the new gateway's figure to the old one's.
aim_to_old() {
    ! has_old || aim "$1" "${2//%/new}" "${2//%/old}" "$3"
}

# amount UNIT NAME TEXT: a row of the second table.
amount() {
    local new old=
    new=$(of new "$2" 1)
    is_number "$new" || fail "the median of $2 came out as '$new', which is no number"
    ! has_old || old=$(of old "$2" 1)
    amounts+=("$(printf '%7s %7s  %s %s' "$new" "$old" "$(padded 3 "$1")" "$3")")
}

print_tables() {
    printf '\n%7s  %-6s %7s\n' now aim before
    printf '%s\n' "${aims[@]}"
    printf '\n%7s %7s\n' now before
    printf '%s\n' "${amounts[@]}"
}
