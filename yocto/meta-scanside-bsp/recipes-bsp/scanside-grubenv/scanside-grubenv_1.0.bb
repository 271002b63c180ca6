SUMMARY = "Environment block of GRUB: slot A is good, slot B is empty"
DESCRIPTION = "For the EFI partition of a new disk. RAUC changes it later."
HOMEPAGE = "https://scanside.example"
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/Apache-2.0;md5=89aea4e17d99a7cacdbeed46a0096b10"

# Nothing is fetched: the file is 1024 bytes of text.
SRC_URI = ""

S = "${UNPACKDIR}"

inherit deploy nopackages

INHIBIT_DEFAULT_DEPS = "1"

do_configure[noexec] = "1"
do_install[noexec] = "1"

# 1024 bytes, filled up with '#': GRUB and grub-editenv take no other size.
do_compile() {
    printf '%-1024s' '' | tr ' ' '#' > ${B}/fill
    printf '# GRUB Environment Block\nORDER=A B\nA_OK=1\nA_TRY=0\nB_OK=0\nB_TRY=0\n' | cat - ${B}/fill | head -c 1024 > ${B}/grubenv
}

do_deploy() {
    install -m 0644 ${B}/grubenv ${DEPLOYDIR}/grubenv
}
addtask deploy after do_compile before do_build
