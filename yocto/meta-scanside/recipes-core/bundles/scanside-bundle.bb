SUMMARY = "Scanside update"
DESCRIPTION = "RAUC bundle of the root file system, for a USB stick."
HOMEPAGE = "https://scanside.example"
LICENSE = "Apache-2.0"

inherit bundle

SRC_URI = "file://update-hook"

# The same as in system.conf of the machine.
RAUC_BUNDLE_COMPATIBLE = "${MACHINE}"
RAUC_BUNDLE_VERSION = "${DISTRO_VERSION}"
RAUC_BUNDLE_FORMAT = "verity"

RAUC_BUNDLE_HOOKS[file] = "update-hook"
RAUC_BUNDLE_HOOKS[hooks] = "install-check"

RAUC_BUNDLE_SLOTS = "rootfs"
RAUC_SLOT_rootfs = "scanside-image"
RAUC_SLOT_rootfs[fstype] = "ext4.sealed"
# The seal lies behind the file system: ".img" is written as it is, whatever it contains.
RAUC_SLOT_rootfs[rename] = "rootfs.img"

# Number of the newest migration of the database that this version knows.
SCANSIDE_SCHEMA = "${@len(__import__('glob').glob(d.getVar('SCANSIDE_SOURCE') + '/daemon/custody/src/store/migrations/*.sql'))}"

do_unpack[postfuncs] += "fill_hook"
fill_hook() {
    sed -i -e 's|@SCHEMA@|${SCANSIDE_SCHEMA}|' ${UNPACKDIR}/update-hook
}
