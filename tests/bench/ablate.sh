#!/bin/bash
# ablate.sh NAME...: what a hand-written path is worth. Copies the sources, puts the general path or a library in
# its place (ablations/NAME.patch), and counts the instructions of the copy beside those in counts.txt. Without
# names: all patches.
set -euo pipefail
cd "$(dirname "$0")/../.."
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/target/ablations}"
names=("$@")
if (($# == 0)); then
  for patch in tests/bench/ablations/*.patch; do names+=("$(basename "$patch" .patch)"); done
fi
for name in "${names[@]}"; do
  # Outside the target directory: cargo takes sources within it for unchanged.
  scratch=$(mktemp -d)
  git ls-files -z | tar --create --null --files-from=- | tar --extract --directory="$scratch"
  patch --quiet --strip=1 --directory="$scratch" <"tests/bench/ablations/$name.patch"
  # The copies share one target directory, so each has to be compiled anew.
  rm -rf "$CARGO_TARGET_DIR"/release/.fingerprint/lifecycle-exporter-*
  echo "$name:"
  # It fails where the path is worth more than 5 %, which is the point.
  "$scratch/tests/bench/count.sh" || true
  rm -rf "$scratch"
done
