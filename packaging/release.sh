#!/bin/bash
# The check-list of a release: release.sh DIRECTORY leaves there what is published, with its checksums. It stops at the first
# thing that is not right, and publishes nothing itself.
set -euo pipefail
cd "$(dirname "$0")/.."
out=$(realpath -m "${1:?usage: packaging/release.sh DIRECTORY}")
mkdir -p "$out"

step() { printf '\n== %s\n' "$*"; }
fail() { echo "release.sh: $*" >&2; exit 1; }

step "nothing is left to commit"
[[ -z $(git status --porcelain) ]] || fail "commit or remove what git status lists"

step "one version everywhere"
version=$(cargo metadata --no-deps --locked --format-version 1 | python3 -c 'import json, sys; print(json.load(sys.stdin)["packages"][0]["version"])')
for place in "CHANGELOG.md:## $version" "packaging/debian/changelog:lifecycle-exporter ($version-1)" \
  "packaging/producers/python/pyproject.toml:version = \"$version\"" "packaging/producers/node/package.json:\"version\": \"$version\"" \
  "README.md:lifecycle-exporter_$version-1_amd64.deb" "packaging/container/compose.yml:lifecycle-exporter:$version"; do
  grep --quiet --fixed-strings "${place#*:}" "${place%%:*}" || fail "${place%%:*}: expected ${place#*:}"
done
[[ $(grep --max-count 1 '^## ' CHANGELOG.md) == "## $version" ]] || fail "CHANGELOG.md: expected $version at the top"
! git rev-parse --quiet --verify "refs/tags/v$version" >/dev/null || fail "the tag v$version exists already"

step "everything is tested"
.ci/run

step "the sources"
cargo package --locked
cp "target/package/lifecycle-exporter-$version.crate" "$out/"

step "the packages, the same from two builds"
tests/package/check.sh "$out"

step "the container image"
packaging/container/build.py "$out"
tests/package/container.sh "$out/lifecycle-exporter-$version.oci.tar"

step "checksums"
(cd "$out" && sha256sum -- *.crate *.deb *.oci.tar | tee SHA256SUMS)

cat <<END

Left for a person:
  - read CHANGELOG.md once more: does it say what a user has to change?
  - git tag --sign v$version && git push --tags
  - publish all of $out
END
