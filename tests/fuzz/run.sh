#!/bin/bash
# run.sh [SECONDS [TARGET...]]: builds all fuzz targets at once, and feeds each (or those named) for so many seconds
# (30), from its corpus and what former runs have found in target/fuzz/corpus. Fails at the first finding, and says where
# the input is. Any Rust will do: without a sanitizer nothing of the compiler's unstable options is needed.
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=${1:-30}
fuzz=(--fuzz-dir tests/fuzz)
built=target/fuzz/$(rustc -vV | sed -n 's/^host: //p')/release

cargo fuzz build "${fuzz[@]}" --sanitizer none --target-dir target/fuzz
if (($# > 1)); then targets=("${@:2}"); else mapfile -t targets < <(cargo fuzz list "${fuzz[@]}"); fi
# The address space is bounded, too: what is allocated and never touched does not count as resident.
ulimit -v 4194304
for target in "${targets[@]}"; do
  corpus=target/fuzz/corpus/$target
  mkdir -p "$corpus"
  if ! "$built/$target" -max_total_time="$seconds" -max_len=1024 -timeout=5 -rss_limit_mb=1024 -print_final_stats=1 \
    -artifact_prefix="target/fuzz/$target-" "$corpus" "tests/fuzz/corpus/$target" >"target/fuzz/$target.log" 2>&1; then
    tail -n 40 "target/fuzz/$target.log"
    exit 1
  fi
  grep -E '^#.* DONE ' "target/fuzz/$target.log" | sed "s/^/$target: /"
done
