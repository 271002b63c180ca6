SUMMARY = "Operating system of the Scanside box"
DESCRIPTION = "Read-only root file system, sealed with dm-verity, in two slots; studies and configuration on a data partition."
HOMEPAGE = "https://scanside.example"
LICENSE = "Apache-2.0"

IMAGE_FEATURES = "read-only-rootfs"

IMAGE_INSTALL = "\
    packagegroup-core-boot \
    ${CORE_IMAGE_EXTRA_INSTALL} \
    scansided \
    scansidectl \
    scanside-models \
    scanside-system \
    rauc \
    rauc-conf \
    ca-certificates \
    tzdata \
"

# Its condition asks for a command line that only some boot loaders give; scanside-mark-good.service works with all.
BAD_RECOMMENDATIONS += "rauc-mark-good"

inherit core-image features_check

REQUIRED_DISTRO_FEATURES = "systemd rauc polkit"

# For the bundle, and for what the machine makes of it (disk image, flash archive).
IMAGE_FSTYPES += "ext4.sealed"
# nooelint: oelint.vars.mispell,oelint.vars.specific,oelint.vars.overrideappend
IMAGE_TYPEDEP:wic += "ext4.sealed"

# The seal counts blocks of 4096 bytes.
# nooelint: oelint.vars.specific
EXTRA_IMAGECMD:ext4 = "-b 4096 -i 8192"
IMAGE_ROOTFS_ALIGNMENT = "4096"

IMAGE_ROOTFS_EXTRA_SPACE = "0"

# Nobody logs in with a password, and there is no SSH server: who services boxes adds one with keys in a layer of the site.

# A machine whose boot loader reads kernel and initial RAM disk from the slot names the recipe of the latter here; then an update
# brings both.
SCANSIDE_INITRD ?= ""
SCANSIDE_INITRD_FILE = "${DEPLOY_DIR_IMAGE}/${SCANSIDE_INITRD}-${MACHINE}.cpio.gz"
do_rootfs[depends] += "${@d.getVar('SCANSIDE_INITRD') + ':do_image_complete' if d.getVar('SCANSIDE_INITRD') else ''}"
ROOTFS_POSTPROCESS_COMMAND += "install_initrd"
install_initrd() {
    if [ -n "${SCANSIDE_INITRD}" ]; then
        install -D -m 0644 ${SCANSIDE_INITRD_FILE} ${IMAGE_ROOTFS}/boot/initrd
    fi
}
