SUMMARY = "Scanside: imaging appliance beside a scanner"
SUMMARY:scanside-models = "Model packages that come with Scanside"
SUMMARY:scansidectl = "Command line client of Scanside"
DESCRIPTION = "The daemon, its command line client, the model packages and everything that lies in systemd/ of the repository: \
what the Debian package installs, at the same places."
HOMEPAGE = "https://scanside.example"
BUGTRACKER = "https://scanside.example/issues"
SECTION = "science"
LICENSE = "Apache-2.0 & OFL-1.1"
LIC_FILES_CHKSUM = "file://LICENSE;md5=3b83ef96387f14655fc854ddc3c6bd57 \
                    file://daemon/report/fonts/LICENSE;md5=13e279e538002e411f006150c96d967f"

# The crates; yocto/scripts/crates.py writes them from Cargo.lock.
require scansided-crates.inc

# The charls-sys crate builds its C++ with cmake.
DEPENDS += "cmake-native"

inherit externalsrc cargo systemd useradd features_check

REQUIRED_DISTRO_FEATURES = "systemd polkit"

# The repository that this layer lies in: a copy of its files here could differ from it.
EXTERNALSRC = "${SCANSIDE_SOURCE}"
EXTERNALSRC_BUILD = "${WORKDIR}/build"
EXTERNALSRC_SYMLINKS = ""

# As hil-tests/scripts/deb.sh builds it: without simulated devices and without the development key.
CARGO_BUILD_FLAGS:append = " -p scansided -p scanside-client --no-default-features --features scanside-client/ctl"

# The daily acceptance test (scanside-acceptance.timer) and light and buzzer (scanside-alarm.service) are installed, and off until a site
# enables them.
SYSTEMD_SERVICE:${PN} = "scansided.service"

# sysusers.d names the same user. Here it has a fixed number: files on the data partition outlive the image that made them.
USERADD_PACKAGES = "${PN}"
GROUPADD_PARAM:${PN} = "--system --gid 790 scanside; --system -f render"
USERADD_PARAM:${PN} = "--system --uid 790 --gid 790 --comment 'Scanside imaging appliance' --home-dir ${localstatedir}/lib/scanside \
                       --no-create-home --shell ${base_sbindir}/nologin scanside"

# FOLDER:PLACE for each folder of systemd/, which is a mirror of the install tree; debian/ there is for dpkg.
SCANSIDE_TREES = "\
    system:${systemd_system_unitdir} \
    dbus-1:${datadir}/dbus-1 \
    polkit-1:${datadir}/polkit-1 \
    sysusers.d:${nonarch_libdir}/sysusers.d \
    tmpfiles.d:${nonarch_libdir}/tmpfiles.d \
    sysctl.d:${nonarch_libdir}/sysctl.d \
    udev:${nonarch_base_libdir}/udev \
    config.d:${nonarch_libdir}/scanside/config.d \
"

do_install() {
    install -d ${D}${bindir}
    install -m 0755 ${B}/target/${CARGO_TARGET_SUBDIR}/scansided ${B}/target/${CARGO_TARGET_SUBDIR}/scansidectl ${D}${bindir}

    for tree in ${SCANSIDE_TREES}; do
        (cd ${S}/systemd/${tree%%:*} && find . -type f -exec install -D -m 0644 {} ${D}${tree#*:}/{} \;)
    done
    # Where the library lies: the same place as in the Debian package.
    install -m 0644 ${S}/systemd/debian/20-package.toml ${D}${nonarch_libdir}/scanside/config.d
    # First content of /etc/scanside on the data partition.
    install -D -m 0644 ${S}/systemd/debian/50-site.toml ${D}${sysconfdir}/scanside/config.d/50-site.toml

    (cd ${S}/models/packages && find . -type f -exec install -D -m 0644 {} ${D}${datadir}/scanside/packages/{} \;)
}

PACKAGES =+ "scanside-models scansidectl"
FILES:scanside-models += "${datadir}/scanside/packages"
FILES:scansidectl += "${bindir}/scansidectl"
FILES:${PN} += "\
    ${datadir}/dbus-1 \
    ${datadir}/polkit-1 \
    ${nonarch_libdir}/sysusers.d \
    ${nonarch_libdir}/tmpfiles.d \
    ${nonarch_libdir}/sysctl.d \
    ${nonarch_libdir}/scanside \
    ${nonarch_base_libdir}/udev \
    ${sysconfdir}/scanside \
    ${systemd_system_unitdir}/scanside-acceptance.service \
    ${systemd_system_unitdir}/scanside-acceptance.timer \
    ${systemd_system_unitdir}/scanside-alarm.service \
"
CONFFILES:${PN} = "${sysconfdir}/scanside/config.d/50-site.toml"

RDEPENDS:${PN} = "${SCANSIDE_ONNXRUNTIME} dbus polkit scanside-models"
RRECOMMENDS:${PN} = "scansidectl"
