# RAUC writes GRUB's environment there.
do_install:append:scanside-qemu() {
    echo '/dev/disk/by-partlabel/esp /efi vfat umask=0077,nosuid,nodev,noexec,sync 0 2' >> ${D}${sysconfdir}/fstab
}
