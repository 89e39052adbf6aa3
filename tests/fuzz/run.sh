#!/bin/bash
# run.sh [SECONDS [TARGET...]]: builds all fuzz targets at once, and feeds each (or those named) for so many seconds
# (30), one on each core, from its corpus and what former runs have found in target/fuzz/corpus. Fails where one finds
# something, and shows where the input is. Any Rust will do: without a sanitizer no unstable option is needed.
set -euo pipefail
cd "$(dirname "$0")/../.."
export seconds=${1:-30}
fuzz=(--fuzz-dir tests/fuzz)

cargo fuzz build "${fuzz[@]}" --sanitizer none --target-dir target/fuzz
built=target/fuzz/$(rustc -vV | sed -n 's/^host: //p')/release
export built
if (($# > 1)); then targets=("${@:2}"); else mapfile -t targets < <(cargo fuzz list "${fuzz[@]}"); fi

feed() {
  local corpus=target/fuzz/corpus/$1 log=target/fuzz/$1.log
  mkdir -p "$corpus"
  # The address space is bounded, too: what is allocated and never touched is not resident.
  ulimit -v 4194304
  if "$built/$1" -max_total_time="$seconds" -max_len=1024 -timeout=5 -rss_limit_mb=1024 -print_final_stats=1 \
    -artifact_prefix="target/fuzz/$1-" "$corpus" "tests/fuzz/corpus/$1" >"$log" 2>&1; then
    echo "$1: $(grep -aP '^#\d+\tDONE' "$log")"
  else
    echo "$1: found something:" && tail -n 60 "$log"
    return 1
  fi
}
export -f feed
printf '%s\n' "${targets[@]}" | xargs -P "$(nproc)" -I '{}' bash -c 'feed {}'
