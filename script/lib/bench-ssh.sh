# shellcheck shell=bash
# script/bench ssh. Sourced, never run.
# shellcheck source=script/lib/bench-sshd.sh
. script/lib/bench-sshd.sh
#
# Each round measures every row once, against the same sshd with its default of MaxSessions 10; the table has the medians
# of the rounds. CPU of a client is that of the runs alone where it can tell (Alf's engine, asyncssh, parallel-ssh), else
# that of all its processes; CPU of sshd is that of its whole process tree, what it has reaped and what it ran included.

# Runs of a command a round: enough for a second or so of each.
bench_runs_alf=1500
bench_runs_python=500
bench_runs_mux=300
bench_runs_fresh=40

# The CPU time of sshd, its processes and what they ran, in ms.
sshd_cpu_ms() {
    # Some process ends between its name and its file.
    { cat /proc/[0-9]*/stat 2>/dev/null || true; } | awk -v root="$(cat "$bench_dir/sshd.pid")" -v hz="$(getconf CLK_TCK)" '
        { pid = $1; sub(/^.*\) /, ""); parent[pid] = $2; ticks[pid] = $12 + $13 + $14 + $15 }
        END {
            for (pid in parent) {
                for (at = pid; at > 1 && at != root; at = parent[at]) if (!(at in parent)) break
                if (at == root) sum += ticks[pid]
            }
            print sum * 1000 / hz
        }'
}

# Waits until no connection is left, so that all CPU time has been counted.
sshd_settled() {
    local root
    root=$(cat "$bench_dir/sshd.pid")
    while pgrep -P "$root" >/dev/null; do sleep 0.02; done
}

# field NAME: the number of that name in the JSON on standard input.
field() { sed -n "s/.*\"$1\":\([-+0-9.eE]*\).*/\1/p"; }

alf_ssh() {
    "$bench_program" --port "$bench_port" --user "$bench_user" --key "$bench_dir/login_key" \
        --host-key "$bench_dir/host_key.pub" "$@"
}

# row NAME RUNS SECONDS CLIENT_MS SSHD_MS REFUSED
row() {
    printf '%s\t%s\t%s\t%s\t%s\t%s\n' "$@" >>"$bench_dir/rows"
}

# telling NAME RUNS COMMAND…: a client that tells its own figures.
telling() {
    local name=$1 runs=$2 before said
    shift 2
    sshd_settled
    before=$(sshd_cpu_ms)
    if ! said=$("$@") || [ "$(field failed <<<"$said")" != 0 ]; then
        say "$name: not all of its runs went well, this round of it is left out: $said"
        return
    fi
    sshd_settled
    row "$name" "$runs" "$(field seconds <<<"$said")" "$(field cpu_ms <<<"$said")" \
        "$(awk -v after="$(sshd_cpu_ms)" -v before="$before" 'BEGIN { print after - before }')" \
        "$(field refused <<<"$said")"
}

# eight_ssh HOST RUNS: ssh, eight at a time; prints `seconds user system`.
eight_ssh() {
    local TIMEFORMAT='%3R %3U %3S'
    time seq "$2" | xargs -P 8 -I{} ssh -F "$bench_dir/ssh_config" "$1" true
}

# with_ssh NAME RUNS HOST
with_ssh() {
    local name=$1 runs=$2 host=$3 before master=/proc/self times master_before=0 master_after=0
    sshd_settled
    if [ "$host" = mux ]; then
        ssh -F "$bench_dir/ssh_config" -M -N -f mux
        master=/proc/$(ssh -F "$bench_dir/ssh_config" -O check mux 2>&1 | sed -n 's/.*pid=\([0-9]*\).*/\1/p')
        master_before=$(awk '{ print $1 / 1e6 }' "$master/schedstat")
    fi
    before=$(sshd_cpu_ms)
    times=$({ eight_ssh "$host" "$runs"; } 2>&1) || die "$name failed: $times"
    if [ "$host" = mux ]; then
        master_after=$(awk '{ print $1 / 1e6 }' "$master/schedstat")
        ssh -F "$bench_dir/ssh_config" -O exit mux 2>/dev/null
    fi
    sshd_settled
    # shellcheck disable=SC2046 # words on purpose
    row "$name" "$runs" $(awk -v times="$times" -v m0="$master_before" -v m1="$master_after" \
        -v after="$(sshd_cpu_ms)" -v before="$before" \
        'BEGIN { split(times, t, " "); print t[1], (t[2] + t[3]) * 1000 + m1 - m0, after - before }') 0
}

# Installs what Alf is compared with where the next bench finds it; without it the bench goes on.
rivals() {
    local venv=${XDG_CACHE_HOME:-$HOME/.cache}/alf/bench-venv
    bench_python=$venv/bin/python
    if [ ! -x "$bench_python" ] && ! python3 -m venv "$venv" >/dev/null 2>&1; then
        say "no Python with venv here (Debian: python3-venv): asyncssh and parallel-ssh are left out"
        return
    fi
    "$bench_python" -c 'import asyncssh, pssh' 2>/dev/null ||
        "$bench_python" -m pip install --quiet asyncssh parallel-ssh >&2 ||
        say "asyncssh and parallel-ssh cannot be installed: what is missing of them is left out"
}

# What Alf really sends for the command `true`: the run's marker in the environment, and the same shell everywhere.
bench_marked="exec env 'ALF_HOST=bench' 'ALF_TASK=bench' 'ALF_RUN_ID=01900000-0000-7000-8000-000000000000' /bin/sh -c 'true'"

# python_rival NAME MODULE AT_ONCE COMMAND
python_rival() {
    "$bench_python" -c "import $2" 2>/dev/null || return 0
    telling "$1" "$bench_runs_python" "$bench_python" "script/lib/bench-$2.py" "$bench_port" "$bench_user" \
        "$bench_dir/login_key" "$bench_dir/known_hosts" "$bench_runs_python" "$3" "$4"
}

one_round() {
    telling "Alf's engine, 5 at once" "$bench_runs_alf" alf_ssh exec --runs "$bench_runs_alf" --at-once 5
    telling "Alf's engine, 8 at once" "$bench_runs_alf" alf_ssh exec --runs "$bench_runs_alf" --at-once 8
    with_ssh "ssh, ControlMaster, 8 at once" "$bench_runs_mux" mux
    with_ssh "ssh, a login each, 8 at once" "$bench_runs_fresh" fresh
    python_rival "asyncssh, 5 at once" asyncssh 5 true
    python_rival "asyncssh, 8 at once" asyncssh 8 true
    python_rival "parallel-ssh, 8 at once" pssh 8 true
    python_rival "asyncssh, 5 at once, Alf's text" asyncssh 5 "$bench_marked"
}

# The table of the medians, in the order of the first round, with ratios to the first row.
table() {
    awk -F '\t' '
        function median(name, what,   n, list, i, j, t) {
            n = count[name]
            for (i = 1; i <= n; i++) list[i] = value[name, what, i]
            for (i = 2; i <= n; i++) for (j = i; j > 1 && list[j - 1] > list[j]; j--) {
                t = list[j]; list[j] = list[j - 1]; list[j - 1] = t
            }
            return n % 2 ? list[(n + 1) / 2] : (list[n / 2] + list[n / 2 + 1]) / 2
        }
        {
            if (!($1 in count)) order[++rows] = $1
            n = ++count[$1]
            value[$1, "rate", n] = $2 / $3
            value[$1, "client", n] = $4 / $2
            value[$1, "sshd", n] = $5 / $2
            refused[$1] += $6
        }
        END {
            print "| client | runs/s | client CPU ms/run | sshd CPU ms/run | Alf (5) is faster by | and takes of the client CPU | refused sessions |"
            print "|---|---|---|---|---|---|---|"
            for (i = 1; i <= rows; i++) {
                name = order[i]
                rate = median(name, "rate"); client = median(name, "client"); sshd = median(name, "sshd")
                if (i == 1) { first_rate = rate; first_client = client; first_sshd = sshd }
                printf "| %s | %.0f | %.3f | %.2f | × %.2f | 1/%.1f | %d |\n", name, rate, client, sshd, \
                    first_rate / rate, client / first_client, refused[name]
            }
            printf "\nClient CPU of Alf a run: %.1f %% of what sshd takes for it.\n", 100 * first_client / first_sshd
        }' "$bench_dir/rows"
}

# bench_ssh ROUNDS
bench_ssh() {
    local rounds=$1 round said
    need_rust
    need_compiler
    need_sshd
    need pgrep procps
    say "building for release (the first time takes minutes); the result goes to $CARGO_TARGET_DIR"
    # The program itself is built along, and told of as well.
    bench_program=$(cargo bench --locked --quiet --bench ssh --no-run --message-format=json |
        grep '"kind":\["bench"\]' | sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' | tail -n 1)
    [ -x "$bench_program" ] || die "the bench was not built: see above"
    rivals
    start_sshd
    bench_user=$(id -un)
    printf '[127.0.0.1]:%s %s\n' "$bench_port" "$(cut -d ' ' -f 1,2 "$bench_dir/host_key.pub")" >"$bench_dir/known_hosts"
    cat >"$bench_dir/ssh_config" <<CONFIG
Host mux fresh
    HostName 127.0.0.1
    Port $bench_port
    User $bench_user
    IdentityFile $bench_dir/login_key
    IdentitiesOnly yes
    UserKnownHostsFile $bench_dir/known_hosts
    GlobalKnownHostsFile /dev/null
    StrictHostKeyChecking yes
    BatchMode yes
    LogLevel ERROR
Host mux
    ControlPath $bench_dir/mux
CONFIG
    printf '%s, %s cores of %s, Linux %s, %s; load at the start %s.\nThe command is true; medians of %s rounds.\n\n' \
        "$(date -u +%F)" "$(nproc)" "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)" "$(uname -r)" \
        "$(ssh -V 2>&1 | cut -d ' ' -f 1 | tr -d ,)" "$(cut -d ' ' -f 1-3 /proc/loadavg)" "$rounds"
    for ((round = 1; round <= rounds; round++)); do
        say "round $round of $rounds"
        one_round
    done
    table
    sshd_settled
    say "idle connections"
    said=$(alf_ssh idle) || die "idle connections: failed"
    printf '\nAn idle connection: %.1f KiB (of %d).\n' "$(field kib_each <<<"$said")" "$(field connections <<<"$said")"
    sshd_settled
    say "connect storm"
    said=$(alf_ssh storm) || die "connect storm: failed"
    printf '%d logins at once: %.1f s, %d errors, %.2f ms client CPU each.\n' "$(field connections <<<"$said")" \
        "$(field seconds <<<"$said")" "$(field errors <<<"$said")" \
        "$(awk -v ms="$(field cpu_ms <<<"$said")" -v n="$(field connections <<<"$said")" 'BEGIN { print ms / n }')"
    sshd_settled
    say "flood"
    said=$(alf_ssh flood) || die "flood: failed"
    printf '%d MiB of output in %.1f s: %.1f MiB more memory at most; %s\n' "$(field mib <<<"$said")" \
        "$(field seconds <<<"$said")" "$(awk -v kib="$(field kib <<<"$said")" 'BEGIN { print kib / 1024 }')" \
        "other runs on the connection took (ms):"
    sed -n 's/.*"flood_ms":{\([^}]*\)}.*/    while it lasted: \1/p' <<<"$said" | tr -d '"'
    sed -n 's/.*"quiet_ms":{\([^}]*\)}.*/    before it:       \1/p' <<<"$said" | tr -d '"'
    printf 'Load at the end %s.\n' "$(cut -d ' ' -f 1-3 /proc/loadavg)"
}
