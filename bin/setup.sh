# Sourced by bin/fink and bin/fink_test: on first use create <root>/.venv with everything in it.
# shellcheck shell=bash

FINK_PYTHON_LEAST="3.11"

fink_say() { printf '%s\n' "$*" >&2; }

fink_hash() {
  if command -v sha256sum >/dev/null; then sha256sum <"$1"; else shasum -a 256 <"$1"; fi
}

# The first python3 on the PATH that is new enough.
fink_find_python() {
  local name
  for name in ${FINK_PYTHON:-} python3 python3.14 python3.13 python3.12 python3.11; do
    if "$name" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      printf '%s\n' "$name"
      return 0
    fi
  done
  fink_say "Fink needs Python $FINK_PYTHON_LEAST or newer with its venv module, and found none." \
    "Install it (Debian, Ubuntu: apt-get install python3 python3-venv), or set FINK_PYTHON to one."
  return 3
}

# What one process does while it alone holds the lock: build .venv, stamp it when it is whole.
fink_install() {
  local root=$1 wanted=$2 python=$3 venv=$1/.venv log
  # another process may just have done it
  [ "$(cat "$venv/.stamp" 2>/dev/null)" = "$wanted" ] && [ -x "$venv/bin/python" ] && return 0
  log=$root/.fink/setup.log
  rm -f "$venv/.stamp"
  fink_say "First use, or changed requirements: installing into $venv (log: $log)"
  fink_say "  1/3 creating the Python environment"
  # --clear: whatever an interrupted installation left is not trusted
  "$python" -m venv --clear "$venv" >"$log" 2>&1 || { fink_failed "$log"; return 3; }
  fink_say "  2/3 installing $(grep -c '^[a-zA-Z]' "$root/requirements.txt") pinned packages and what they need (about a minute)"
  fink_packages "$venv" "$log" "$root" || { fink_failed "$log"; return 3; }
  fink_say "  3/3 fetching the Java parts"
  # compiled meanwhile on all cores, for whoever may not write here; the packages' own tests are never imported
  "$venv/bin/python" -m compileall -q -j 0 -x 'site-packages/.*/tests?/' "$venv"/lib/python*/site-packages >>"$log" 2>&1 &
  "$venv/bin/python" -m fink_broker.service.java_parts ||
    fink_say "Going on without them: \`fink init\` and each start try again."
  "$venv/bin/python" -m fink_broker.service.web_parts >>"$log" 2>&1 ||
    fink_say "Going on without Aladin Lite: \`fink start portal\` tries again."
  wait $! # what cannot be compiled is a template, never imported
  printf '%s' "$wanted" >"$venv/.stamp"
  rm -f "$log"
}

# The pinned packages and the broker itself: by uv, in a third of pip's time, else by pip. uv reads none of pip's
# settings: pip installs where they name another way to the packages, and tries where uv has failed.
fink_packages() {
  local venv=$1 log=$2 root=$3 uv
  local wanted=(--requirement "$root/requirements.txt" --editable "$root")
  uv=$(grep '^uv==' "$root/requirements.txt")
  if [ -n "$uv" ] && ! fink_pip_goes_elsewhere "$venv" &&
    fink_logged "$log" "$venv/bin/python" -m pip install --only-binary=:all: "$uv" &&
    fink_logged "$log" "$venv/bin/uv" --directory "$root" pip install --python "$venv/bin/python" "${wanted[@]}"; then
    return 0
  fi
  fink_logged "$log" "$venv/bin/python" -m pip install --no-compile "${wanted[@]}"
}

# Whether pip is set up to go to another index, or through something.
fink_pip_goes_elsewhere() {
  "$1/bin/python" -m pip config list 2>/dev/null |
    grep -E '\.((extra-)?index-url|no-index|proxy|client-cert|trusted-host|constraint)=' >/dev/null
}

# Run a program; what it prints goes to the log.
fink_logged() {
  local log=$1
  shift
  if [ -t 2 ]; then # one line that is overwritten says what it is doing
    "$@" 2>&1 | tee -a "$log" |
      while IFS= read -r line; do printf '\r\033[K      %.70s' "$line" >&2; done
    local code=${PIPESTATUS[0]}
    printf '\r\033[K' >&2
    return "$code"
  fi
  "$@" >>"$log" 2>&1
}

fink_failed() {
  fink_say "The installation failed; it is done again at the next call. The last lines of $1:"
  tail -n 5 "$1" >&2
}

# Make <root>/.venv ready; quick where it is.
fink_setup() {
  local root=$1 wanted python stamp=$1/.venv/.stamp
  wanted=$(fink_hash "$root/requirements.txt")
  [ -r "$stamp" ] && [ "$(<"$stamp")" = "$wanted" ] && [ -x "$root/.venv/bin/python" ] && return 0
  python=$(fink_find_python) || return 3
  mkdir -p "$root/.fink" || return 3
  (
    # The lock belongs to file descriptor 9, hence to this subshell, and goes with it however it ends.
    exec 9>"$root/.fink/setup.lock"
    "$python" -c 'import fcntl; fcntl.flock(9, fcntl.LOCK_EX | fcntl.LOCK_NB)' 2>/dev/null || {
      fink_say "Waiting for another fink that is installing ..."
      "$python" -c 'import fcntl; fcntl.flock(9, fcntl.LOCK_EX)'
    }
    fink_install "$root" "$wanted" "$python"
  )
}
