# Sourced by guest.sh, whose functions it uses: lifecycle-follow@.service follows what a unit writes to its journal. The journal
# itself says what has to be counted.

doors='doors_passed_total{door="front"}'
sum='doors_numbers_total{door="front"}'
last='doors_last_seconds{door="front"}'
follower=lifecycle-follow@doors.service

# A server that cannot be changed: it logs from early in the boot to the machine's end, as fast as this machine allows.
make_doors() {
  cat >/root/doors.sh <<'SCRIPT'
#!/bin/bash
exec {never}<> <(:)
for ((number = 1; ; number++)); do
  echo "passed front $number"
  read -rt 0.1 -u "$never" || true
done
SCRIPT
  chmod +x /root/doors.sh
  cat >/etc/systemd/system/doors.service <<'UNIT'
[Unit]
DefaultDependencies=no
[Service]
ExecStart=/root/doors.sh
[Install]
WantedBy=sysinit.target
UNIT
  cat >/etc/lifecycle-exporter/catalog.d/doors.ini <<'CATALOG'
[system]
name  = doors
title = Doors
[metric doors_passed_total]
type   = counter
help   = Passages
labels = door
[metric doors_numbers_total]
type   = counter
help   = Sum of the numbers in the log
labels = door
[metric doors_last_seconds]
type   = gauge
help   = When one was passed last
labels = door
[event doors.passed]
inc = doors_passed_total
add = doors_numbers_total from number
set = doors_last_seconds from now
[line passed]
match = ^passed (?P<door>\S+) (?P<number>\d+)$
event = doors.passed
CATALOG
}

lines() { journalctl -u doors.service -o cat | grep '^passed front'; }
has_more_than() { local found; found=$(value "$doors"); (("${found:-0}" > $1)); }
# Waits until so many further lines are counted.
more() { until_true 120 has_more_than $(($(value "$doors") + $1)); }
said() { journalctl --sync && journalctl -u "$follower" --boot -o cat | grep -F "$1"; }

# What is counted is what the journal has, with its times. $1: lines counted that the journal no longer has; $2: their sum.
expect_all_counted() {
  local stamp
  systemctl stop doors.service
  journalctl --sync
  until_true 120 expect "$doors" $(($(lines | wc -l) + ${1:-0}))
  expect "$sum" $(($(lines | awk '{ sum += $3 } END { print sum }') + ${2:-0}))
  stamp=$(journalctl -u doors.service -o json | grep '"passed front' | tail -n 1 | sed 's/.*"__REALTIME_TIMESTAMP":"\([0-9]*\)".*/\1/')
  value "$last" | awk -v stamp="$stamp" '{ off = $1 - stamp / 1e6; exit !(off < 0.001 && off > -0.001) }'
}

follow_before_reboot() {
  step "a log is followed: two commands"
  make_doors
  systemctl daemon-reload
  systemctl enable --now doors.service
  systemctl reload lifecycle-exporter.service
  echo 'SOURCE=--unit doors.service --from-start' >/etc/lifecycle-exporter/follow/doors
  systemctl enable --now "$follower"
  until_true 30 has_more_than 20
  expect_all_counted
  lifecycle-exporter follow doors --try --unit doors.service --format json | tail -n 1 | grep -F "\"lines\":$(lines | wc -l)}"

  step "it may do little: exposure, limits, a user of its own"
  systemd-analyze security --no-pager --threshold=15 "$follower" | tail -n 1
  [[ $(systemctl show -P MemoryMax "$follower") == $((64 << 20)) ]]
  [[ $(systemctl show -P TasksMax "$follower") == 16 ]]
  [[ $(stat -c %U "/proc/$(systemctl show -P MainPID "$follower")") == lifecycle-follow ]]
  [[ $(stat -c '%U %a' /var/lib/lifecycle-follow/doors) == 'lifecycle-follow 700' ]]
  echo "memory: $(systemctl show -P MemoryCurrent "$follower") bytes, tasks: $(systemctl show -P TasksCurrent "$follower")"

  step "it stops at once and in good order"
  systemctl stop "$follower"
  [[ $(systemctl show -P Result "$follower") == success ]]
  not said "has ended"
  systemctl start "$follower" doors.service
  more 20

  step "it reads on over rotation, restarts of journald, an upgrade, and kill -9 of both sides"
  journalctl --rotate
  more 20
  systemctl restart systemd-journald.service
  more 20
  journalctl --rotate
  systemctl kill --kill-whom=main --signal=KILL "$follower"
  more 20
  systemctl kill --signal=KILL lifecycle-exporter.service
  until_true 60 metrics >/dev/null
  more 20
  local pid
  pid=$(systemctl show -P MainPID "$follower")
  dpkg -i /root/package.deb >/dev/null
  [[ $(systemctl show -P MainPID "$follower") != "$pid" ]]
  more 20
  expect_all_counted

  step "without a file, or without a source in it, it says so"
  not systemctl start lifecycle-follow@windows.service
  windows_said() { journalctl --sync && journalctl -u lifecycle-follow@windows.service -o cat | grep -F "$1"; }
  until_true 30 windows_said "Assertion failed for lifecycle-follow@windows.service - Events of windows from the log named in /etc/lifecycle-exporter/follow/windows"
  touch /etc/lifecycle-exporter/follow/windows
  systemctl start lifecycle-follow@windows.service
  until_true 30 windows_said "expected one of --unit NAME, --file PATH and -"
  systemctl stop lifecycle-follow@windows.service
  rm /etc/lifecycle-exporter/follow/windows

  step "a file that a group may read"
  sed 's/doors/gates/g' /etc/lifecycle-exporter/catalog.d/doors.ini >/etc/lifecycle-exporter/catalog.d/gates.ini
  systemctl reload lifecycle-exporter.service
  install -m 640 -g adm /dev/null /var/log/gates.log
  echo "SOURCE=--file /var/log/gates.log" >/etc/lifecycle-exporter/follow/gates
  mkdir -p /run/systemd/system/lifecycle-follow@gates.service.d
  printf '[Service]\nSupplementaryGroups=adm\n' >/run/systemd/system/lifecycle-follow@gates.service.d/log.conf
  systemctl daemon-reload
  systemctl start lifecycle-follow@gates.service
  gates_follow() { journalctl -u lifecycle-follow@gates.service -o cat | grep -F "connected as follow:gates"; }
  until_true 30 gates_follow
  echo "passed back 7" >>/var/log/gates.log
  until_true 30 expect 'gates_numbers_total{door="back"}' 7
  systemctl stop lifecycle-follow@gates.service

  # It goes on logging until the machine is down.
  systemctl start doors.service
  more 20
}

# logged PATTERN OPTION…: how many lines of the doors the journal has. grep takes none for a failure.
logged() {
  local pattern=$1
  shift
  journalctl -u doors.service -o cat "$@" | grep -c "$pattern" || true
}

follow_after_reboot() {
  step "what was logged while the machine went down and came up counts once"
  until_true 60 systemctl is-active --quiet "$follower"
  journalctl --list-boots --no-pager
  has_lines_of_both() { (($(logged '^passed front 1$') >= 4)); }
  has_lines_of_both
  expect_all_counted
  not said "lost"

  step "what was vacuumed while it was away is said, with a count"
  local base base_sum cursor count
  base=$(value "$doors")
  base_sum=$(value "$sum")
  cursors() { journalctl -o json --output-fields=_PID "$@" | sed 's/.*"__CURSOR":"\([^"]*\)".*/\1/'; }
  systemctl stop "$follower"
  cursor=$(grep -ao 's=[0-9a-f]*;i=[0-9a-f;=bmtx]*' /var/lib/lifecycle-follow/doors/*.position | head -n 1)
  new_lines() { (($(logged '^passed front' --after-cursor="$cursor") > ${1:-20})); }
  systemctl start doors.service
  until_true 60 new_lines
  journalctl --rotate
  count=$(logged '^passed front' --after-cursor="$cursor")
  until_true 60 new_lines $((count + 20))
  journalctl --sync
  cursors --after-cursor="$cursor" >/root/cursors
  journalctl --vacuum-size=1
  count=$(($(grep -nF "$(cursors | head -n 1)" /root/cursors | cut -d : -f 1) - 1))
  ((count > 20))
  systemctl start "$follower"
  until_true 30 said "at most $count entries of all units are lost"
  expect_all_counted "$base" "$base_sum"
}

# After the package has been removed.
expect_no_follower() {
  not systemctl is-active --quiet "$follower"
  not ps -u lifecycle-follow -o pid=,args=
  systemctl stop doors.service
  rm /etc/lifecycle-exporter/catalog.d/{doors,gates}.ini
}
