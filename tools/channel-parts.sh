#!/usr/bin/env bash
# Brings Kannel, the SMS gateway that tests/contract/channels/test_kannel.py starts. Where it cannot be had this is said,
# and the tests that need it are skipped, visibly.
set -euo pipefail
PATH=$PATH:/usr/sbin

if ! command -v bearerbox >/dev/null; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo 'Installing Kannel ...'
        { timeout 300 apt-get update -qq && DEBIAN_FRONTEND=noninteractive timeout 300 apt-get install -qq -y --no-install-recommends kannel; } >/dev/null || true
    fi
    command -v bearerbox >/dev/null || echo 'Kannel is missing and cannot be installed here: the tests with Kannel itself will be skipped.'
fi
