SUMMARY = "Lets RAUC choose the slot by NVIDIA's UEFI"
DESCRIPTION = "Custom boot loader backend of RAUC on a Jetson: nvbootctrl."
HOMEPAGE = "https://scanside.example"
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/Apache-2.0;md5=89aea4e17d99a7cacdbeed46a0096b10"

SRC_URI = "file://scanside-tegra-boot"

S = "${UNPACKDIR}"

COMPATIBLE_MACHINE = "(tegra)"
PACKAGE_ARCH = "${MACHINE_ARCH}"

do_configure[noexec] = "1"
do_compile[noexec] = "1"

do_install() {
    install -D -m 0755 ${S}/scanside-tegra-boot ${D}${libexecdir}/scanside-tegra-boot
    # It calls every start good that comes this far. Here scanside-mark-good.service says so, when the daemon works.
    install -d ${D}${sysconfdir}/systemd/system
    ln -s /dev/null ${D}${sysconfdir}/systemd/system/nv_update_verifier.service
}

RDEPENDS:${PN} = "tegra-redundant-boot-base"
