#!/bin/sh
# Install uv, which installs everything else in Python, into the cache outside the checkout.
set -eu
version=0.13.9
cache=${HEADRACE_CACHE:-$HOME/.cache/headrace}
uv=$cache/toolchain/uv-$version
[ -x "$uv/bin/uv" ] && exit 0
if ! python3 -c 'import ensurepip' 2>/dev/null; then
  echo "installing python3-venv (needed once)"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-venv ca-certificates >/dev/null
fi
echo "installing uv $version into $uv (cached)"
rm -rf "$uv"
python3 -m venv "$uv"
"$uv/bin/pip" install --quiet --disable-pip-version-check "uv==$version"
