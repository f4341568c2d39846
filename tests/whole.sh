#!/bin/sh
# Bring up what the end-to-end tests need, run them, and leave nothing running.
set -u
cd "$(dirname "$0")/.."
trap 'make --no-print-directory down' EXIT
make --no-print-directory e2e
