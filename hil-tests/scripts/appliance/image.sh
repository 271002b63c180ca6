#!/usr/bin/env bash
# Builds the image that the appliance is tested in: Debian bookworm with real systemd, D-Bus, polkit, journald and udev, without the
# package of the appliance. Takes about three minutes, once: the result is kept in .cache/appliance under a key of everything it
# is made of. Prints the folder, which then holds disk.img (ext4, no partitions), vmlinuz and initrd.
#
# Needs root (or user namespaces), mmdebstrap, mkfs.ext4 and a Debian mirror.
set -eu -o pipefail
here=$(cd "$(dirname "$0")" && pwd)
cache=$(cd "$here/../../.." && pwd)/.cache/appliance
key=$(cat "$here/packages.txt" "$here/image.sh" "$here"/guest/* | sha256sum | cut -c 1-16)
folder=$cache/$key
[ -f "$folder/disk.img" ] && { echo "$folder"; exit; }

packages=$(grep -v '^#' "$here/packages.txt" | paste -sd,)
mkdir -p "$cache"
work=$(mktemp -d "$cache/build.XXXXXX")
trap 'rm -rf "$work"' EXIT
root=$work/root
# A small initrd with only what mounts the root makes the boot half a minute shorter where every instruction is emulated.
cat > "$work/initramfs.conf" <<'CONF'
MODULES=list
BUSYBOX=no
COMPRESS=gzip
CONF
printf 'virtio_pci\nvirtio_blk\next4\n' > "$work/modules"
mmdebstrap --quiet --mode=auto --variant=minbase --include="$packages" \
  --aptopt='Acquire::Languages "none"' \
  --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
  --essential-hook='mkdir -p "$1/etc/initramfs-tools/conf.d"' \
  --essential-hook="upload $work/initramfs.conf /etc/initramfs-tools/conf.d/appliance" \
  --essential-hook="upload $work/modules /etc/initramfs-tools/modules" \
  --customize-hook="copy-in $here/guest /" \
  --customize-hook='chroot "$1" sh /guest/prepare.sh' \
  --customize-hook='rm -rf "$1"/var/cache/apt/archives/*.deb "$1"/guest' \
  bookworm "$root" >&2
mkdir "$work/out"
cp "$root"/boot/vmlinuz-* "$work/out/vmlinuz"
cp "$root"/boot/initrd.img-* "$work/out/initrd"
chmod 644 "$work/out"/*
# 512 MB more than what is there.
size=$(( $(du -sm "$root" | cut -f 1) + 640 ))
mkfs.ext4 -q -L root -O ^metadata_csum_seed -d "$root" "$work/out/disk.img" "${size}M" >&2
mv "$work/out" "$folder"
rm -rf "$root"
echo "$folder"
