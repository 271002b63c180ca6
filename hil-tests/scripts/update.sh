#!/usr/bin/env bash
# `update.sh`: seals, bundles and slots of the operating system image, tried on plain files with Debian's RAUC and the layer's own
# scripts and configuration. No image is built and nothing is started. Takes seconds.
#
# What it cannot show: RAUC of the image is newer (1.15), its slots are partitions, and a bundle of format "verity" is mounted by the
# kernel's device mapper, which not every kernel has; here bundles of that format are made and judged, and those that are installed are of format "plain".
# Functions are called by name, through `is` and `refused`; GRUB's script sees those that stand for its commands.
# shellcheck disable=SC2317,SC2034,SC2059,SC2016
set -euo pipefail
cd "$(dirname "$0")/../.."
root=$PWD layer=$PWD/yocto/meta-scanside bsp=$PWD/yocto/meta-scanside-bsp
export PATH=$PATH:/usr/sbin:/sbin

missing=""
for tool in rauc mksquashfs veritysetup grub-editenv grub-script-check openssl mke2fs dbus-run-session dbus-send; do
  command -v "$tool" >/dev/null || missing="$missing $tool"
done
if [ -n "$missing" ]; then
  [ "${CI:-}" = true ] && { echo "update: skipped, and with CI=true that is a failure: missing$missing (setup.sh check)" >&2; exit 1; }
  echo "skipped: missing$missing"
  [ -n "${SCANSIDE_SKIPPED:-}" ] && echo "update: missing$missing" >>"$SCANSIDE_SKIPPED"
  exit 0
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export TMPDIR=$work
failed=0 count=0
# is PROMISE COMMAND...: the command succeeds. refused PROMISE REASON COMMAND...: it fails and says why.
is() { local promise=$1; shift; count=$((count + 1)); if "$@" >"$work/said" 2>&1; then return 0; fi; broken "$promise"; }
refused() {
  local promise=$1 reason=$2; shift 2; count=$((count + 1))
  if "$@" >"$work/said" 2>&1; then broken "$promise (it was accepted)"; return 0; fi
  grep -qE "$reason" "$work/said" || broken "$promise (refused, but not for '$reason')"
}
broken() { failed=1; echo "update: broken: $1"; tail -n 5 "$work/said" | sed 's/^/    /'; }
same() { [ "$1" = "$2" ] || { echo "'$1' is not '$2'"; return 1; }; }
# flip FILE OFFSET: changes one byte.
flip() { printf "\\x$(printf %02x $(($(od -An -tu1 -j"$2" -N1 "$1") ^ 1)))" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none; }

yocto/scripts/dev_keys.sh "$work/keys"
yocto/scripts/dev_keys.sh "$work/foreign"
keys=$work/keys

# ---------------------------------------------------------------- seal

seal=$layer/recipes-core/scanside-unseal/files/scanside-seal
unseal() { SCANSIDE_SEAL_CA=$1/ca.cert.pem "$layer/recipes-core/scanside-unseal/files/scanside-unseal" check "$2"; }
mkdir "$work/tree"
head -c 1000000 /dev/urandom >"$work/tree/file"
mke2fs -q -t ext4 -b 4096 -d "$work/tree" "$work/bare" 4M >/dev/null 2>&1
blocks=1024
cp "$work/bare" "$work/image"
is "an image is sealed" "$seal" "$work/image" "$keys/signer.key.pem" "$keys/signer.cert.pem"
is "the file system itself is not changed by its seal" cmp -n $((blocks * 4096)) "$work/bare" "$work/image"
is "a sealed image is opened" unseal "$keys" "$work/image"
# A slot is larger than the image.
cp "$work/image" "$work/slot" && truncate -s 8M "$work/slot"
is "a sealed image is opened in a larger slot" unseal "$keys" "$work/slot"
refused "a seal of another authority is refused" "not signed" unseal "$work/foreign" "$work/image"
refused "an image without a seal is refused" "not signed" unseal "$keys" "$work/bare"
damaged() { cp "$work/image" "$work/damaged"; flip "$work/damaged" "$1"; unseal "$keys" "$work/damaged"; }
refused "a changed byte of the file system is noticed" "erification" damaged 2000000
refused "a changed root hash is refused" "not signed" damaged $((blocks * 4096 + 40))
refused "a changed hash tree is noticed" "erification" damaged $(((blocks + 2) * 4096 + 100))

# ---------------------------------------------------------------- bundles

hook=$layer/recipes-core/bundles/files/update-hook
# bundle NAME FORMAT COMPATIBLE KEYS SCHEMA: what scanside-bundle.bb makes of the image.
bundle() {
  local folder=$work/content
  rm -rf "$folder" && mkdir "$folder"
  sed "s|@SCHEMA@|$5|" "$hook" >"$folder/update-hook" && chmod +x "$folder/update-hook"
  cp "$work/image" "$folder/rootfs.img"
  { printf '[update]\ncompatible=%s\nversion=0.2.0\n' "$3"; [ "$2" = plain ] || printf '[bundle]\nformat=%s\n' "$2"
    printf '[hooks]\nfilename=update-hook\nhooks=install-check\n[image.rootfs]\nfilename=rootfs.img\n'; } >"$folder/manifest.raucm"
  rauc --conf="$work/$4.conf" --cert="$work/$4/signer.cert.pem" --key="$work/$4/signer.key.pem" bundle "$folder" "$work/$1.raucb"
}
# conf MACHINE KEYS: the machine's own system.conf, with files for partitions.
conf() {
  sed -E -e "s#^device=.*/(root_a|APP)\$#device=$work/slotA#" -e "s#^device=.*/(root_b|APP_b)\$#device=$work/slotB#" \
    -e "s|^path=ca.cert.pem|path=$work/$2/ca.cert.pem|" -e "s|^statusfile=.*|statusfile=$work/status\nmountprefix=$work/mnt|" \
    -e "s|^grubenv=.*|grubenv=$work/grubenv|" -e "s|^bundle-formats=verity|bundle-formats=verity plain|" \
    -e "s|^bootloader-custom-backend=.*/|bootloader-custom-backend=$bsp/dynamic-layers/tegra/recipes-bsp/scanside-tegra-boot/files/|" \
    "$bsp/recipes-core/rauc/rauc-conf/$1/system.conf"
}
info() { rauc --conf="$work/keys.conf" info "$work/$1.raucb"; }
altered() { cp "$work/verity.raucb" "$work/altered.raucb"; flip "$work/altered.raucb" "$1"; info altered; }
# Of a bundle of format "verity" only the signature is read by `info`; its end is the signature, then eight bytes of its length.
machine=scanside-qemu
conf $machine keys >"$work/keys.conf"
conf $machine foreign >"$work/foreign.conf"
newest=$(find daemon/custody/src/store/migrations -name '*.sql' | wc -l)
is "a bundle is made and signed" bundle verity verity $machine keys "$newest"
is "its signature is good" info verity
is "the image allows bundles of format verity only" test -z "$(grep -L '^bundle-formats=verity$' "$bsp"/recipes-core/rauc/rauc-conf/*/system.conf)"
size=$(stat -c %s "$work/verity.raucb")
refused "a changed signature is refused" "signature|verif|asn1|parse" altered $((size - 60))
is "a bundle is made (strange)" bundle strange verity $machine foreign "$newest"
refused "a bundle of another authority is refused" "signature|verif|certificate" info strange

# ---------------------------------------------------------------- slots

can_mount() { [ "$(id -u)" = 0 ] && mkdir -p "$work/probe" && mount -o loop,ro "$work/bare" "$work/probe" 2>/dev/null && umount "$work/probe"; }
if ! can_mount; then
  echo "skipped: installation (needs root and loop devices)"
  [ -n "${SCANSIDE_SKIPPED:-}" ] && echo "update: installation into slots: needs root and loop devices" >>"$SCANSIDE_SKIPPED"
  echo "update: $count promises tried"
  exit $failed
fi
# on SLOT COMMAND...: a command on a box that was started from that slot. RAUC's service and its client have a bus of their own.
mkdir "$work/bin"
printf '#!/bin/sh\nexec %s --conf=%s "$@"\n' "$(command -v rauc)" "$work/keys.conf" >"$work/bin/rauc" && chmod +x "$work/bin/rauc"
on() {
  local slot=$1; shift
  timeout 120 dbus-run-session -- bash -c '
    export DBUS_STARTER_BUS_TYPE=session
    PATH=$2/bin:$PATH
    rauc service --override-boot-slot="$1" >"$2/service" 2>&1 & service=$!
    shift 2
    until dbus-send --session --print-reply --dest=org.freedesktop.DBus / org.freedesktop.DBus.NameHasOwner \
      string:de.pengutronix.rauc 2>/dev/null | grep -q "boolean true"; do kill -0 $service || exit 9; sleep 0.02; done
    "$@"; code=$?
    kill $service; wait $service 2>/dev/null
    exit $code' on "$slot" "$work" "$@" || { local code=$?; cat "$work/service"; return $code; }
}
fresh() { head -c 8M /dev/zero >"$work/slotA"; head -c 8M /dev/zero | tr '\0' x >"$work/slotB"; rm -f "$work/status"; }
unchanged() { same "$(head -c 8M /dev/zero | tr '\0' x | sha256sum)" "$(sha256sum <"$work/slotB")"; }
export SCANSIDE_DATABASE=$work/scanside.db

# ---------------------------------------------------------------- GRUB (scanside-qemu)

grub_cfg=$bsp/files/wic/scanside-grub.cfg
is "GRUB can read its script" grub-script-check "$grub_cfg"
# The environment block as the recipe makes it.
(B=$work; eval "$(sed -n '/^do_compile() {/,/^}/p' "$bsp/recipes-bsp/scanside-grubenv/scanside-grubenv_1.0.bb" | sed '1d;$d' | sed "s/\${B}/\$B/g")")
value() { grub-editenv "$work/grubenv" list | sed -n "s/^$1=//p"; }
# A start: GRUB's script run by bash; prints the slot.
start() {
  (
    load_env() { local name text; while IFS='=' read -r name text; do printf -v "$name" %s "$text"; done < <(grub-editenv "$work/grubenv" list); }
    save_env() { local name; for name in "$@"; do grub-editenv "$work/grubenv" set "$name=${!name}"; done; }
    regexp() { disk=hd0; }
    linux() { case "$1 $2 $3" in "(hd0,gpt2)/boot/bzImage rauc.slot=A scanside.root=root_a") echo A ;;
      "(hd0,gpt3)/boot/bzImage rauc.slot=B scanside.root=root_b") echo B ;; *) echo "$*" ;; esac; }
    initrd() { :; }
    boot() { :; }
    root=hd0,gpt1
    # shellcheck source=/dev/null
    source "$grub_cfg"
  )
}
good() { on "$1" rauc status mark-good booted; }

fresh
is "a new disk starts slot A" same "$(start)" A
is "slot A is told to be good" good A
is "that ends the count of its starts" same "$(value A_TRY)" 0
is "a bundle is made (plain)" bundle plain plain $machine keys "$newest"
is "an update is installed" on A rauc install "$work/plain.raucb"
is "the other slot holds the image, byte for byte" cmp -n "$(stat -c %s "$work/image")" "$work/image" "$work/slotB"
is "and is sealed there" unseal "$keys" "$work/slotB"
is "the running slot is untouched" same "$(head -c 8M /dev/zero | sha256sum)" "$(sha256sum <"$work/slotA")"
is "the next start takes the other slot" same "$(start)" B
is "a start that nobody called good is repeated (2)" same "$(start)" B
is "a start that nobody called good is repeated (3)" same "$(start)" B
is "after three the box goes back to the old slot" same "$(start)" A
is "the old slot is called good again" good A
is "it stays there" same "$(start)" A
good A >/dev/null 2>&1
is "the update is installed once more" on A rauc install "$work/plain.raucb"
is "it starts" same "$(start)" B
is "it is called good" good B
for _ in 1 2 3 4; do start >/dev/null; good B >/dev/null 2>&1; done
is "a good slot stays" same "$(start)" B
is "going back by hand" on B rauc status mark-active other
is "takes the other slot" same "$(start)" A
grub-editenv "$work/grubenv" set A_OK=1 B_OK=1 A_TRY=3 B_TRY=3
is "a box whose slots have all failed starts all the same" same "$(start)" A

fresh
is "a bundle is made (other)" bundle other plain scanside-jetson-orin keys "$newest"
refused "an update for another machine is refused" "[Cc]ompatible" on A rauc install "$work/other.raucb"
is "a bundle is made (stranger)" bundle stranger plain $machine foreign "$newest"
refused "an update of another authority is refused" "signature" on A rauc install "$work/stranger.raucb"
cp "$work/plain.raucb" "$work/altered.raucb"; flip "$work/altered.raucb" 100000
refused "an update with a changed byte is refused" "signature|digest" on A rauc install "$work/altered.raucb"
is "a bundle is made (old)" bundle old plain $machine keys 3
# A database of schema 4: user_version is at byte 60.
{ head -c 60 /dev/zero; printf '\0\0\0\4'; head -c 36 /dev/zero; } >"$SCANSIDE_DATABASE"
refused "an update behind the database is refused" "newer version" on A rauc install "$work/old.raucb"
is "an update that knows the database is installed" on A rauc install "$work/plain.raucb"
fresh
for name in stranger other altered; do on A rauc install "$work/$name.raucb" >/dev/null 2>&1 || true; done
is "after refusals the other slot is as it was" unchanged
rm -f "$SCANSIDE_DATABASE"

# ---------------------------------------------------------------- USB stick, data partition

system=$layer/recipes-core/scanside-system/files
printf 'ID=scanside-os\nVERSION_ID=0.1.0\n' >"$work/os-release"
export SCANSIDE_STICK=$work/stick SCANSIDE_OS_RELEASE=$work/os-release SCANSIDE_INSTALLED=$work/installed
# stick BUNDLE...: a stick with these bundles is put in.
stick() {
  rm -rf "$work/files" && mkdir "$work/files"
  local name; for name in "$@"; do
    if [ "$name" = again ]; then touch "$work/files/again"; else cp "$work/$name.raucb" "$work/files/"; fi
  done
  rm -f "$work/usb" && mke2fs -q -t ext4 -d "$work/files" "$work/usb" 64M >/dev/null 2>&1
  on A "$system/scanside-update" "$work/usb"
}
says() { local reason=$1; shift; "$@" >"$work/answer"; grep -q "$reason" "$work/answer" || { cat "$work/answer"; return 1; }; }
is "a stick without an update is none" says "no update" stick
is "then nothing was installed" unchanged
refused "of two updates none is taken" "several" stick plain other
refused "a stick with an update of another authority is refused" "refused" stick stranger
refused "a stick with an update for another machine is refused" "not installed" stick other
is "a stick with an update is installed" says "0.2.0 is installed" stick plain
is "in the other slot" cmp -n "$(stat -c %s "$work/image")" "$work/image" "$work/slotB"
fresh
printf 'ID=scanside-os\nVERSION_ID="0.2.0"\n' >"$work/os-release"
is "a stick that stays in does not install again" says "already running" stick plain
is "and nothing was written" unchanged
printf 'ID=scanside-os\nVERSION_ID=0.1.0\n' >"$work/os-release"
is "an update that was given up is not installed again from a stick that stays in" says "was installed before" stick plain
is "and nothing was written, either" unchanged
is "unless the stick says so" says "0.2.0 is installed" stick plain again
fresh
is "the stick is let go" test -z "$(ls "$work/stick")"

# A data partition that cannot be used must not end in a shell that nobody can log in to.
each_line() { ! grep -vE '^(#|$)' "$layer/recipes-core/base-files/files/fstab.data" | grep -vE "$1"; }
is "what cannot be mounted stops no start" each_line '[ ,]nofail,'
is "and is waited for all the same" each_line 'x-systemd.before=local-fs.target'
is "a file system with errors is repaired (PC)" grep -q '^linux .* fsck.repair=yes' "$bsp/files/wic/scanside-grub.cfg"
is "a file system with errors is repaired (Jetson)" grep -q '^KERNEL_ARGS:append = ".* fsck.repair=yes' "$bsp/conf/machine/scanside-jetson-orin.conf"

mkdir -p "$work/etc/config.d" && echo first >"$work/etc/config.d/50-site.toml"
is "the first start makes the folders of the data partition" "$system/scanside-data" "$work/data" "$work/etc"
is "with the configuration of the image" same "$(cat "$work/data/etc/scanside/config.d/50-site.toml")" first
echo second >"$work/etc/config.d/50-site.toml"
is "a later start is silent" "$system/scanside-data" "$work/data" "$work/etc"
is "and leaves the site's configuration" same "$(cat "$work/data/etc/scanside/config.d/50-site.toml")" first
# A power cut while the configuration is copied: of it there is the folder, and no more.
rm -rf "$work/data/etc/scanside" && mkdir "$work/cut"
printf '#!/bin/sh\nmkdir -p "$3"; echo cut; exit 1\n' >"$work/cut/cp" && chmod +x "$work/cut/cp"
refused "a first start is cut off" "^cut" env PATH="$work/cut:$PATH" "$system/scanside-data" "$work/data" "$work/etc"
is "it is done again" "$system/scanside-data" "$work/data" "$work/etc"
is "as a whole" same "$(cat "$work/data/etc/scanside/config.d/50-site.toml")" second

# ---------------------------------------------------------------- NVIDIA's UEFI (scanside-jetson-orin)

# What nvbootctrl is taken to say and do. The real one runs on a Jetson only and was not seen.
mkdir -p "$work/uefi" "$work/efivars"
cat >"$work/nvbootctrl" <<'P'
#!/bin/sh
cd "$(dirname "$0")/uefi" || exit 1
name() { tr 01 AB < "$1"; }
case "$*" in
  "-t rootfs get-current-slot") cat current ;;
  "-t rootfs set-active-boot-slot "[01]) echo "$4" > active ;;
  "-t rootfs dump-slots-info")
    echo "Current rootfs slot: $(name current)"; echo "Active rootfs slot: $(name active)"; echo "num_slots: 2"
    for slot in 0 1; do
      mark=../efivars/RootfsStatusSlot$(echo $slot | tr 01 AB)-781e084c-a330-417c-b678-38e696380cb9
      if [ -e "$mark" ]; then status=unbootable; else status=normal; fi
      echo "slot: $slot,             retry_count: 3,             status: $status"
    done ;;
  verify) touch verified ;;
  *) exit 1 ;;
esac
P
chmod +x "$work/nvbootctrl"
export SCANSIDE_NVBOOTCTRL=$work/nvbootctrl SCANSIDE_EFIVARS=$work/efivars
mark=$work/efivars/RootfsStatusSlotB-781e084c-a330-417c-b678-38e696380cb9
echo 0 >"$work/uefi/current"; echo 0 >"$work/uefi/active"
machine=scanside-jetson-orin
conf $machine keys >"$work/keys.conf"
fresh
touch "$mark"
is "a bundle is made (jetson)" bundle jetson plain $machine keys "$newest"
is "Jetson: an update is installed into the other slot" on A rauc install "$work/jetson.raucb"
is "Jetson: it holds the image" cmp -n "$(stat -c %s "$work/image")" "$work/image" "$work/slotB"
is "Jetson: UEFI is told to take it" same "$(cat "$work/uefi/active")" 1
is "Jetson: what UEFI held against that slot is forgotten" test ! -e "$mark"
echo 1 >"$work/uefi/current"
is "Jetson: it is called good" good B
is "Jetson: and UEFI is told" test -e "$work/uefi/verified"
# UEFI has given slot B up and started A.
touch "$mark"; echo 0 >"$work/uefi/current"; echo 0 >"$work/uefi/active"
state() { on A rauc status --output-format=shell 2>/dev/null | sed -n "s/^RAUC_SLOT_BOOT_STATUS_[0-9]*='\?\([a-z]*\)'\?\$/\1/p" | sort | tr '\n' ' '; }
is "Jetson: a slot that UEFI has given up is shown as bad" same "$(state)" "bad good "

echo "update: $count promises tried, $([ $failed = 0 ] && echo all hold || echo some are broken)"
exit $failed
