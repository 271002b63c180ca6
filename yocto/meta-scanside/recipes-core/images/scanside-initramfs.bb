SUMMARY = "Initial RAM disk that opens a sealed slot"
DESCRIPTION = "For machines whose BSP brings none of its own."
HOMEPAGE = "https://scanside.example"
LICENSE = "Apache-2.0"

PACKAGE_INSTALL = "\
    initramfs-framework-base \
    initramfs-module-udev \
    scanside-unseal-initramfs \
    ${VIRTUAL-RUNTIME_base-utils} \
    udev \
    base-passwd \
    ${ROOTFS_BOOTSTRAP_INSTALL} \
"

IMAGE_FEATURES = ""
IMAGE_LINGUAS = ""
IMAGE_NAME_SUFFIX = ""
# A kernel in here would be of no use.
PACKAGE_EXCLUDE = "kernel-image-*"
IMAGE_FSTYPES = "${INITRAMFS_FSTYPES}"

inherit core-image

IMAGE_ROOTFS_SIZE = "65536"
IMAGE_ROOTFS_EXTRA_SPACE = "0"
