#!/bin/bash
# Runs inside a freshly booted Debian in which the package is to prove itself, and once more after a reboot. Whatever fails ends it.
set -Eeuo pipefail
export SYSTEMD_PAGER='' DEBIAN_FRONTEND=noninteractive
# To standard error, since it is said within $(…), too, where the output is a value.
trap 'echo "FAILED in line $LINENO: $BASH_COMMAND" >&2' ERR

step() { printf '== %s\n' "$*"; }
metrics() { curl -sS --fail http://127.0.0.1:10048/metrics; }
value() { metrics | sed -n "s|^$1 ||p"; }
expect() {
  local found
  found=$(value "$1")
  [[ $found == "$2" ]] || { echo "$1 is ${found:-missing}, not $2"; return 1; }
}
# Inverted by !, a command that succeeds would not end the script.
not() { ! "$@"; }
# until_true SECONDS COMMAND…
until_true() {
  local end=$((SECONDS + $1))
  shift
  until "$@"; do ((SECONDS < end)) || { echo "never true: $*"; return 1; }; read -rt 0.2 <> <(:) || true; done
}
current='recording_recordings_current{backend="b"}'
total='recording_recordings_total{backend="b"}'

failed='recording_recordings_failed_total{backend="b"}'
. /root/newcomer.sh
. /root/follow.sh

after_reboot() {
  step "a reboot ends what was open without a session, and keeps the counts"
  until_true 30 systemctl is-active --quiet lifecycle-exporter.service
  until_true 90 expect "$current" 0
  expect "$total" 3
  # Of the three that were open two belonged to nobody, and the grace time of the third is over.
  expect "$failed" 3
  expect 'recording_recordings_failed_total{backend="load"}' 100000
  expect 'vlog_videos_total{status="ready"}' 1
  journalctl -u lifecycle-exporter.service --boot | grep "started anew"

  follow_after_reboot

  step "remove keeps configuration and state, purge leaves nothing"
  dpkg -r lifecycle-exporter
  expect_no_follower
  [[ -e /etc/lifecycle-exporter/lifecycle-exporter.conf && -e /var/lib/private/lifecycle-exporter ]]
  [[ ! -e /run/lifecycle-exporter/events.sock ]]
  dpkg -P lifecycle-exporter
  for path in /etc/lifecycle-exporter /var/lib/lifecycle-exporter /var/lib/private/lifecycle-exporter /var/lib/lifecycle-follow /usr/bin/lifecycle-exporter; do
    [[ ! -e $path ]] || { echo "$path is left"; exit 1; }
  done
  echo "GUEST OK"
}

if [[ -e /root/booted ]]; then
  after_reboot
  exit
fi

cd /root
follow_the_readme

step "what the installation has started"
systemctl is-active lifecycle-exporter.service lifecycle-exporter.socket
systemctl show -P StatusText lifecycle-exporter.service
pid=$(systemctl show -P MainPID lifecycle-exporter.service)
grep -E '^(Seccomp|NoNewPrivs):' "/proc/$pid/status"
grep -q '^Seccomp:.*2$' "/proc/$pid/status"
[[ $(stat -c %U "/proc/$pid") != root ]]
[[ $(stat -c '%a %G' /run/lifecycle-exporter/events.sock) == '660 lifecycle-feed' ]]

step "what it may use is bounded, and it is started again for ever"
limit() { [[ $(systemctl show -P "$1" lifecycle-exporter.service) == "$2" ]]; }
limit MemoryMax $((1 << 30))
limit TasksMax 64
limit LimitCORE 0
limit LogRateLimitBurst 3000
limit StartLimitIntervalUSec 0
limit Restart on-failure

step "a member of the group writes, others do not"
useradd --groups lifecycle-feed member
useradd stranger
runuser -u member -- lifecycle-exporter send recording.started backend=b recording=r1
not runuser -u stranger -- lifecycle-exporter send recording.started backend=b recording=r2
echo '{"event":"recording.started","backend":"b","recording":"r3"}' | runuser -u member -- socat -u - UNIX-CONNECT:/run/lifecycle-exporter/events.sock
until_true 10 expect "$current" 2

step "a restart keeps counts"
systemctl restart lifecycle-exporter.service
expect "$current" 2
expect "$total" 2

step "a reload with a broken file keeps the old settings"
cp /etc/lifecycle-exporter/lifecycle-exporter.conf /root/kept.conf
printf '[events]\nnonsense = 1\n' >>/etc/lifecycle-exporter/lifecycle-exporter.conf
systemctl reload lifecycle-exporter.service
until_true 10 expect lifecycle_exporter_config_last_reload_successful 0
expect "$current" 2
cp /root/kept.conf /etc/lifecycle-exporter/lifecycle-exporter.conf
systemctl reload lifecycle-exporter.service
until_true 10 expect lifecycle_exporter_config_last_reload_successful 1

step "an upgrade under load loses nothing"
seq 100000 | sed 's|.*|{"event":"recording.started","backend":"load","recording":"&"}|' >/root/lines
chmod 755 /root && chmod 644 /root/lines
runuser -u member -- sh -c 'lifecycle-exporter send - </root/lines' &
sender=$!
for _ in 1 2 3; do dpkg -i /root/package.deb >/dev/null; done
wait "$sender"
expect 'recording_recordings_total{backend="load"}' 100000
expect "$total" 2

step "the watchdog bites a stopped process"
mkdir -p /run/systemd/system/lifecycle-exporter.service.d
printf '[Service]\nWatchdogSec=3s\n' >/run/systemd/system/lifecycle-exporter.service.d/test.conf
systemctl daemon-reload
systemctl restart lifecycle-exporter.service
pid=$(systemctl show -P MainPID lifecycle-exporter.service)
kill -STOP "$pid"
bitten() { [[ $(systemctl show -P NRestarts lifecycle-exporter.service) -ge 1 ]]; }
until_true 60 bitten
until_true 30 systemctl is-active --quiet lifecycle-exporter.service
until_true 10 expect "$total" 2

step "[http] listen is in force, seen from outside the loopback"
ip netns add outside
ip link add veth0 type veth peer name veth1 netns outside
ip address add 10.77.0.1/24 dev veth0
ip link set veth0 up
ip -n outside address add 10.77.0.2/24 dev veth1
ip -n outside link set veth1 up
outside() { ip netns exec outside curl -sS --fail --max-time 10 http://10.77.0.1:9100/metrics; }
printf '[http]\nlisten = 10.77.0.1:9100, 127.0.0.1:10048\n[stats]\nallowed_ips = 127.0.0.1, 10.77.0.2\n' >/etc/lifecycle-exporter/lifecycle-exporter.conf
systemctl restart lifecycle-exporter.service
not systemctl is-active lifecycle-exporter-http.socket
outside | grep -F "$total 2"
lifecycle-exporter check
not grep "no effect" <(lifecycle-exporter check)

step "a socket that systemd passes instead is a warning"
systemctl stop lifecycle-exporter.service
systemctl start lifecycle-exporter-http.socket
systemctl start lifecycle-exporter.service
not outside
expect "$total" 2
journalctl -u lifecycle-exporter.service --boot | grep "has no effect: systemd passes a socket that listens on 127.0.0.1:10048"
lifecycle-exporter check | grep "has no effect: lifecycle-exporter-http.socket is active"
systemctl stop lifecycle-exporter.service lifecycle-exporter-http.socket
cp /root/kept.conf /etc/lifecycle-exporter/lifecycle-exporter.conf
systemctl start lifecycle-exporter.service

follow_before_reboot

step "what is open when the machine goes down"
echo '{"event":"vlog.video.added","video":"v","status":"ready"}' | socat -u - UNIX-CONNECT:/run/lifecycle-exporter/events.sock
systemd-run --unit=producer sh -c '(printf "{\"hello\":\"p\",\"instance\":\"1\"}\n{\"event\":\"recording.started\",\"backend\":\"b\",\"recording\":\"owned\"}\n"; sleep infinity) | socat - UNIX-CONNECT:/run/lifecycle-exporter/events.sock'
until_true 10 expect "$current" 3
touch /root/booted
sync
echo "PHASE 1 OK"
