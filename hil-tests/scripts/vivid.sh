#!/usr/bin/env bash
# Runs the capture contract on the kernel's virtual video device (vivid), in a QEMU guest: as a webcam, then as an HDMI input.
#
#   GUEST=folder hil-tests/scripts/vivid.sh
#
# GUEST is a folder with the files of Debian's linux-image package, unpacked with `dpkg -x` (its kernel has vivid as a module). Needs on the
# PATH: cargo, qemu-system-x86_64, cpio, depmod, a static busybox and, for the tests that change or remove the source, v4l2-ctl.
set -eu -o pipefail
cd "$(dirname "$0")/../.."
for tool in cargo qemu-system-x86_64 cpio depmod busybox; do
  command -v "$tool" >/dev/null || { echo "skipped: $tool not present"; [ "${CI:-}" != true ]; exit; }
done
kernel=$(ls "${GUEST:?names the folder with the guest kernel}"/boot/vmlinuz-* | head -n 1)
version=${kernel##*/vmlinuz-}
modules=lib/modules/$version
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

mkdir -p "$root"/{bin,dev,proc,sys,tmp,lib64,"$modules"/kernel/drivers}
cp -r "$GUEST/$modules/kernel/drivers/media" "$root/$modules/kernel/drivers/"
cp "$GUEST/$modules"/modules.{order,builtin} "$root/$modules/"
depmod -b "$root" "$version" 2>/dev/null
put() { # copies a program, and the libraries that it needs to where the loader looks for them
  cp -L "$(command -v "$1")" "$root/bin/$2"
  { ldd "$(command -v "$1")" 2>/dev/null || true; } | { grep -o '/[^ ]*' || true; } | while read -r library; do
    case $library in */ld-linux*) cp -L "$library" "$root/lib64/" ;; *) cp -L "$library" "$root/lib/" ;; esac
  done
}
put busybox busybox
command -v v4l2-ctl >/dev/null && put v4l2-ctl v4l2-ctl
test=$(cargo test -p hal --test v4l2 --no-run --message-format=json | sed -n 's/.*"executable":"\([^"]*v4l2-[^"]*\)".*/\1/p')
put "$test" contract

cat > "$root/init" <<'GUEST'
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin LD_LIBRARY_PATH=/lib
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
modprobe vivid n_devs=2 multiplanar=1,2 num_inputs=1,1 input_types=0x0,0x3 node_types=0x1,0x1
failed=0
for device in /dev/video0 /dev/video1; do
  echo "== $device"
  SCANSIDE_VIDEO=$device contract --nocapture 2>&1 || failed=1
done
echo "vivid: failed=$failed"
poweroff -f
GUEST
chmod +x "$root/init"
(cd "$root" && find . | cpio -o -H newc 2>/dev/null | gzip -1) > "$root.initrd"
trap 'rm -rf "$root" "$root.initrd"' EXIT
# Without KVM, so that it runs on every machine; the guest is small enough for that.
timeout "${LIMIT:-300}" qemu-system-x86_64 ${QEMU_ARGS:-} -accel tcg -cpu max -m 1024 -nographic -nodefaults -serial stdio -no-reboot \
  -kernel "$kernel" -initrd "$root.initrd" -append 'console=ttyS0 loglevel=4 panic=-1' | tr -d '\r' | tee "$root/log"
grep -q '^vivid: failed=0' "$root/log"
