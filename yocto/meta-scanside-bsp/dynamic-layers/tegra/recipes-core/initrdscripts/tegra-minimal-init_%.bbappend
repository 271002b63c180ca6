# Behind meta-tegra's own choice of the partition, which becomes the device that the slot is opened from.
FILESEXTRAPATHS:prepend := "${THISDIR}/tegra-minimal-init:"
SRC_URI:append:scanside-jetson-orin = " file://scanside-preboot"

do_install:append:scanside-jetson-orin() {
    cat ${UNPACKDIR}/scanside-preboot >> ${D}${sysconfdir}/platform-preboot
}
