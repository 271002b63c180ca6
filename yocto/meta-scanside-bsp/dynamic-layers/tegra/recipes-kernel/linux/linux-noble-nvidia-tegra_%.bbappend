# dm-verity for root and bundles, loop and squashfs for bundles.
FILESEXTRAPATHS:prepend := "${THISDIR}/files:"
SRC_URI:append:scanside-jetson-orin = " file://scanside-verity.cfg"
