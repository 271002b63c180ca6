# No Python on a box; and the library where the configuration of Scanside looks for it.
PACKAGECONFIG:scanside-jetson-orin = ""

do_install:append:scanside-jetson-orin() {
    install -d ${D}${nonarch_libdir}/scanside
    ln -s ../libonnxruntime.so.${PV} ${D}${nonarch_libdir}/scanside/libonnxruntime.so
}

FILES:${PN}:append:scanside-jetson-orin = " ${nonarch_libdir}/scanside"
