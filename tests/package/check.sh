#!/bin/bash
# Builds the Debian package and checks what can be checked without a booted system: check.sh DIRECTORY leaves the packages there.
set -euo pipefail
cd "$(dirname "$0")/../.."
out=$(realpath -m "$1")
mkdir -p "$out"
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH

echo "-- two builds in two folders are the same"
cargo deb --locked --quiet --output "$out/"
other=$(mktemp -d)
trap 'rm -rf "$other"' EXIT
git clone --quiet . "$other/elsewhere"
(cd "$other/elsewhere" && CARGO_TARGET_DIR="$other/target" cargo deb --locked --quiet --output "$other/")
package=$(ls "$out"/lifecycle-exporter_*_amd64.deb)
cmp "$package" "$other/$(basename "$package")"
sha256sum "$package"

echo "-- lintian"
found=$(lintian --allow-root --tag-display-limit 0 "$package" | grep -v '^N:' || true)
[[ -z $found ]] || { echo "$found"; exit 1; }

echo "-- the binary is stripped and below 3 MiB"
dpkg-deb -x "$package" "$other/root"
binary=$other/root/usr/bin/lifecycle-exporter
(($(stat -c %s "$binary") < 3145728))
file "$binary" | grep -q ', stripped'

echo "-- the binary says which commit it is of"
grep --quiet --text --fixed-strings "$(git rev-parse --short=12 HEAD)" "$binary"

echo "-- the clients are whole"
(
  cd /
  PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$other/root/usr/lib/python3/dist-packages \
    python3 -c 'import lifecycle_events.asgi, lifecycle_events.talk_recording'
  shipped=$other/root/usr/share/lifecycle-exporter
  node -e "new (require('$shipped/producers/node').Client)(); require('$shipped/producers/node/mediasoup.js').observe"
  (cd "$shipped/producers/go" && go vet .)
  promtool check rules "$shipped"/prometheus/rules/*.yml >/dev/null
)

echo "-- the units are as systemd wants them, and closed"
mkdir "$other/units"
cp "$other"/root/usr/lib/systemd/system/* "$other/units/"
sed -i "s|^ExecStart=/usr/bin|ExecStart=$other/root/usr/bin|" "$other"/units/*.service
# The pauses between restarts grow where systemd knows how.
said=$(systemd-analyze verify --man=no "$other"/units/* 2>&1 | grep -i lifecycle |
  grep -vE "Unknown key( name)? '(RestartSteps|RestartMaxDelaySec)'" || true)
[[ -z $said ]] || { echo "$said"; exit 1; }
for unit in "$other"/units/*.service; do
  systemd-analyze security --offline=true --no-pager --threshold=15 "$unit" | tail -n 1
done

if rustup target list --installed 2>/dev/null | grep -q aarch64-unknown-linux-gnu && command -v aarch64-linux-gnu-gcc >/dev/null; then
  echo "-- for arm64"
  CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc \
    cargo deb --locked --quiet --target aarch64-unknown-linux-gnu --output "$out/"
  found=$(lintian --allow-root "$out"/lifecycle-exporter_*_arm64.deb | grep -v '^N:' || true)
  [[ -z $found ]] || { echo "$found"; exit 1; }
else
  echo "skipped: arm64, for lack of its standard library or linker"
fi
