# shellcheck shell=bash
# script/bench idle. Sourced, never run.
# shellcheck source=script/lib/bench-sshd.sh
. script/lib/bench-sshd.sh

alf() { "$CARGO_TARGET_DIR/debug/alf" "$@"; }
now_ms() { date +%s%3N; }

ticks() { awk '{ print $14 + $15 }' "/proc/$1/stat"; }

# bench_idle HOSTS SECONDS
bench_idle() {
    local hosts=$1 seconds=$2
    need_rust
    need_compiler
    need_sshd
    build_alf
    while read -r variable; do unset "$variable"; done < <(compgen -e ALF_)

    start_sshd
    local dir=$bench_dir began ready before used rss variable n

    export ALF_DATA_DIR=$dir/data ALF_SSH__KNOWN_HOSTS=$dir/known_hosts
    began=$(now_ms)
    "$CARGO_TARGET_DIR/debug/alf" serve --listen 127.0.0.1:0 >"$dir/out" 2>"$dir/alf.log" &
    local alf_pid=$!
    ends_with_bench "$alf_pid"
    until grep -qs ' listening on ' "$dir/out"; do
        kill -0 "$alf_pid" || die "alf does not start: $(cat "$dir/alf.log")"
        sleep 0.01
    done
    ready=$(($(now_ms) - began))
    unset ALF_SSH__KNOWN_HOSTS

    printf 'name: key\nuser: "%s"\nkey_file: %s\n' "$(id -un)" "$dir/login_key" >"$dir/credential.yaml"
    for ((n = 1; n <= hosts; n++)); do
        printf -- '---\nname: host%s\naddress: 127.0.0.1\nport: %s\ncredential: key\nlabels: {bench: idle}\n' "$n" "$bench_port"
    done >"$dir/hosts.yaml"
    alf credentials create -f "$dir/credential.yaml" 2>/dev/null
    alf hosts create -f "$dir/hosts.yaml" 2>/dev/null
    alf task add idle --command true -l bench=idle --cron '0 0 1 1 *' 2>/dev/null
    alf run -l bench=idle idle >/dev/null 2>&1
    [ "$(alf results --outcome OK --limit 1000 -o name | wc -l)" -eq "$hosts" ] || die "not every host ran its task: $(tail -n 3 "$dir/alf.log")"

    before=$(ticks "$alf_pid")
    sleep "$seconds"
    used=$(($(ticks "$alf_pid") - before))
    rss=$(awk '/^VmRSS/ { print $2 }' "/proc/$alf_pid/status")
    awk -v hosts="$hosts" -v seconds="$seconds" -v used="$used" -v hz="$(getconf CLK_TCK)" -v rss="$rss" -v ready="$ready" 'BEGIN {
        printf "ready after                  %d ms\n", ready
        printf "hosts connected              %d\n", hosts
        printf "resident memory              %.1f MiB\n", rss / 1024
        printf "CPU over %d s idle          %.2f %% of a core\n", seconds, 100 * used / hz / seconds
    }'
}
