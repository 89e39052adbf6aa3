#!/bin/bash
# Counts the lines of code that events pass: those that run for one event in sixteen of a mix, or for more. A faster way
# is to be no longer than the one before. Needs the compiler's component llvm-tools.
set -euo pipefail
cd "$(dirname "$0")/../.."
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/target/length}"
events=200000
tools=$(dirname "$(find "$(rustc --print sysroot)" -name llvm-cov)")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export LLVM_PROFILE_FILE="$scratch/%m_%p.profraw"

program=$(RUSTFLAGS="-C instrument-coverage" cargo bench --locked --no-run --bench hot_path --message-format=json 2>/dev/null |
  sed -n 's/.*"name":"hot_path".*"executable":"\([^"]*\)".*/\1/p')
for system in "" recording signaling proxy edumeet vlog; do
  rm -f "$scratch"/*.profraw
  "$program" apply "$events" ${system:+"$system"}
  "$tools/llvm-profdata" merge -o "$scratch/profile" "$scratch"/*.profraw
  # SF:FILE, then DA:LINE,RUNS of each line.
  "$tools/llvm-cov" export "$program" -instr-profile="$scratch/profile" -format=lcov "$PWD/src" 2>/dev/null |
    awk -v most=$((events / 16)) -F '[:,]' '$1 == "SF" { file = $2 } $1 == "DA" && $3 >= most { print file, $2 }'
done | sort -u | cut -d ' ' -f 1 | grep -v -e /internals -e /tests | sed "s|^$PWD/||" | uniq -c |
  awk '{ print; all += $1 } END { printf "%7d lines\n", all }'
