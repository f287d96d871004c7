# (h): a page of a long list. Sourced, not run.
# shellcheck shell=bash disable=SC2154

measure_lists() {
    local list
    fill_lists few 1000
    fill_lists many "$listed"
    in_rounds "Listing" take_pages
    for list in key_list user_list; do
        aim '≥ 0.50' "${list}_many" "${list}_few" "(h) $list, 100 of $listed with their total, to the same of 1,000"
        aim '≤ 20' "${list}_ms" 1 "(h) ms of the former, by one client"
    done
}

# fill_lists DATABASE COUNT
fill_lists() {
    printf 'Filling lists with %d users and keys ...\n' "$2"
    PGUSER=postgres query -c "CREATE DATABASE $1"
    PGUSER=postgres PGDATABASE=$1 query <"$checkout/tools/setup.sql"
    PGDATABASE=$1 query -v listed="$2" -f "$here/fill_lists.sql"
}

take_pages() {
    local list size
    for list in key_list user_list; do
        for size in few many; do
            take "${list}_$size" "$(PGDATABASE=$size clients=1 sql "$list")"
        done
        take "${list}_ms" "$(awk "BEGIN { print 1000 / $(last "${list}_many") }")"
    done
}
