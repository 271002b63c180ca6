SUMMARY = "Checks the signed dm-verity tree of a root file system"
DESCRIPTION = "For the initial RAM disk: opens a slot only when a signer of this box has sealed it."
HOMEPAGE = "https://scanside.example"
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/Apache-2.0;md5=89aea4e17d99a7cacdbeed46a0096b10"

SRC_URI = "file://scanside-unseal \
           file://scanside-initramfs \
           file://${SCANSIDE_KEYS}/ca.cert.pem"

S = "${UNPACKDIR}"
INHIBIT_DEFAULT_DEPS = "1"

do_configure[noexec] = "1"
do_compile[noexec] = "1"

do_install() {
    install -D -m 0755 ${UNPACKDIR}/scanside-unseal ${D}${sbindir}/scanside-unseal
    # A file that is named by its whole path is unpacked with it.
    install -D -m 0644 ${UNPACKDIR}${SCANSIDE_KEYS}/ca.cert.pem ${D}${nonarch_libdir}/scanside-unseal/ca.cert.pem
    # A module of initramfs-framework. Before 90-rootfs, which mounts what it is given as root.
    install -D -m 0755 ${UNPACKDIR}/scanside-initramfs ${D}/init.d/88-scanside
}

PACKAGES =+ "${PN}-initramfs"
FILES:${PN}-initramfs += "/init.d"
FILES:${PN} += "${nonarch_libdir}/scanside-unseal"

RDEPENDS:${PN} = "cryptsetup openssl-bin"
RDEPENDS:${PN}-initramfs = "${PN} initramfs-framework-base"
