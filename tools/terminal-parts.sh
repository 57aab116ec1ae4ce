#!/usr/bin/env bash
# Brings tmux, the terminal in which tests/cli/test_chat.py runs `tertulia chat`. Where it cannot be had this is said,
# and the tests that need it are skipped, visibly.
set -euo pipefail

if ! command -v tmux >/dev/null; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo 'Installing tmux ...'
        { timeout 300 apt-get update -qq && DEBIAN_FRONTEND=noninteractive timeout 300 apt-get install -qq -y --no-install-recommends tmux; } >/dev/null || true
    fi
    command -v tmux >/dev/null || echo 'tmux is missing and cannot be installed here: the tests of the chat in a terminal will be skipped.'
fi
