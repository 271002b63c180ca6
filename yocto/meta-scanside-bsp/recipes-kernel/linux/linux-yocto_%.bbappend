# dm-verity for root and bundles, loop and squashfs for bundles.
FILESEXTRAPATHS:prepend := "${THISDIR}/files:"
SRC_URI:append:scanside-qemu = " file://scanside-verity.cfg"
