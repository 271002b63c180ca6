SUMMARY = "Signs a root file system together with its dm-verity tree"
DESCRIPTION = "Used by the image type sealed of scanside-sealed.bbclass."
HOMEPAGE = "https://scanside.example"
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/Apache-2.0;md5=89aea4e17d99a7cacdbeed46a0096b10"

SRC_URI = "file://scanside-seal"

S = "${UNPACKDIR}"
INHIBIT_DEFAULT_DEPS = "1"

inherit_defer native

do_configure[noexec] = "1"
do_compile[noexec] = "1"

do_install() {
    install -D -m 0755 ${UNPACKDIR}/scanside-seal ${D}${bindir}/scanside-seal
}
