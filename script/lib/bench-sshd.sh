# shellcheck shell=bash
# What benches share: an sshd of their own, and what goes away with it. Sourced, never run.

bench_dir=
bench_alf=
bench_port=

# ends_with_bench PID: a process that is not to outlive the bench.
ends_with_bench() { bench_alf=$1; }

bench_clean_up() {
    if [ -n "$bench_alf" ]; then kill "$bench_alf" 2>/dev/null || true; fi
    if [ -S "$bench_dir/mux" ]; then ssh -F "$bench_dir/ssh_config" -O exit mux 2>/dev/null || true; fi
    if [ -s "$bench_dir/sshd.pid" ]; then kill "$(cat "$bench_dir/sshd.pid")" 2>/dev/null || true; fi
    wait || true
    rm -rf "$bench_dir"
}

# Starts an sshd on $bench_port with the keys $bench_dir/host_key and $bench_dir/login_key.
start_sshd() {
    bench_dir=$(mktemp -d "${TMPDIR:-/tmp}/alf-bench.XXXXXX")
    trap bench_clean_up EXIT
    ssh-keygen -q -t ed25519 -N '' -f "$bench_dir/host_key"
    ssh-keygen -q -t ed25519 -N '' -f "$bench_dir/login_key"
    bench_port=$((RANDOM % 12000 + 20000))
    cat >"$bench_dir/sshd_config" <<CONFIG
ListenAddress 127.0.0.1:$bench_port
HostKey $bench_dir/host_key
AuthorizedKeysFile $bench_dir/login_key.pub
PidFile $bench_dir/sshd.pid
StrictModes no
UsePAM no
MaxStartups 2000
PermitRootLogin prohibit-password
# Nothing of the user's own set-up is to have a say.
SetEnv HOME=$bench_dir
CONFIG
    /usr/sbin/sshd -f "$bench_dir/sshd_config" -E "$bench_dir/sshd.log"
    until [ -s "$bench_dir/sshd.pid" ]; do sleep 0.01; done
}
