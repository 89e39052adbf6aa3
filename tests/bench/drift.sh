#!/bin/bash
# Two runs of the side-by-side bench, made at different hours: lists the medians that differ by more than 20 %.
set -euo pipefail
cd "$(dirname "$0")/figures"

echo '| what | earlier | later | later to earlier |'
echo '| :-- | --: | --: | --: |'
# A line that begins with "…" belongs to the last one that does not.
awk -F ' *[|] *' '
  !/^[|]/ || $2 == "what" || $2 ~ /^:?-/ || $4 == "" { next }
  { if ($2 ~ /^…/) name = of " " $2; else name = of = $2 }
  { if (count[FILENAME, name]++) name = name " (" count[FILENAME, name] ")" }
  NR == FNR { median[name] = $4; next }
  name in median && median[name] > 0 {
    ratio = $4 / median[name]
    if (ratio > 1.2 || ratio < 1 / 1.2) printf "| %s | %s | %s | %.2f |\n", name, median[name], $4, ratio
  }
' earlier.md figures.md
