#!/usr/bin/env bash
# Makes .venv from requirements.lock: with uv, which comes from PyPI into the environment itself.
# As root the environment is built from a Python that other users can run, since services run as such.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-/usr/bin/python3}
say() { printf '\033[1m==>\033[0m %s\n' "$*"; }

if [ "$(id -u)" = 0 ]; then
  case "$(readlink -f "$(command -v "$python" || echo /root/none)")" in
    "$HOME"/* | /root/*) python=/usr/bin/python3 ;;
  esac
fi
if ! "$python" -c 'import sys; raise SystemExit(sys.version_info < (3, 11))' 2>/dev/null; then
  echo "error: Python 3.11 or newer is needed at $python (PYTHON=... chooses another one)" >&2
  echo "       on Debian: apt-get install python3 python3-venv" >&2
  exit 1
fi
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    say "getting python3-venv (apt-get)"
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv >/dev/null
  else
    echo "error: python3-venv is missing; on Debian: apt-get install python3-venv" >&2
    exit 1
  fi
fi
started=$SECONDS
if [ ! -x .venv/bin/uv ]; then
  say "making .venv with $("$python" --version) and getting uv"
  "$python" -m venv .venv
  .venv/bin/python -m pip install --quiet --require-hashes --no-deps -r scripts/uv.lock
fi
say "installing $(grep -c '==' requirements.lock) packages of requirements.lock (500 MB to download the first time)"
# Services may not write there: without bytecode each start of each cell would compile all its imports again.
quiet=--quiet
[ -t 1 ] && quiet=
.venv/bin/uv pip sync $quiet --compile-bytecode --python .venv/bin/python requirements.lock
cat > .venv/bin/voicehelper <<'LAUNCHER'
#!/bin/sh
# Runs the command from the checkout that this environment belongs to.
root=$(CDPATH= cd -- "$(dirname -- "$(readlink -f -- "$0")")/../.." && pwd)
for room in crds core operator control_plane router cell analytics cli embedded; do
  PYTHONPATH=${PYTHONPATH:+$PYTHONPATH:}$root/$room
done
export PYTHONPATH
exec "$root/.venv/bin/python" -m voicehelper_cli "$@"
LAUNCHER
chmod 755 .venv/bin/voicehelper
touch .venv/.synced
say "environment ready after $((SECONDS - started)) s"
