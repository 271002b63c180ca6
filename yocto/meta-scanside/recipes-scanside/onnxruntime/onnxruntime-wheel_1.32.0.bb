SUMMARY = "ONNX Runtime for the CPU, as built by its makers"
DESCRIPTION = "Only the library, from the wheel of PyPI that hil-tests/scripts/onnxruntime.txt pins for the tests and the Debian package. \
A machine with CUDA takes onnxruntime of meta-tegra-community instead (SCANSIDE_ONNXRUNTIME)."
HOMEPAGE = "https://onnxruntime.ai"
BUGTRACKER = "https://github.com/microsoft/onnxruntime/issues"
SECTION = "libs"
CVE_PRODUCT = "microsoft:onnxruntime"
LICENSE = "MIT"
LIC_FILES_CHKSUM = "file://onnxruntime/LICENSE;md5=0f7e3b1308cb5c00b372a6e78835732d"

SRC_URI:x86-64 = "https://files.pythonhosted.org/packages/1d/46/e6f356c9539d2eed44126de3421a81e217da2ad91b22dc11b379cb1e384f/onnxruntime-${PV}-cp311-cp311-manylinux_2_28_x86_64.whl;downloadfilename=onnxruntime-${PV}-x86_64.zip;subdir=${BP};name=x86-64"
SRC_URI:aarch64 = "https://files.pythonhosted.org/packages/b7/30/103820b32e9dc1d1fcfc5b519fd2de5bd699d25a25895caf5d726350d1b5/onnxruntime-${PV}-cp311-cp311-manylinux_2_28_aarch64.whl;downloadfilename=onnxruntime-${PV}-aarch64.zip;subdir=${BP};name=aarch64"
SRC_URI[x86-64.sha256sum] = "5a34fc4dfeb5a7b4a74c95dcba1e773d722abda720b474edf1b0c419dc6d163d"
SRC_URI[aarch64.sha256sum] = "2303372a85299b6757b0e11e1cbf13e410ddf7e10c37f4b37e99d1c90e7daf7c"

COMPATIBLE_HOST = "(x86_64|aarch64).*-linux"

do_configure[noexec] = "1"
do_compile[noexec] = "1"

do_install() {
    install -D -m 0644 ${S}/onnxruntime/capi/libonnxruntime.so.${PV} ${D}${nonarch_libdir}/scanside/libonnxruntime.so
}

FILES:${PN} += "${nonarch_libdir}/scanside/libonnxruntime.so"

# Its makers have linked and stripped it.
INHIBIT_PACKAGE_STRIP = "1"
INHIBIT_SYSROOT_STRIP = "1"
INHIBIT_PACKAGE_DEBUG_SPLIT = "1"
# nooelint: oelint.vars.insaneskip
INSANE_SKIP:${PN} += "already-stripped ldflags libdir"
