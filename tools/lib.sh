# Shared by the scripts: messages, acting as the right user of the system, and
# starting and stopping a server.  Sourced, not run.
# shellcheck shell=bash
set -euo pipefail
export LC_ALL=C.UTF-8
unset MAKEFLAGS MFLAGS MAKELEVEL

checkout=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=$checkout/build
export PG_CONFIG=${PG_CONFIG:-pg_config}

fail() {
    printf 'pg_org: %s\n' "$*" >&2
    exit 1
}

# install_packages_of DIRECTORY: those of npm that it names, by one process at a time.
install_packages_of() (
    cd "$checkout/$1"
    exec 9<package-lock.json
    flock 9
    [[ node_modules/.package-lock.json -nt package-lock.json ]] ||
        quietly "Installing the packages of $1" npm ci --ignore-scripts --no-audit --no-fund
)

# quietly LABEL COMMAND...: one line of progress; the output only if it fails.
quietly() {
    local label=$1 log
    log=$build/log/$(tr ' /' '-' <<<"$1").log
    shift
    printf '%s ...\n' "$label"
    mkdir -p "$build/log"
    "$@" </dev/null >"$log" 2>&1 && return
    tail -n 30 "$log" >&2
    fail "$label failed: see above, and $log for all of it"
}

as_root() {
    if ((EUID == 0)); then "$@"; else sudo "$@"; fi
}

# compiled_by DIRECTORY: what its compile_commands.json compiles, but for the tests: files of which most include some of
# ours.
compiled_by() {
    sed -nE 's/.*"file": *"([^"]*\.c[px][px])".*/\1/p' "$1/compile_commands.json" |
        grep -vE '/test/|/unit_test\.dir/|cmake_pch'
}

# Runs make in the checkout; it ends with the script.
make_here() {
    setpriv --pdeathsig TERM make -C "$checkout" -j"$(nproc)" "$@"
}

# stage_extension DIRECTORY: the built extension, for test/with-server --extension.
stage_extension() {
    rm -rf "$1"
    quietly "Staging the extension" make_here -C extension install "DESTDIR=$1"
}

# package_sources RELEASE: this machine's apt sources, for that release of Debian.
package_sources() {
    local ours
    ours=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
    # shellcheck disable=SC2016 # apt's, not the shell's
    apt-get indextargets --format 'deb $(REPO_URI) $(CODENAME) $(COMPONENT)' 'Created-By: Packages' 'Origin: Debian' |
        sed "s/ $ours/ $1/; / sid-/d"
}

# make_debian RELEASE DIRECTORY: a minimal one, with the package sources and the certificates that this machine trusts.
make_debian() {
    local mirror
    mirror=$(package_sources "$1" | awk -v release="$1" '$3 == release { print $2; exit }')
    quietly "Making a clean $1" debootstrap --variant=minbase "$1" "$2" "$mirror"
    package_sources "$1" >"$2/etc/apt/sources.list"
    # If this machine accepts an expired mirror, the new one does, too.
    apt-config dump Acquire::Check-Valid-Until >"$2/etc/apt/apt.conf.d/valid-until"
    install -D -m 644 /etc/ssl/certs/ca-certificates.crt "$2/usr/local/share/authorities.crt"
}

# copy_source DIRECTORY: the tree without build results and data.
copy_source() {
    mkdir -p "$1"
    tar -C "$checkout" --exclude-vcs --exclude=./build --exclude=./.data -c . | tar -C "$1" -x
}

# The repository's files of a kind, each ended by a zero byte; also in a copy without a repository.
cpp_files() {
    repository_files | grep -zE '\.[ch]pp$'
}

shell_files() {
    repository_files | xargs -r0 grep -lZE -m 1 '^#!/usr/bin/env bash|^# shellcheck shell=bash'
}

python_files() {
    repository_files | xargs -r0 grep -lZE -m 1 '^#!/usr/bin/python3'
    repository_files | grep -zE '\.py$'
}

repository_files() {
    if git -C "$checkout" rev-parse --git-dir >/dev/null 2>&1; then
        git -C "$checkout" ls-files -z --cached --others --exclude-standard | while IFS= read -rd '' file; do
            [[ ! -f $checkout/$file ]] || printf '%s\0' "$file"
        done
    else
        (cd "$checkout" && find . \( -name build -o -name node_modules -o -name .data \) -prune -o -type f -printf '%P\0')
    fi
}

bindir() {
    "$PG_CONFIG" --bindir
}

# Keeps the caller's PGHOST or PGOPTIONS from leading to another server than ours.
forget_libpq_settings() {
    local name
    for name in "${!PG@}"; do
        [[ $name == PG_* ]] || unset "$name"
    done
}

major_version() {
    "$PG_CONFIG" --version | sed 's/[^0-9]*\([0-9]*\).*/\1/'
}

# pgxs_tool PATH: a test driver that comes with the server's development files.
pgxs_tool() {
    printf '%s/../test/%s\n' "$(dirname "$("$PG_CONFIG" --pgxs)")" "$1"
}

# PostgreSQL refuses to run as root: then it runs as the user postgres.
choose_server_user() {
    server_user=$(id -un)
    as_server_user=(env -C /)
    ((EUID == 0)) || return 0
    server_user=postgres
    local home
    home=$(getent passwd postgres | cut -d: -f6) || fail "there is no user postgres: install the server's package"
    as_server_user=(setpriv --reuid=postgres --regid=postgres --init-groups env -C / "HOME=$home")
}

# private_directory PATTERN: a new directory that only the server's user can enter.
private_directory() {
    local directory
    directory=$(mktemp -d "$1")
    chown "$server_user:" "$directory"
    printf '%s\n' "$directory"
}

# daemon SIGNAL COMMAND...: to be put in the background.  It gets the signal when
# the script ends for whatever reason, but not the terminal's Ctrl-C: the script
# decides what stops first.
daemon() {
    exec setsid "${as_server_user[@]}" setpriv --pdeathsig "$1" "${@:2}" </dev/null
}

# init_cluster DIRECTORY [OPTION...]: its superuser is postgres.
init_cluster() {
    "${as_server_user[@]}" "$(bindir)/initdb" -D "$1" -U postgres -E UTF8 --locale=C.UTF-8 --data-checksums "${@:2}"
}

# start_postgres CLUSTER SOCKET_DIRECTORY LOG [OPTION...]: sets postgres_pid.  Runs
# the server under the command in server_under, if there is one.
server_under=()
start_postgres() {
    local cluster=$1 socket=$2 log=$3 bin
    bin=$(bindir)
    daemon INT "${server_under[@]}" "$bin/postgres" -D "$cluster" -c listen_addresses= -c "unix_socket_directories=$socket" "${@:4}" \
        >"$log" 2>&1 &
    postgres_pid=$!
    until "$bin/pg_isready" -q -h "$socket" -U postgres; do
        kill -0 "$postgres_pid" 2>/dev/null || return
        sleep 0.1
    done
}

# stop PID SIGNAL LAST_SIGNAL: waits until it has ended; sends the last after 30 s.
stop() {
    kill -s "$2" "$1" 2>/dev/null || true
    for _ in {1..300}; do
        kill -0 "$1" 2>/dev/null || break
        sleep 0.1
    done
    kill -s "$3" "$1" 2>/dev/null || true
    wait "$1" 2>/dev/null || true
}
