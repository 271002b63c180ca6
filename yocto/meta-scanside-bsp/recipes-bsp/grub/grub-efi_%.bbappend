# scanside-grub.cfg asks on which disk it lies.
GRUB_BUILDIN:append:scanside-qemu = " regexp"
