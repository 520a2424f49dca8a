# shellcheck shell=bash
# script/bench schedule. Sourced, never run.
#
# The scheduler, the ledger and the status with fake hosts and a real SQLite on this machine's disk.

bench_dir=

# figure NAME: the number of that name in the JSON on standard input.
figure() { sed -n "s/.*\"$1\":\([-+0-9.eE]*\).*/\1/p"; }

# build_bench: puts the program that measures into $bench_program.
build_bench() {
    need_rust
    need_compiler
    say "building for release (the first time takes minutes); the result goes to $CARGO_TARGET_DIR"
    bench_program=$(cargo bench --locked --quiet --bench schedule --no-run --message-format=json |
        grep '"kind":\["bench"\]' | sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' | tail -n 1)
    [ -x "$bench_program" ] || die "the bench was not built: see above"
}

# What is measured on, and what else it does.
this_machine() {
    printf '%s, %s cores of %s, Linux %s; load at the start %s.\n\n' "$(date -u +%F)" "$(nproc)" \
        "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)" "$(uname -r)" "$(cut -d ' ' -f 1-3 /proc/loadavg)"
}

# lateness NAME ARGUMENTS…: a row of the table.
lateness() {
    local name=$1 said
    shift
    say "lateness: $name"
    said=$("$bench_program" lateness "$@") || die "$name: failed"
    printf '| %s | %s | %.0f | %.0f | %.0f | %.2f |\n' "$name" "$(figure ran <<<"$said")" "$(figure p50 <<<"$said")" \
        "$(figure p99 <<<"$said")" "$(figure max <<<"$said")" "$(figure cpu_ms_each <<<"$said")"
}

# restart NAME LOOK_ON ARGUMENTS…: a row of the table; the store is made first, by a process of its own.
restart() {
    local name=$1 seconds=$2 said dir=$bench_dir/restart
    shift 2
    say "restart: $name"
    rm -rf "$dir" && mkdir "$dir"
    "$bench_program" prepare --dir "$dir" "$@" >/dev/null || die "$name: cannot be prepared"
    said=$("$bench_program" start --dir "$dir" --seconds "$seconds") || die "$name: failed"
    printf '| %s | %s | %.0f | %.0f | %.0f | %s |\n' "$name" "$(figure pairs <<<"$said")" "$(figure ready_ms <<<"$said")" \
        "$(figure armed_ms <<<"$said")" "$(figure bytes_each <<<"$said")" "$(figure store_queue_max <<<"$said")"
}

# bench_schedule SECONDS
bench_schedule() {
    local seconds=$1 said
    build_bench
    bench_dir=$(mktemp -d "${TMPDIR:-/tmp}/alf-bench.XXXXXX")
    trap 'rm -rf "$bench_dir"' EXIT
    this_machine

    printf '| runs | that ran | late p50 ms | p99 ms | max ms | CPU ms each |\n|---|---|---|---|---|---|\n'
    lateness "1,000 pairs, all on the minute" --cron '* * * * *' --seconds "$seconds"
    lateness "1,000 pairs a minute, spread" --cron '@every 1m' --seconds "$seconds"
    lateness "200 a second" --cron '@every 5s' --seconds "$seconds"
    lateness "200 a second, each to Graphite and a webhook that hang" --cron '@every 5s' --seconds "$seconds" --actions

    say "ledger"
    said=$("$bench_program" ledger) || die "ledger: failed"
    printf '\nResults through claims and saves: %.0f a second (%.3f ms CPU each); the same rows in bare batches: %.0f a second; × %.2f.\n\n' \
        "$(figure a_second <<<"$said")" "$(figure cpu_ms_each <<<"$said")" "$(figure bare_a_second <<<"$said")" \
        "$(figure of_bare <<<"$said")"

    printf '| restart | pairs | ready ms | all armed ms | bytes a pair | store queue at most |\n|---|---|---|---|---|---|\n'
    restart "never run" 0
    restart "with 50 last Results each" 0 --history
    restart "a line every minute, 8 hours down" 0 --history --cron '* * * * *' --down 8

    say "status"
    rm -rf "$bench_dir/restart" && mkdir "$bench_dir/restart"
    "$bench_program" prepare --dir "$bench_dir/restart" --hosts 100 --history >/dev/null
    said=$("$bench_program" status --dir "$bench_dir/restart") || die "status: failed"
    printf '\n10,000 rows, over HTTP, ms:\n\n'
    sed 's/.*"queries":{//; s/},"status/}\n"status/g; s/}}}$/}/' <<<"$said" |
        sed -n 's/^"\([^"]*\)":{"ms":{"max":\([^,]*\),"p50":\([^,]*\),"p99":\([^}]*\)},"rows":\([0-9]*\)}*/\1 \3 \4 \2 \5/p' |
        while read -r query p50 p99 max rows; do
            printf '    GET /%-55s p50 %5.1f  p99 %5.1f  max %5.1f  (%s rows)\n' "$query" "$p50" "$p99" "$max" "$rows"
        done
    printf '\nLoad at the end %s.\n' "$(cut -d ' ' -f 1-3 /proc/loadavg)"
}
