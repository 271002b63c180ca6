# Runs in the chroot of the image, once.
set -eu
install -m 644 /guest/bench-shell.service /etc/systemd/system/
install -m 644 /guest/90-bench.rules /etc/udev/rules.d/
install -m 644 /guest/20-wired.network /etc/systemd/network/
systemctl enable systemd-networkd >/dev/null 2>&1
systemctl disable apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service >/dev/null 2>&1 || true
# What the package installs is looked at, documents too.
rm -f /etc/dpkg/dpkg.cfg.d/99mmdebstrap
systemctl mask getty@tty1.service serial-getty@ttyS0.service systemd-networkd-wait-online.service >/dev/null 2>&1
echo scanside-bench > /etc/hostname
echo '127.0.0.1 localhost scanside-bench' > /etc/hosts
echo 'LABEL=root / ext4 rw,relatime 0 1' > /etc/fstab
# The journal is kept on the disk, as on a box, and survives a cut as far as it was synced.
mkdir -p /var/log/journal
: > /etc/machine-id
# An operator, and somebody who is none.
useradd --create-home technician
useradd --create-home stranger
mkdir -p /home/stranger && echo secret > /home/stranger/secret
