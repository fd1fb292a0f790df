#!/usr/bin/env bash
# Fetch real ZTF alerts into this folder, where the simulator finds them. See --help.
set -u -o pipefail

here=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")" && pwd)
archive=${FINK_ZTF_ARCHIVE:-https://ztf.uw.edu/alerts/public}
package=fink-science
version=7.4.0
# of the tables in the package, those that hold whole ZTF packets; the others lack cutouts or are of other surveys
tables="alerts 20240606_iband_history CTAO_blazar_datatest_v20-12-24"

help() {
  cat <<TEXT
download_ztf_alert_data.sh [-h] [YYYYMMDD]

Fetches real ZTF alerts into $here:

  YYYYMMDD   a whole night of the public archive ($archive), one
             packet an alert: up to some 300,000 alerts and 20 GB. An interrupted download goes on at the next call.
  nothing    a sample of 586 alerts, out of the source distribution of $package $version (92 MB): the same is
             fetched where the archive cannot be reached.

Environment: FINK_ZTF_ARCHIVE names a mirror of the archive, FINK_PYTHON the Python whose pip is used.
TEXT
}

say() { printf '%s\n' "$*"; }
complain() { printf '%s\n' "$*" >&2; }

# The Python of the installation, else any that has pip.
find_python() {
  local name
  for name in ${FINK_PYTHON:-} "$here/../.venv/bin/python" python3; do
    "$name" -m pip --version >/dev/null 2>&1 && printf '%s\n' "$name" && return 0
  done
  complain "No Python with pip was found: set FINK_PYTHON to one."
  return 1
}

# fetch URL FILE: with progress on a terminal; goes on where an earlier attempt was cut off.
fetch() {
  local quiet=
  if command -v curl >/dev/null; then
    [ -t 2 ] || quiet=--silent
    curl --fail --location --connect-timeout 10 --retry 2 --speed-limit 1000 --speed-time 30 --continue-at - \
      --show-error ${quiet:---progress-bar} --output "$2" "$1"
  elif command -v wget >/dev/null; then
    [ -t 2 ] && quiet=--show-progress
    wget --no-verbose --connect-timeout=10 --read-timeout=30 --tries=3 --continue $quiet --output-document="$2" "$1"
  else
    complain "Neither curl nor wget is installed."
    return 1
  fi
}

# from_archive NIGHT
from_archive() {
  local name=ztf_public_$1.tar.gz count
  if [ ! -s "$here/$name" ]; then
    say "Fetching $archive/$name ..."
    # beside the finished ones under another name: a piece of an archive is no archive
    fetch "$archive/$name" "$here/$name.part" || return 1
    mv "$here/$name.part" "$here/$name" || return 1
  fi
  if ! count=$(tar -tzf "$here/$name" | grep -c '\.avro$'); then
    complain "$name holds no alerts (ZTF has archives without any for nights it did not observe): it is removed."
    rm -f "$here/$name"
    return 1
  fi
  say "Got the night $1 of the public ZTF archive: $count alerts in $here/$name"
}

# Prints how many alerts the simulator finds in a file.
count_alerts() {
  "$1" - "$2" 2>/dev/null <<'PYTHON'
import sys
from fink_broker.simulate.sources import open_source
print(sum(1 for _ in open_source(sys.argv[1], lambda _text: None, synthetic_count=0, seed=0).alerts()))
PYTHON
}

from_package() {
  local python scratch=$1 table sdist all=0 count
  python=$(find_python) || return 1
  say "Fetching the source distribution of $package $version from the package index ..."
  if ! "$python" -m pip download --quiet --disable-pip-version-check --timeout 10 --no-deps --no-binary "$package" \
    --dest "$scratch" "$package==$version" >"$scratch/log" 2>&1; then
    complain "$(tail -n 1 "$scratch/log")"
    return 1
  fi
  for sdist in "$scratch"/*.tar.gz; do
    tar -xzf "$sdist" -C "$scratch" --no-same-owner --wildcards '*/data/alerts/*.parquet' 2>/dev/null ||
      tar -xzf "$sdist" -C "$scratch" --no-same-owner
  done
  for table in $tables; do
    mv "$scratch"/*/*/data/alerts/"$table.parquet" "$here/fink_science_$table.parquet" || return 1
    count=$(count_alerts "$python" "$here/fink_science_$table.parquet") || count=0
    all=$((all + count))
  done
  [ "$all" -gt 0 ] || all="an unknown number of"
  say "Got the sample in $package $version: $all alerts in $here/fink_science_*.parquet"
}

night=
case ${1:-} in
  -h | --help) help; exit 0 ;;
  "") ;;
  [0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]) night=$1 ;;
  *) complain "'$1' is no night: it is written YYYYMMDD. See --help."; exit 1 ;;
esac
if [ -n "$night" ]; then
  from_archive "$night" && exit 0
  complain "The night $night could not be had from $archive; trying the sample instead."
fi
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
from_package "$scratch" && exit 0
tried="the package index could not be reached, or does not have $package $version"
[ -n "$night" ] && tried="neither $archive nor the package index could be reached"
complain "No real alerts were fetched: $tried. The simulator has a synthetic sky: --source synthetic."
exit 1
