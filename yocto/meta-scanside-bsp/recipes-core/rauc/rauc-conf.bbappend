# system.conf lies in a folder that is called like the machine.
FILESEXTRAPATHS:prepend := "${THISDIR}/${PN}:"
