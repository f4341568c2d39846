#!/bin/sh
# Install uv into the cache outside the checkout, and with it everything else in Python into .venv.
set -eu
cd "$(dirname "$0")/.."
version=0.13.9
cache=${HEADRACE_CACHE:-$HOME/.cache/headrace}
uv=$cache/toolchain/uv-$version
log=$cache/log/setup.log
mkdir -p "$cache/log"
: >"$log"

# Run a command with its output in the log; when it fails, say so, show the log's end, and what to do.
logged() {
  "$@" >>"$log" 2>&1 && return
  tail -n 15 "$log" >&2
  echo "setup: \`$*\` failed; log: $log; check that Debian's mirror and PyPI can be reached, then try again" >&2
  exit 1
}

if [ ! -x "$uv/bin/uv" ]; then
  if ! python3 -c 'import ensurepip' 2>/dev/null; then
    echo "installing python3-venv (needed once)" >&2
    export DEBIAN_FRONTEND=noninteractive
    logged apt-get update
    logged apt-get install -y --no-install-recommends python3-venv ca-certificates
  fi
  echo "installing uv $version into $uv (cached)" >&2
  rm -rf "$uv"
  logged python3 -m venv "$uv"
  logged "$uv/bin/pip" install --disable-pip-version-check "uv==$version"
fi
[ -d .venv ] || echo "installing the Python environment into .venv (first time 1 min)" >&2
logged "$uv/bin/uv" sync --frozen --all-packages --all-groups
