#!/bin/bash
# Proves the container image: container.sh ARCHIVE, which packaging/container/build.py made of this commit.
# Needs skopeo, umoci, runc, docker-compose, qemu-user-static, promtool, jq, curl, iproute2, procps, and root.
set -Eeuo pipefail
trap 'echo "line $LINENO failed: $BASH_COMMAND"' ERR
cd "$(dirname "$0")/../.."
archive=$(realpath "$1")
python=$PWD/target/python/bin/python
[[ -x $python ]] || python=python3
export PYTHONDONTWRITEBYTECODE=1

work=$(mktemp -d)
# Producers of other users go through here.
chmod 711 "$work"
job=
pid=
end() {
  [[ -z $job ]] || kill -KILL ${pid:+"$pid"} "$job" 2>/dev/null || true
  runc --root "$work/runs" delete --force it >/dev/null 2>&1 || true
  wait 2>/dev/null
  rm -rf "$work"
}
trap end EXIT

echo "-- the archive is what it says"
(cd "$(dirname "$archive")" && sha256sum --check --quiet SHA256SUMS)
python3 tests/package/container.py "$archive"

echo "-- others take it, too"
version=$(cargo metadata --no-deps --locked --format-version 1 | jq -r '.packages[0].version')
skopeo copy --quiet --all "oci-archive:$archive:$version" "dir:$work/all"
for architecture in amd64 arm64; do
  skopeo copy --quiet --override-arch $architecture "oci-archive:$archive" "oci:$work/layout:$architecture"
  umoci unpack --image "$work/layout:$architecture" "$work/$architecture"
  skopeo inspect "docker-archive:$archive:lifecycle-exporter:$version-$architecture" |
    jq --exit-status --arg architecture $architecture '.Architecture == $architecture' >/dev/null
done

echo "-- the compose file and what belongs to it"
# This docker-compose is older than names in the file.
sed '/^name:/d' packaging/container/compose.yml >"$work/compose.yml"
docker-compose --project-directory packaging/container --file "$work/compose.yml" config --quiet
$python - packaging/container/compose.yml >"$work/addresses" <<'PYTHON'
import sys, yaml
from pathlib import Path

path = Path(sys.argv[1])
compose = yaml.safe_load(path.read_text())
services = compose["services"]
for service in services.values():
    for source in (volume.split(":")[0] for volume in service["volumes"]):
        known = (path.parent / source).exists() if source.startswith(".") else source in compose["volumes"]
        assert known, source
    assert set(service["networks"]) <= {"default", *compose["networks"]}
exporter = services["exporter"]
assert exporter["read_only"] and exporter["cap_drop"] == ["ALL"] and "ports" not in exporter
assert services["recorder"]["group_add"] == ["10048"]
scrape = yaml.safe_load((path.parent / "compose/prometheus.yml").read_text())["scrape_configs"]
assert scrape[0]["static_configs"][0]["targets"] == ["exporter:10048"]
print(services["prometheus"]["networks"]["scrape"]["ipv4_address"])
PYTHON
sed "s|/etc/prometheus/rules|$PWD/packaging/prometheus/rules|" packaging/container/compose/prometheus.yml >"$work/prometheus.yml"
promtool check config "$work/prometheus.yml" >/dev/null
# The exporter lets that Prometheus in, and not the gateway of its network.
program=$work/lifecycle-exporter
install -m 755 "$work/amd64/rootfs/usr/bin/lifecycle-exporter" "$program"
check() {
  "$program" --config packaging/container/compose/exporter/lifecycle-exporter.conf --listen 127.0.0.1:0 \
    --socket "$work/no.sock" check --client "$1"
}
address=$(cat "$work/addresses")
check "$address" | grep -q "^allowed: $address"
(check "${address%.*}.1" 2>&1 || true) | grep -q "denied: "

# Two ways to run the image. Both have the root read-only, the two volumes alone writable, a network of their
# own, and the image's own user, arguments and environment. start_… begins a job with further arguments,
# inside_… runs the program beside the one that runs, pid_… prints the id of its process.

# As Docker does: by its runtime, with the /proc and the /dev that this gives.
start_runc() {
  jq --argjson arguments "$(jq -cn '$ARGS.positional' --args -- "$@")" --arg work "$work" '
    def volume(name; path): {destination: path, type: "bind", source: ($work + "/" + name), options: ["bind", "rw"]};
    .process.terminal = false | .process.args += $arguments | .process.capabilities = {} | .root.readonly = true
    | .mounts |= (map(select(.destination | test("^/sys|lifecycle") | not))
        + [volume("events"; "/run/lifecycle-exporter"), volume("state"; "/var/lib/lifecycle-exporter")])' \
    "$bundle/as-unpacked.json" >"$bundle/config.json"
  runc --root "$work/runs" run --bundle "$bundle" it 2>"$work/log" &
  job=$!
}
inside_runc() { runc --root "$work/runs" exec it /usr/bin/lifecycle-exporter "$@"; }
pid_runc() { runc --root "$work/runs" state it 2>/dev/null | jq .pid; }

# In namespaces, with what the image holds and nothing else: neither /proc nor /dev.
start_bare() {
  local words environment user
  mapfile -t words < <(jq -r '.process.args[]' "$bundle/as-unpacked.json")
  mapfile -t environment < <(jq -r '.process.env[]' "$bundle/as-unpacked.json")
  user=$(jq -r '.process.user | "\(.uid):\(.gid)"' "$bundle/as-unpacked.json")
  # shellcheck disable=SC2016 # These expand there.
  root=$bundle/rootfs work=$work unshare --mount --pid --net --ipc --uts --fork --kill-child bash -euc '
    mount --bind "$root" "$root"
    mount --bind "$work/events" "$root/run/lifecycle-exporter"
    mount --bind "$work/state" "$root/var/lib/lifecycle-exporter"
    mount -o remount,bind,ro "$root"
    ip link set lo up
    exec setpriv --no-new-privs env --ignore-environment "$@"
  ' bash "${environment[@]}" "$(command -v chroot)" --userspec="$user" --groups= "$bundle/rootfs" "${words[@]}" "$@" \
    2>"$work/log" &
  job=$!
}
inside_bare() {
  nsenter --target "$pid" --mount --net --pid --root --wd --setuid 10048 --setgid 10048 /usr/bin/lifecycle-exporter "$@"
}
pid_bare() { pgrep --parent "$job"; }

# Waits until it serves; then $pid is its process.
serve() {
  "start_$runtime"
  for _ in $(seq 200); do
    grep -q "metrics on" "$work/log" && break
    kill -0 "$job" 2>/dev/null || break
    sleep 0.05
  done
  grep -q "metrics on 0.0.0.0:10048" "$work/log" || { cat "$work/log"; exit 1; }
  pid=$("pid_$runtime")
}
# Expects this exit code of what was started.
ends_with() {
  local code=0
  wait "$job" || code=$?
  job=
  ((code == $1)) || { cat "$work/log"; echo "it ended with $code, not $1"; exit 1; }
}
ask() { nsenter --target "$pid" --net curl -sS --noproxy '*' "$@"; }
shows() { ask http://127.0.0.1:10048/metrics | grep -q -x -F "$1" || { echo "no $1"; exit 1; }; }
# A producer in another container: a user of its own, here with this group beside it.
produce() {
  local groups=$1
  shift
  setpriv --reuid=20000 --regid=20000 "$groups" env LIFECYCLE_EVENTS_SOCKET="$work/events/events.sock" "$program" \
    --config /dev/null "$@"
}
expects() {
  local code=0
  "${@:2}" >"$work/said" 2>&1 || code=$?
  ((code == $1)) || { cat "$work/said"; echo "${*:2}: $code, not $1"; exit 1; }
}

# Whether this machine lets runc start a container at all.
runc_works() {
  mountpoint -q /sys/fs/cgroup || return 1
  bundle=$work/probe
  umoci unpack --image "$work/layout:amd64" "$bundle"
  cp "$bundle/config.json" "$bundle/as-unpacked.json"
  mkdir -p "$work/events" "$work/state"
  start_runc --version
  wait "$job"
}

runtimes=(bare)
if runc_works >/dev/null; then
  runtimes+=(runc)
else
  echo "skipped: runc cannot start a container here: $(cat "$work/log" 2>/dev/null || echo 'no cgroups')"
fi
job=
for runtime in "${runtimes[@]}"; do
  echo "-- it runs ($runtime): read-only, without a capability, as its user"
  bundle=$work/$runtime
  umoci unpack --image "$work/layout:amd64" "$bundle"
  cp "$bundle/config.json" "$bundle/as-unpacked.json"
  # As Docker makes a volume: with owner and mode of the folder in the image.
  rm -rf "$work/events" "$work/state"
  cp -a "$bundle/rootfs/run/lifecycle-exporter" "$work/events"
  cp -a "$bundle/rootfs/var/lib/lifecycle-exporter" "$work/state"
  serve
  status=$(tr '\t' ' ' <"/proc/$pid/status")
  for line in "Uid: 10048 10048 10048 10048" "Gid: 10048 10048 10048 10048" "CapEff: 0000000000000000" "NoNewPrivs: 1"; do
    grep -q -x -F "$line" <<<"$status" || { echo "no $line"; echo "$status"; exit 1; }
  done
  # Not even root could write there.
  expects 1 touch "/proc/$pid/root/etc/lifecycle-exporter/new"
  grep -q "Read-only file system" "$work/said"
  # A process that is the first of its namespace has to take its signals itself, and SIGTERM ends it.
  grep -q -x -E "NSpid: [0-9]+ 1" <<<"$status"

  echo "-- producers of its group write, others do not"
  expects 0 produce --groups=10048 send recording.started backend=https://cloud.example.com recording=r1
  expects 1 produce --clear-groups send recording.started backend=https://cloud.example.com recording=r2
  grep -q -i "permission denied\|may not write" "$work/said"
  shows 'recording_recordings_total{backend="https://cloud.example.com"} 1'
  shows 'recording_recordings_current{backend="https://cloud.example.com"} 1'
  # Only its own container is let in by the configuration of the image.
  [[ $(ask --interface 127.0.0.2 -o "$work/said" -w '%{http_code}' http://127.0.0.1:10048/metrics) == 403 ]]

  echo "-- the health check"
  expects 0 "inside_$runtime" check --alive
  kill -STOP "$pid"
  expects 1 "inside_$runtime" check --alive
  kill -CONT "$pid"
  expects 0 "inside_$runtime" check --alive

  echo "-- it stops by SIGTERM, and goes on with what it had, after a kill, too"
  kill -TERM "$pid"
  ends_with 0
  [[ ! -e $work/events/events.sock ]]
  "start_$runtime" check --alive
  ends_with 1
  grep -q "127.0.0.1:10048" "$work/log"
  serve
  shows 'recording_recordings_total{backend="https://cloud.example.com"} 1'
  shows 'recording_recordings_current{backend="https://cloud.example.com"} 1'
  expects 0 produce --groups=10048 send recording.stopped backend=https://cloud.example.com recording=r1
  kill -KILL "$pid"
  wait "$job" || true
  [[ $runtime != runc ]] || runc --root "$work/runs" delete --force it 2>/dev/null || true
  serve
  shows 'recording_recordings_total{backend="https://cloud.example.com"} 1'
  shows 'recording_recordings_current{backend="https://cloud.example.com"} 0'
  kill -TERM "$pid"
  ends_with 0
done

echo "-- the program for arm64, emulated"
emulated() { qemu-aarch64-static "$work/arm64/rootfs/usr/bin/lifecycle-exporter" --config /dev/null "$@"; }
[[ $(emulated --version) == "lifecycle-exporter $version" ]]
echo '{"event":"recording.started","backend":"b","recording":"r"}' | emulated check --try - |
  grep -q -x -F 'recording_recordings_total{backend="b"} 1'

echo "-- a build in another folder is the same (amd64)"
git clone --quiet . "$work/elsewhere"
CARGO_TARGET_DIR=$work/target "$work/elsewhere/packaging/container/build.py" --platform amd64 "$work/second" >/dev/null
# The manifest of a platform has the sums of all that is in its image.
digest() {
  skopeo inspect --raw "oci-archive:$1" |
    jq --exit-status --raw-output '.manifests[] | select(.platform.architecture == "amd64").digest'
}
[[ $(digest "$archive") == $(digest "$work"/second/*.oci.tar) ]]
echo "-- the same build again is the same archive"
packaging/container/build.py "$work/again" >/dev/null
cmp "$archive" "$work"/again/*.oci.tar
ls -l "$archive"
