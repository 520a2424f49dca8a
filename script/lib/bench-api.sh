# shellcheck shell=bash
# shellcheck disable=SC2154 # $bench_program comes from bench-schedule.sh
# script/bench api. Sourced after bench-schedule.sh, never run.
#
# Requests a second of the API beside those of a bare actix-web route in the same process, and pages of Results out of a
# million while more are written. Hosts are fakes, SQLite is on this machine's disk.

# text NAME: the text of that name in the JSON on standard input.
text() { sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p"; }

# start_serving DIR: Alf and the bare route, in $alf, $bare and $key; they end with file descriptor 8.
start_serving() {
    local said=$bench_dir/serving
    rm -f "$said" "$said.in"
    mkfifo "$said.in"
    "$bench_program" serve --dir "$1" <"$said.in" >"$said" &
    serving=$!
    exec 8>"$said.in"
    until [ -s "$said" ]; do
        kill -0 "$serving" 2>/dev/null || die "the API does not start: see above"
        sleep 0.1
    done
    alf=$(text alf <"$said") bare=$(text bare <"$said") key=$(text key <"$said")
}

stop_serving() {
    exec 8>&-
    wait "$serving" || die "the API did not end well"
}

# ask CONNECTIONS URL [SCRIPT]: wrk; puts what it found into $rate, $p50, $p99 and $bad.
ask() {
    local said threads=2
    [ "$1" -ge 2 ] || threads=1
    said=$(wrk -t "$threads" -c "$1" -d "${seconds}s" --latency -H "X-Api-Key: $key" ${3:+-s "$3"} "$2") ||
        die "wrk failed: $said"
    rate=$(sed -n 's,^Requests/sec: *,,p' <<<"$said")
    p50=$(sed -n 's/^ *50% *//p' <<<"$said")
    p99=$(sed -n 's/^ *99% *//p' <<<"$said")
    bad=$(sed -n 's/^ *Non-2xx or 3xx responses: *//p' <<<"$said")
}

# size URL: of its answer.
size() { curl -sf -H "X-Api-Key: $key" "$1" | wc -c; }

# beside NAME URL: a row of the table.
beside() {
    local own own_p99 own_bad
    say "$1"
    ask 16 "$alf$2"
    own=$rate own_p99=$p99 own_bad=${bad:-0}
    ask 16 "$bare/bare/$(size "$alf$2")"
    printf '| %s | %.0f | %.0f | × %.2f | %s | %s |\n' "$1" "$own" "$rate" \
        "$(awk -v own="$own" -v bare="$rate" 'BEGIN { print own / bare }')" "$own_p99" "$own_bad"
}

# alone NAME URL SCRIPT: the same without anything to compare it with.
alone() {
    say "$1"
    ask 16 "$alf$2" "$bench_dir/$3"
    printf '| %s | %.0f | | | %s | %s |\n' "$1" "$rate" "$p99" "${bad:-0}"
}

# bench_api SECONDS
bench_api() {
    seconds=$1
    need wrk wrk
    need curl curl
    build_bench
    bench_dir=$(mktemp -d "${TMPDIR:-/tmp}/alf-bench.XXXXXX")
    trap 'exec 8>&-; wait; rm -rf "$bench_dir"' EXIT
    this_machine

    cat >"$bench_dir/post-host.lua" <<'LUA'
local thread = 0
function setup(t) t:set("id", thread); thread = thread + 1 end
local n = 0
local function body() n = n + 1; return string.format('{"name":"new-%d-%d","labels":{"role":"new"}}', id, n) end
function request() return wrk.format("POST", nil, {["X-Api-Key"] = wrk.headers["X-Api-Key"], ["Content-Type"] = "application/json"}, body()) end
LUA
    cat >"$bench_dir/run-now.lua" <<'LUA'
local thread = 0
function setup(t) t:set("id", thread); thread = thread + 1 end
local n = 0
function request() n = n + 1; return wrk.format("POST", string.format("/api/v1/hosts/host%05d/tasks/now/run", (n * 2 + id) % 1000)) end
LUA

    mkdir "$bench_dir/api"
    "$bench_program" prepare --dir "$bench_dir/api" --hosts 1000 --tasks 10 --history >/dev/null || die "prepare: failed"
    start_serving "$bench_dir/api"
    curl -sf -X PUT -H "X-Api-Key: $key" -H 'Content-Type: application/json' -d '{"command":"true","overlap":"allow"}' \
        "$alf/api/v1/tasks/now" >/dev/null || die "the task cannot be made"
    printf '| request | a second | bare route | | p99 | not served |\n|---|---|---|---|---|---|\n'
    beside "\`GET /hosts/NAME\`" /api/v1/hosts/host00042
    beside "the same as XML" "/api/v1/hosts/host00042?format=xml"
    beside "\`GET /status/HOST/TASK\`" /api/v1/status/host00042/task003
    beside "\`GET /status?limit=20&n=1\` of 10,000" "/api/v1/status?limit=20&n=1"
    beside "\`GET /status\` of 10,000" /api/v1/status
    beside "\`GET /hosts\` of 1,000" /api/v1/hosts
    beside "\`GET /metrics\`" /metrics
    alone "\`POST /hosts/NAME/tasks/TASK/run\`" /api/v1/stats run-now.lua
    alone "\`POST /hosts\`" /api/v1/hosts post-host.lua
    stop_serving

    say "a million Results"
    mkdir "$bench_dir/results"
    "$bench_program" prepare --dir "$bench_dir/results" --hosts 1000 --tasks 1 --cron '@every 5s' >/dev/null ||
        die "prepare: failed"
    "$bench_program" fill --dir "$bench_dir/results" >/dev/null || die "fill: failed"
    start_serving "$bench_dir/results"
    printf '\nPages out of a million Results, one after the other, while 200 more a second are written:\n\n'
    local query
    for query in 'limit=100' 'limit=100&host=host00042' 'limit=100&outcome=PROBLEM' 'limit=100&host=host00042&outcome=PROBLEM' \
        "limit=100&until=$(date -u -d '5 days ago' +%FT%TZ)" 'limit=1000'; do
        ask 1 "$alf/api/v1/results?$query"
        printf '    GET /results?%-45s p50 %9s  p99 %9s  not served %s\n' "$query" "$p50" "$p99" "${bad:-0}"
    done
    stop_serving
    printf '\nLoad at the end %s.\n' "$(cut -d ' ' -f 1-3 /proc/loadavg)"
}
