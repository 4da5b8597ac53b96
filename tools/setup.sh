# setup.sh: sourced by tools/quickstart and tools/check. Brings in what the build needs, then
# offers helpers to configure and build. Expects bash with "set -euo pipefail".
#
# On systems with apt, missing packages are installed, as root or through sudo; nothing is asked
# for and nothing is installed when all are there. Elsewhere, what is missing is named.
# shellcheck shell=bash

OX_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

OX_PACKAGES=(gcc g++ libc6-dev cmake ninja-build pkg-config
    protobuf-c-compiler libprotobuf-c-dev check libpng-dev libjpeg-dev zlib1g-dev libjansson-dev
    libtiff-dev libwebp-dev libopenjp2-7-dev libpcre2-dev
    python3 xz-utils debian-archive-keyring ca-certificates)
OX_CHECK_PACKAGES=(clang)

# What the same things are called where there is no apt: programs, then pkg-config modules.
OX_PROGRAMS=(gcc g++ python3 xz cmake ninja pkg-config protoc-c)
OX_CHECK_PROGRAMS=(clang)
OX_MODULES=(libprotobuf-c check libpng libjpeg libtiff-4 libwebp libopenjp2 libpcre2-8 zlib jansson)

ox_say() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; }

ox_have_package() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

ox_apt() {
    if [ "$(id -u)" = 0 ]; then
        DEBIAN_FRONTEND=noninteractive apt-get -q -y "$@"
    else
        sudo env DEBIAN_FRONTEND=noninteractive apt-get -q -y "$@"
    fi
}

ox_install_packages() { # PACKAGE...
    local p missing=()
    for p; do ox_have_package "$p" || missing+=("$p"); done
    # A keyring from before the release of the suite that the ONNX schema comes from
    if grep -qs "^ID=debian" /etc/os-release &&
        [ ! -e /usr/share/keyrings/debian-archive-trixie-stable.gpg ]; then
        missing+=(debian-archive-keyring)
    fi
    [ ${#missing[@]} -gt 0 ] || return 0
    if [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null; then
        ox_say "please install as root: apt-get install ${missing[*]}"
        return 1
    fi
    ox_say "installing ${missing[*]}"
    mkdir -p "$OX_ROOT/build"
    if ! { ox_apt update && ox_apt install --no-install-recommends "${missing[@]}"; } \
        >"$OX_ROOT/build/setup.log" 2>&1 </dev/null; then
        tail -n 20 "$OX_ROOT/build/setup.log" >&2
        ox_say "apt could not install the packages; its output is in build/setup.log"
        return 1
    fi
}

ox_check_programs() { # PROGRAM...: for systems without apt
    local p missing=()
    for p; do command -v "$p" >/dev/null || missing+=("$p"); done
    if command -v pkg-config >/dev/null; then
        for p in "${OX_MODULES[@]}"; do pkg-config --exists "$p" || missing+=("$p (library)"); done
    fi
    [ ${#missing[@]} -gt 0 ] || return 0
    ox_say "please install what is missing here:"
    printf '  %s\n' "${missing[@]}" >&2
    return 1
}

ox_setup() { # build | check
    local packages=("${OX_PACKAGES[@]}") programs=("${OX_PROGRAMS[@]}")
    if [ "$1" = check ]; then
        packages+=("${OX_CHECK_PACKAGES[@]}")
        programs+=("${OX_CHECK_PROGRAMS[@]}")
    fi
    if command -v apt-get >/dev/null && command -v dpkg-query >/dev/null; then
        ox_install_packages "${packages[@]}"
    else
        ox_check_programs "${programs[@]}"
    fi
    if [ -z "${CMAKE_C_COMPILER_LAUNCHER:-}" ] && command -v ccache >/dev/null; then
        export CMAKE_C_COMPILER_LAUNCHER=ccache
    fi
    cd "$OX_ROOT"
}
