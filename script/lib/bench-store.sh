# shellcheck shell=bash
# shellcheck disable=SC2154 # $bench_program comes from bench-schedule.sh
# script/bench store. Sourced, never run; bench-schedule.sh is sourced before it.
#
# The store with a million Results: how fast they go in, its start, pages of it, and what retention costs who writes.

# three NAME: p50, p99 and max of the group of that name in the JSON on standard input.
three() {
    sed -n "s/.*\"$1\":{\"max\":\([-+0-9.eE]*\),\"p50\":\([-+0-9.eE]*\),\"p99\":\([-+0-9.eE]*\)}.*/\2 \3 \1/p"
}

# middle: of figures on standard input, a line each, the one in the middle.
middle() { sort -n | sed -n "$((($1 + 1) / 2))p"; }

bench_server=

# clear_up: at the end.
clear_up() {
    [ -z "$bench_server" ] || { kill "$bench_server" && wait "$bench_server"; } || true
    rm -rf "$bench_dir"
}

# find_mongodb: puts into $mongodb_url where the server is that ALF_TEST_MONGODB names, or one that is started here and stands in for
# MongoDB.
find_mongodb() {
    mongodb_url=${ALF_TEST_MONGODB:-}
    [ -z "$mongodb_url" ] || return 0
    stand_in_for_mongodb
    local program
    program=$(command -v secantusd-rs || ls "${XDG_CACHE_HOME:-$HOME/.cache}"/alf/secantus*/bin/secantusd-rs) ||
        die "there is no secantusd-rs: name a server with ALF_TEST_MONGODB"
    "$program" --host 127.0.0.1 --port 0 --storage-path "$bench_dir/mongodb" --log-level WARNING --sync-on-commit \
        --cache-size 256M >"$bench_dir/said" 2>"$bench_dir/log" &
    bench_server=$!
    local port=
    for _ in {1..300}; do
        port=$(sed -n 's/.*127\.0\.0\.1:\([0-9]\{1,\}\).*/\1/p' "$bench_dir/said" "$bench_dir/log" | head -n 1)
        [ -z "$port" ] || break
        sleep 0.1
    done
    [ -n "$port" ] || die "secantusd-rs does not start: $(tail -n 3 "$bench_dir/log")"
    mongodb_url="mongodb://127.0.0.1:$port/?directConnection=true"
    printf 'secantusd-rs stands in for MongoDB (%s).\n\n' "$("$program" --version | head -n 1)"
}

# bench_store sqlite RESULTS, bench_store mongodb RESULTS_OF_A_ROUND
bench_store() {
    local results=$2 said name
    local -a ledger=() where=()
    build_bench
    bench_dir=$(mktemp -d "${TMPDIR:-/tmp}/alf-bench.XXXXXX")
    trap clear_up EXIT
    this_machine
    if [ "$1" = mongodb ]; then
        find_mongodb
        where=(--mongodb "$mongodb_url") ledger=(--results "$results")
    fi

    say "ledger"
    said=$(for _ in {1..7}; do "$bench_program" ledger "${ledger[@]}" "${where[@]}" || exit; done) || die "ledger: failed"
    printf 'Seven rounds, in the middle: Results through claims and saves: %.0f a second; the same in bare batches: %.0f a second; × %.2f (%s).\n\n' \
        "$(figure a_second <<<"$said" | middle 7)" "$(figure bare_a_second <<<"$said" | middle 7)" \
        "$(figure of_bare <<<"$said" | middle 7)" "$(figure of_bare <<<"$said" | sort -n | xargs printf '%.2f ')"

    if [ "$1" = mongodb ]; then
        # Pages while Results are written are not for what stands in for MongoDB: some take longer than the client waits.
        return
    fi
    say "a store of $results Results"
    "$bench_program" prepare --dir "$bench_dir" --hosts 1000 --tasks 1 --history >/dev/null || die "cannot be prepared"
    "$bench_program" fill --dir "$bench_dir" --hosts 1000 --tasks 1 --results "$results" >/dev/null || die "cannot be filled"
    say "start, pages, retention"
    said=$("$bench_program" keep --dir "$bench_dir") || die "keep: failed"
    printf 'Ready %.0f ms after the start.\n\n' "$(figure ready_ms <<<"$said")"
    printf '| page | idle: p50 ms | p99 | max | while Results are written as fast as they go: p50 | p99 | max |\n|---|---|---|---|---|---|---|\n'
    for name in "status of a pair, last 20" "results of a pair, 20" "results, 100" "results outcome=PROBLEM, 100"; do
        # shellcheck disable=SC2046,SC2183 # three gives three words
        printf '| %s | %.1f | %.1f | %.1f | %.1f | %.1f | %.1f |\n' "$name" \
            $(sed 's/.*"idle_ms":{//; s/"loaded_ms".*//' <<<"$said" | three "$name") \
            $(sed 's/.*"loaded_ms":{//; s/"ready_ms".*//' <<<"$said" | three "$name")
    done
    printf '\nWritten meanwhile: %.0f Results a second.\n' "$(figure written_a_second <<<"$said")"
    # shellcheck disable=SC2046,SC2183 # three gives three words
    printf '\nRetention removed %.0f Results in %.0f s. Commits of 100 Results, every 20 ms: p50 %.1f, p99 %.1f, max %.1f ms; ' \
        "$(figure removed <<<"$said")" "$(figure seconds <<<"$said")" $(three commits_ms <<<"$said")
    # shellcheck disable=SC2046,SC2183 # three gives three words
    printf 'without it p50 %.1f, p99 %.1f, max %.1f ms.\n' $(three commits_without_ms <<<"$said")
    printf '%s\n' "$said" | sed -n 's/.*"after":\({[^}]*}\).*"before":\({[^}]*}\).*/before \2, after \1/p'
    printf '\nLoad at the end %s.\n' "$(cut -d ' ' -f 1-3 /proc/loadavg)"
}
