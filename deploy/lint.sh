#!/bin/sh
# Check the files that Python's linters do not read. Tools that are not installed are named, not passed over in silence.
set -u
cd "$(dirname "$0")/.." || exit 1
failed=0

ran() { printf 'lint: %s\n' "$1"; }
not_run() { printf 'lint: NOT RUN %s: %s\n' "$1" "$2"; }
failed() { printf 'lint: FAILED %s\n' "$1"; failed=1; }
have() { command -v "$1" >/dev/null 2>&1; }

scripts="deploy/make_venv.sh deploy/lint.sh .ci/run"
if have shellcheck; then
    # shellcheck disable=SC2086  # a list of words
    if shellcheck $scripts; then ran "shellcheck"; else failed "shellcheck"; fi
else
    not_run "shellcheck" "not installed (apt-get install shellcheck)"
fi

if docker compose version >/dev/null 2>&1; then
    compose="docker compose"
elif have docker-compose; then
    compose="docker-compose"
else
    compose=
fi
if [ -n "$compose" ]; then
    # Any value will do: the check reads the file, and starts nothing.
    if POSTGRES_PASSWORD=x WEB_PASSWORD_HASH=x $compose -f docker-compose.yml config -q; then ran "$compose config"; else failed "$compose config"; fi
else
    not_run "docker compose config" "neither 'docker compose' nor 'docker-compose' is installed"
fi

if have hadolint; then
    if hadolint deploy/Dockerfile; then ran "hadolint"; else failed "hadolint"; fi
elif have npm; then
    # Never into the tree: a throw-away folder, gone when this script ends.
    tools=$(mktemp -d)
    trap 'rm -rf "$tools"' EXIT
    if npm install --silent --no-audit --no-fund --prefix "$tools" dockerfile-utils@0.16.3 >/dev/null 2>&1; then
        if "$tools/node_modules/.bin/dockerfile-utils" lint deploy/Dockerfile; then ran "dockerfile-utils"; else failed "dockerfile-utils"; fi
    else
        not_run "dockerfile-utils" "npm cannot install it here"
    fi
else
    not_run "Dockerfile check" "neither hadolint nor npm is installed"
fi

if have systemd-analyze; then
    # It also asks that the program named in the unit be installed, which it is only on the node's own machine.
    complaints=$(systemd-analyze verify deploy/region-node.service 2>&1 | grep "region-node.service" | grep -v "is not executable")
    if [ -z "$complaints" ]; then ran "systemd-analyze verify"; else printf '%s\n' "$complaints"; failed "systemd-analyze verify"; fi
else
    not_run "systemd-analyze verify" "not installed"
fi

exit "$failed"
