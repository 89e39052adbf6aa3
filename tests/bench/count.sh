#!/bin/bash
# Counts the instructions of the hot path under callgrind, beside those in counts.txt. Fails where one has changed by
# more than 5 %; --write keeps the new ones. A change that costs is a change that says so.
set -euo pipefail
cd "$(dirname "$0")/../.."
kept=tests/bench/counts.txt
events=20000
scrapes=20

program=$(cargo bench --locked --no-run --bench hot_path --message-format=json 2>/dev/null |
  sed -n 's/.*"name":"hot_path".*"executable":"\([^"]*\)".*/\1/p')
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# instructions PART COUNT [SYSTEM]: of a run that does the part so many times, without what a run of none takes
instructions() {
  local totals=()
  for count in 0 "$2"; do
    valgrind --tool=callgrind --callgrind-out-file="$scratch/out" "$program" "$1" "$count" ${3:+"$3"} 2>"$scratch/said" >/dev/null
    totals+=("$(sed -n 's/.*Collected : \([0-9]*\).*/\1/p' "$scratch/said")")
  done
  echo $((totals[1] - totals[0]))
}

{
  for system in "" recording signaling proxy edumeet vlog; do
    make=$(instructions make "$events" "$system")
    for part in parse parse-serde apply; do
      echo "$part${system:+-$system} $((($(instructions "$part" "$events" "$system") - make) / events))"
    done
  done
  for part in render churn; do
    echo "$part $(($(instructions "$part" "$scrapes") / scrapes / 10000))"
  done
} >"$scratch/counts"

if [[ "${1:-}" == --write ]]; then
  cp "$scratch/counts" "$kept"
fi
printf '%-21s %12s %12s %9s   instructions an event, or a series\n' '' kept now change
failed=0
while read -r part now; do
  was=$(sed -n "s/^$part //p" "$kept")
  change=$(awk -v now="$now" -v was="$was" 'BEGIN { printf "%.1f", (now - was) * 100 / was }')
  printf '%-21s %12s %12s %8s%%\n' "$part" "$was" "$now" "$change"
  awk -v change="$change" 'BEGIN { exit !(change > 5 || change < -5) }' && failed=1
done <"$scratch/counts"
if ((failed)); then
  echo "a part has changed by more than 5 %: if that is meant, tests/bench/count.sh --write" >&2
  exit 1
fi
