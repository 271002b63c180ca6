FILESEXTRAPATHS:prepend:scanside-os := "${THISDIR}/files:"

SRC_URI:append:scanside-os = " file://fstab.data"

do_install:append:scanside-os() {
    sed -e 's|@DATA@|${SCANSIDE_DATA_PARTITION}|' ${S}/fstab.data >> ${D}${sysconfdir}/fstab
}
