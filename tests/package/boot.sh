#!/bin/bash
# Boots a Debian with systemd in an emulated machine, twice, and lets the package prove itself there: boot.sh PACKAGE.deb
# Needs mmdebstrap, qemu-system-x86 and e2fsprogs, and root.
set -euo pipefail
cd "$(dirname "$0")"
package=$(realpath "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

mmdebstrap --variant=important --include=systemd-sysv,dbus,curl,socat,iproute2,linux-image-cloud-amd64,nextcloud-spreed-signaling bookworm "$work/root.tar" 2>"$work/said" ||
  { cat "$work/said"; exit 1; }
mkdir "$work/root"
tar xf "$work/root.tar" -C "$work/root"
cp "$package" "$work/root/root/package.deb"
install -m 755 guest.sh "$work/root/root/guest.sh"
install -m 644 newcomer.sh follow.sh "$work/root/root/"
# The commands that the README gives for an unmodified signaling server, and the package under the name that it has there.
sed -n '/^## Follow a log/,$p' ../../README.md | sed -n '/^```sh/,/^```/{/^```/!p};/^```$/q' >"$work/root/root/commands"
name=$(sed -n 's|.* \./\([^ ]*\.deb\).*|\1|p' "$work/root/root/commands")
cp "$package" "$work/root/root/$name"
cat >"$work/root/etc/systemd/system/guest.service" <<'UNIT'
[Unit]
Description=The package proves itself
After=basic.target dbus.service
[Service]
Type=oneshot
ExecStart=/root/guest.sh
ExecStopPost=/bin/systemctl --no-block poweroff --force
StandardOutput=tty
StandardError=tty
TTYPath=/dev/ttyS0
UNIT
# A login there would hang up on it.
ln -s /dev/null "$work/root/etc/systemd/system/serial-getty@ttyS0.service"
ln -s ../guest.service "$work/root/etc/systemd/system/multi-user.target.wants/guest.service"
mv "$work"/root/boot/vmlinuz-* "$work/vmlinuz"
mv "$work"/root/boot/initrd.img-* "$work/initrd"
truncate -s 2G "$work/disk"
mkfs.ext4 -q -d "$work/root" "$work/disk"
# The machine is booted twice, since a reboot is something that the package has to get right.
# Emulated in software, which works on any machine: nested hardware support is there more often than it works.
for words in "PHASE 1 OK" "GUEST OK"; do
  timeout 900 qemu-system-x86_64 -accel tcg,thread=multi -cpu max -smp 2 -m 1024 -nographic -no-reboot -nic none \
    -kernel "$work/vmlinuz" -initrd "$work/initrd" -append "root=/dev/vda rw console=ttyS0 quiet systemd.show_status=no" \
    -drive "file=$work/disk,format=raw,if=virtio,cache=unsafe" </dev/null | tee "$work/console"
  grep -q "$words" "$work/console"
done
