#!/bin/sh
# Make a virtual environment with Python 3.11 or newer: make_venv.sh DIRECTORY
#
# Debian and Ubuntu ship python3 without the module that makes virtual environments. Where this may install it
# (as root, or with a sudo that asks nothing) it does; elsewhere it says in one sentence what to install.
set -eu
target=$1

say() { printf '%s\n' "$*" >&2; }

new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

python=
for candidate in ${PYTHON:-} python3 python3.13 python3.12 python3.14 python3.11 python; do
    if command -v "$candidate" >/dev/null 2>&1 && new_enough "$candidate"; then
        python=$candidate
        break
    fi
done
if [ -z "$python" ]; then
    say "The node needs Python 3.11 or newer and finds none: install one (Debian 12, Ubuntu 24.04 and later bring it as python3), or name it with 'make PYTHON=/path/to/python3.12 ...'."
    exit 1
fi

if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    case $(basename "$python") in
        python3.*) package=$(basename "$python")-venv ;;
        *) package=python3-venv ;;
    esac
    as_root=
    if [ "$(id -u)" -ne 0 ]; then
        as_root="sudo -n"
    fi
    if ! command -v apt-get >/dev/null 2>&1 || ! $as_root true 2>/dev/null; then
        say "$python cannot make virtual environments: run 'sudo apt-get install $package' (or your system's equivalent), then make again."
        exit 1
    fi
    say "Installing $package, which $python needs to make virtual environments."
    $as_root apt-get update -qq
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$package" >/dev/null
fi

rm -rf "$target"
"$python" -m venv "$target"
say "Made $target with $("$target/bin/python" --version)."
