# shellcheck shell=bash
# What all scripts share: where the build goes, what the machine must have, and how to say so. Sourced, never run.

set -euo pipefail

# The repository; all scripts work from there.
REPOSITORY=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cd "$REPOSITORY"

# Without a HOME (some CI machines) bash still finds the home directory of the user.
if [ -z "${HOME:-}" ]; then
    unset HOME
    HOME=~
fi
# One directory for all scripts, outside the clone: the next clone finds its dependencies built.
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/alf/target}
export HOME

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }

die() {
    say "$*"
    exit 1
}

# Whether there is a program of this name, or a file with this path.
is_there() {
    case $1 in
        /*) [ -e "$1" ] ;;
        *) type -P "$1" >/dev/null ;;
    esac
}

# Rust cannot be installed behind the user's back; anything else can.
need_rust() {
    if ! is_there cargo && [ -x "${CARGO_HOME:-$HOME/.cargo}/bin/cargo" ]; then
        PATH=${CARGO_HOME:-$HOME/.cargo}/bin:$PATH
    fi
    is_there cargo || die "Rust is missing: install it with rustup and run this again"
    # With rustup the first call installs the version that rust-toolchain.toml names.
    local version wanted
    version=$(cargo --version) || die "cargo does not run: see above"
    wanted=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)
    version=${version#cargo }
    version=${version%% *}
    if [ "$(printf '%s\n' "$wanted" "${version%%-*}" | sort -V | head -n 1)" != "$wanted" ]; then
        die "Rust $wanted or newer is needed, this is $version: install it with rustup"
    fi
}

# need WHAT PACKAGE: installs the Debian package if the program or file is not there.
need() {
    if is_there "$1"; then return; fi
    is_there apt-get || die "$1 is missing; on Debian it is in the package $2: install it and run this again"
    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        is_there sudo || die "$1 is missing: as root, run: apt-get install $2"
        as_root=(sudo)
        # Nobody is there to type a password where there is no terminal.
        [ -t 0 ] || as_root+=(-n)
    fi
    say "installing $2, for $1"
    local install=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive timeout 300 apt-get)
    local quietly=(-qq -y -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=120)
    if ! "${install[@]}" "${quietly[@]}" install --no-install-recommends "$2" </dev/null >/dev/null 2>&1; then
        # A fresh machine does not know its packages yet, an old one knows those of yesterday.
        "${install[@]}" "${quietly[@]}" update </dev/null >&2 || say "the lists of packages could not be fetched"
        "${install[@]}" "${quietly[@]}" install --no-install-recommends "$2" </dev/null >&2 ||
            die "the package $2 could not be installed: see above"
    fi
    is_there "$1" || die "$1 is still missing after installing $2"
}

# unpacked PACKAGE FILE: a Debian package with what it needs, in the cache unless FILE (without the / before it) is there
# already. Nothing is installed: no root is needed, and no daemon of the package starts.
unpacked() {
    local root=${XDG_CACHE_HOME:-$HOME/.cache}/alf/$1 work
    if [ -e "/$2" ] || [ -e "$root/$2" ]; then return; fi
    if ! is_there apt-get || ! is_there dpkg-deb; then return 1; fi
    say "unpacking $1 into $root"
    mkdir -p "${root%/*}"
    work=$(mktemp -d "${root%/*}/unpack.XXXXXX")
    if fetch "$1" "$work" >&2 && [ -e "$work/root/$2" ]; then
        rm -rf "$root"
        mv "$work/root" "$root"
    fi
    rm -rf "$work"
    [ -e "$root/$2" ]
}

# A package and what it needs of what is not installed, unpacked into DIR/root.
fetch() {
    local packages deb
    # A fresh machine does not know its packages yet.
    if [ "$(id -u)" -eq 0 ] && ! apt-cache show "$1" >/dev/null 2>&1; then timeout 300 apt-get -qq update || true; fi
    packages=$(apt-get -s install --no-install-recommends "$1" | sed -n 's/^Inst \([^ ]*\).*/\1/p') || return 1
    # shellcheck disable=SC2086 # a list of names
    (cd "$2" && timeout 300 apt-get -qq download $packages) || return 1
    for deb in "$2"/*.deb; do dpkg-deb -x "$deb" "$2/root" || return 1; done
}

# in_venv NAME VERSION [MODULE]: a package of PyPI in a virtual environment of its own in the cache, which `venv` then
# names.
in_venv() {
    venv=${XDG_CACHE_HOME:-$HOME/.cache}/alf/$1-$2
    if "$venv/bin/python" -c "import ${3:-$1}" >/dev/null 2>&1; then return; fi
    if ! is_there python3; then
        say "Python 3 is missing"
        return 1
    fi
    say "installing $1 $2 into $venv"
    rm -rf "$venv"
    if python3 -m venv "$venv" >&2 &&
        timeout 300 "$venv/bin/pip" install --quiet --disable-pip-version-check "$1==$2" >&2; then
        return
    fi
    rm -rf "$venv"
    return 1
}

# What stands in for MongoDB in tests, which find it in the cache: SecantusDB, a server under the GPL that is started as a
# program of its own, never linked or shipped. The one in Rust is built once, which takes 5 to 10 minutes. The one in
# Python, with ALF_TEST_MONGODB_SERVER=python or where the other cannot be built, is soon there; but it is slow, may not be
# killed, and leases cannot be tried on it.
stand_in_for_mongodb() {
    local root=${XDG_CACHE_HOME:-$HOME/.cache}/alf/secantus-mdb
    if is_there secantusd-rs || [ -x "$root/bin/secantusd-rs" ]; then return; fi
    if [ "${ALF_TEST_MONGODB_SERVER:-rust}" = rust ]; then
        if (build_secantus "$root"); then return; fi
        say "secantusd-rs could not be built: the one in Python stands in for it"
    fi
    is_there secantusd-py || in_venv secantusdb 0.7.0b3 secantus
}

# build_secantus ROOT: the server in Rust, into ROOT/bin.
build_secantus() {
    need cmake cmake
    need ninja ninja-build
    need swig swig
    need clang clang
    need /usr/share/doc/libclang-dev libclang-dev
    say "building secantusd-rs, once; it takes minutes, and goes to $1"
    local built=0
    CARGO_TARGET_DIR=$1/target CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 timeout 25m \
        cargo install secantus-mdb --version 0.5.3-beta.193 --locked --ignore-rust-version --root "$1" --quiet || built=$?
    rm -rf "$1/target"
    return "$built"
}

# What rustc links with, and what compiles the C inside (SQLite, cryptography).
need_compiler() {
    need cc gcc
    # Debian's gcc only recommends the headers; elsewhere they may be in another place.
    if is_there apt-get; then need /usr/include/stdio.h libc6-dev; fi
}

# An sshd of one's own: the program, its keys, and the directory it wants when root starts it.
need_sshd() {
    need /usr/sbin/sshd openssh-server
    need ssh-keygen openssh-client
    need kill procps
    if [ "$(id -u)" -eq 0 ]; then mkdir -p /run/sshd; fi
}

# Builds alf into $CARGO_TARGET_DIR/debug/alf. One small test is built along: with it the dependencies get the features
# that script/test needs as well, so that they are compiled once and not twice.
build_alf() {
    say "building (the first time takes minutes); the result goes to $CARGO_TARGET_DIR"
    cargo build --locked --quiet --bin alf --test architecture
}
