SUMMARY = "Data partition, network and updates from USB sticks"
DESCRIPTION = "Small scripts, units and settings of systemd. The root file system is read-only; what survives an update lies in /data."
HOMEPAGE = "https://scanside.example"
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/Apache-2.0;md5=89aea4e17d99a7cacdbeed46a0096b10"

SRC_URI = "\
    file://scanside-data \
    file://scanside-data.service \
    file://scanside-healthy.service \
    file://scanside-mark-good.service \
    file://scanside-update \
    file://scanside-update@.service \
    file://95-scanside-update.rules \
    file://10-data.conf \
    file://10-journal.conf \
    file://10-watchdog.conf \
    file://80-scanside.network \
"

S = "${UNPACKDIR}"

inherit systemd features_check

REQUIRED_DISTRO_FEATURES = "systemd rauc"

SYSTEMD_SERVICE:${PN} = "scanside-data.service scanside-healthy.service scanside-mark-good.service"

do_configure[noexec] = "1"
do_compile[noexec] = "1"

do_install() {
    install -d ${D}${libexecdir} ${D}${systemd_system_unitdir}
    install -m 0755 ${S}/scanside-data ${S}/scanside-update ${D}${libexecdir}
    install -m 0644 ${S}/*.service ${D}${systemd_system_unitdir}
    install -D -m 0644 ${S}/10-data.conf ${D}${systemd_system_unitdir}/scansided.service.d/10-data.conf
    install -D -m 0644 ${S}/10-journal.conf ${D}${systemd_unitdir}/journald.conf.d/10-scanside.conf
    install -D -m 0644 ${S}/10-watchdog.conf ${D}${systemd_unitdir}/system.conf.d/10-scanside.conf
    install -D -m 0644 ${S}/80-scanside.network ${D}${systemd_unitdir}/network/80-scanside.network
    install -D -m 0644 ${S}/95-scanside-update.rules ${D}${nonarch_base_libdir}/udev/rules.d/95-scanside-update.rules
    # A box that starts without a cable must not wait for one.
    install -d ${D}${sysconfdir}/systemd/system
    ln -s /dev/null ${D}${sysconfdir}/systemd/system/systemd-networkd-wait-online.service
    # Where the data partition, and folders of it, are mounted. In the image they exist and are empty.
    install -d ${D}/data ${D}/efi ${D}${sysconfdir}/systemd/network ${D}${localstatedir}/lib/rauc
    install -d -m 0700 ${D}${localstatedir}/lib/scanside
}

FILES:${PN} += "\
    ${systemd_system_unitdir} \
    ${systemd_unitdir} \
    ${nonarch_base_libdir}/udev \
    ${sysconfdir}/systemd \
    ${localstatedir}/lib \
    /data \
    /efi \
"

RDEPENDS:${PN} = "e2fsprogs-e2fsck e2fsprogs-mke2fs rauc scansidectl scansided"
