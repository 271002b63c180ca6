"""From a fresh Debian to results at the archive, with the times; then the users, the upgrade, the downgrade and the purge."""

import argparse
import pathlib
import re
import subprocess
import time

from guest import ARCHIVE_ADDRESS, Archive, Guest, Trouble, acknowledged, as_payload, echoes, image, phantom, scanner, sparse_copy
from part10 import check_journal

# Few and thick slices: emulated, every pixel costs. They are too thick for the networks; the quality report is made and sent.
SMALL_STUDY = ["--matrix", "96", "--pixel-mm", "3.9", "--slices", "28", "--slice-mm", "10"]

# With all fields, not only the texts that people see.
JOURNAL = "journalctl -u scansided -o json --no-pager"


def site(port: int, extra: str = "") -> str:
    """The site's configuration. The guest's disk is small: with the default reserve of 2 GiB the box would refuse studies."""
    return f"""[dicom]
listen = "0.0.0.0:104"
[[dicom.sender]]
ae_title = "CT1"
[destination.pacs]
address = "{ARCHIVE_ADDRESS}:{port}"
ae_title = "ARCHIVE"
retry_secs = 2.0
retry_max_secs = 10.0
[series]
quiet_secs = 3.0
[spool]
segment_mib = 4
ready_segments = 2
min_free_mib = 16
evict_below_mib = 16
[analyze]
quality = true
{extra}"""


def say(figures: dict, name: str, value) -> None:
    figures[name] = value
    print(f"  {name}: {value}", flush=True)


def put_package(guest: Guest, size: int) -> None:
    guest.until("test -e /dev/disk/by-id/virtio-payload", 30, "the disk with the package")
    guest.run(f"head -c {size} /dev/disk/by-id/virtio-payload > /root/scanside.deb")


def start_to_ready(guest: Guest) -> float:
    """Seconds from exec to READY, as systemd has measured them."""
    text = guest.run("systemctl show scansided -p ExecMainStartTimestampMonotonic,ActiveEnterTimestampMonotonic")
    times = dict(line.split("=") for line in text.splitlines())
    return (int(times["ActiveEnterTimestampMonotonic"]) - int(times["ExecMainStartTimestampMonotonic"])) / 1e6


def resident(guest: Guest) -> float:
    """Resident memory of the daemon, MB."""
    text = guest.run("grep VmRSS /proc/$(systemctl show scansided -p MainPID --value)/status")
    return round(int(re.search(r"(\d+) kB", text)[1]) * 1024 / 1e6, 1)


def warnings(guest: Guest) -> str:
    """What systemd, D-Bus, polkit and udev had to complain about in our files."""
    return guest.run("journalctl -b --no-pager -o cat -p warning | grep -i 'scanside' | grep -v 'Kernel command line' || true")


def run(folder: pathlib.Path, options: argparse.Namespace) -> dict:
    figures: dict = {}
    archive = Archive(folder)
    payload = folder / "payload.img"
    size = as_payload(options.deb, payload)
    disk = sparse_copy(image() / "disk.img", folder / "disk.img")
    guest = Guest(folder, disk, payload=payload)
    try:
        say(figures, "boot of the fresh image, s", round(guest.wait()))
        put_package(guest, size)
        begun = time.monotonic()
        printed = guest.run("cd /root && apt-get install -y ./scanside.deb", within=300)
        say(figures, "apt install, s", round(time.monotonic() - begun))
        (folder / "apt.log").write_text(printed)
        for complaint in ["rror", "arning", "ailed", "nknown"]:
            if found := [line for line in printed.splitlines() if complaint in line]:
                say(figures, "apt says", found)
        if guest.run("systemctl is-active scansided", check=False) != "active":
            raise Trouble("not active after the installation:\n" + guest.run("systemctl status scansided --no-pager -l -n 30", check=False))
        if changed := guest.run("dpkg --verify scanside", check=False):
            raise Trouble("files that are not as they were packed:\n" + changed)
        guest.run("test -s /usr/share/man/man1/scansidectl.1.gz && test -s /usr/share/doc/scanside/scanside.cdx.json")
        say(figures, "exec to READY after the installation, s", start_to_ready(guest))

        guest.put("/etc/scanside/config.d/50-site.toml", site(archive.port))
        guest.run("scansidectl config check && systemctl restart scansided", within=120)
        say(figures, "exec to READY with the site's configuration, s", start_to_ready(guest))
        begun = time.monotonic()
        while not echoes(guest.dicom):
            if time.monotonic() - begun > 60:
                raise Trouble("no C-ECHO on port 104: " + guest.run("journalctl -u scansided --no-pager -n 20", check=False))
        say(figures, "C-ECHO answered on port 104, s", round(time.monotonic() - begun, 2))
        say(figures, "resident, idle, MB", resident(guest))

        study = phantom(folder / "study", 11, *SMALL_STUDY)
        sent = scanner(guest.dicom, study, folder / "scanner.log")
        begun = time.monotonic()
        if sent.wait(120) != 0:
            raise Trouble("storescu: " + (folder / "scanner.log").read_text()[-600:])
        say(figures, "instances acknowledged", len(acknowledged(folder / "scanner.log")))
        guest.until("scansidectl --json series | grep -q '\"verdict\": *\"[^\"]'", 240, "a verdict")
        say(figures, "sent to verdict, s", round(time.monotonic() - begun))
        guest.until("scansidectl --json outbox list --all | grep -q delivered && ! scansidectl --json outbox list | grep -q pending", 120,
                    "results delivered")
        say(figures, "sent to results at the archive, s", round(time.monotonic() - begun))
        say(figures, "objects at the archive", len(archive.objects()))
        if not archive.objects():
            raise Trouble("nothing came to the archive")
        say(figures, "verdict", guest.run("scansidectl series | cat"))
        say(figures, "resident after the study, MB", resident(guest))

        say(figures, "identifying data in the journal", check_journal(guest.run(JOURNAL), sorted(study.rglob("*.dcm"))[:1]))
        users(guest, figures)
        say(figures, "warnings in the journal", warnings(guest).splitlines())
        lifecycle(guest, figures)
        guest.run("sync")
        guest.off()
    except BaseException:
        if guest.process.poll() is None:
            try:
                (folder / "journal.log").write_text(guest.run("journalctl -b --no-pager -n 300", check=False))
            finally:
                guest.cut()
        raise
    finally:
        archive.stop()
    return figures


def users(guest: Guest, figures: dict) -> None:
    """Root and operators may; nobody else may see a name of a patient."""
    guest.run("scansidectl status", within=60)
    guest.run("usermod --append --groups scanside technician")
    for user, allowed in [("technician", True), ("stranger", False)]:
        for name, command in [("status", "scansidectl status"), ("list", "scansidectl studies list"), ("change", "scansidectl outbox retry")]:
            printed = guest.run(f"runuser -u {user} -- {command}; echo exit $?", within=60, check=False)
            passed = printed.endswith("exit 0")
            say(figures, f"{user}, {name}", "may" if passed else "may not: " + printed.splitlines()[0][:160])
            if passed != allowed:
                raise Trouble(f"{user}: {command}: {printed}")
    if guest.succeeds("runuser -u stranger -- ls /var/lib/scanside"):
        raise Trouble("a stranger can look into the spool")
    modes = guest.run("stat -c '%a %U %n' /var/lib/scanside /etc/scanside /etc/scanside/config.d /etc/scanside/keys /run/scanside")
    say(figures, "modes", modes.splitlines())


def lifecycle(guest: Guest, figures: dict) -> None:
    """Upgrade keeps data and configuration, downgrade behind the database is refused, removal and purge keep the studies."""
    before = guest.run("md5sum /etc/scanside/config.d/50-site.toml; scansidectl --json studies list | md5sum")
    guest.run("cd /root && apt-get install -y --reinstall ./scanside.deb", within=300)
    guest.until("systemctl is-active -q scansided", 60, "active after the upgrade")
    if guest.run("md5sum /etc/scanside/config.d/50-site.toml; scansidectl --json studies list | md5sum", within=60) != before:
        raise Trouble("the upgrade has changed configuration or studies")
    say(figures, "upgrade", "keeps configuration and studies")

    # A database of a newer version: the number that SQLite keeps at byte 60. The daemon is stopped, so nobody has it open.
    guest.run("systemctl stop scansided; printf '\\000\\000\\003\\347' | dd of=/var/lib/scanside/scanside.db bs=1 seek=60 conv=notrunc 2>/dev/null")
    guest.run("cp /var/lib/scanside/scanside.db /root/newer.db; systemctl reset-failed scansided")
    printed = guest.run("cd /root; apt-get install -y --reinstall ./scanside.deb; echo exit $?", within=300)
    if printed.endswith("exit 0") or "was written by a newer version (schema 999" not in printed:
        raise Trouble("a downgrade behind the database was not refused:\n" + printed)
    if not guest.succeeds("cmp /var/lib/scanside/scanside.db /root/newer.db"):
        raise Trouble("the refused downgrade has changed the database")
    say(figures, "downgrade", next(line for line in printed.splitlines() if "newer version" in line))
    migrations = len(list((pathlib.Path(__file__).parents[3] / "daemon/custody/src/store/migrations").glob("*.sql")))
    guest.run(f"systemctl stop scansided; printf '\\000\\000\\000\\{migrations:03o}' | "
              "dd of=/var/lib/scanside/scanside.db bs=1 seek=60 conv=notrunc 2>/dev/null; systemctl start scansided", within=120)

    guest.run("apt-get remove -y scanside", within=120)
    if guest.succeeds("pgrep scansided") or not guest.succeeds("test -s /var/lib/scanside/scanside.db"):
        raise Trouble("removal: the daemon runs on, or the data is gone")
    guest.run("mkdir -p /etc/scanside/tls; echo key > /etc/scanside/tls/ca.key; echo token > /etc/scanside/pacs.token")
    printed = guest.run("dpkg --purge scanside 2>&1", within=120)
    if "/etc/scanside/tls/ca.key" not in printed or "/etc/scanside/pacs.token" not in printed:
        raise Trouble("purge has kept keys or passwords without naming them: " + printed)
    if not guest.succeeds("test -s /var/lib/scanside/scanside.db") or "was kept" not in printed:
        raise Trouble("purge has deleted studies without being told to: " + printed)
    guest.run("cd /root && apt-get install -y ./scanside.deb", within=300)
    guest.run("SCANSIDE_PURGE_DATA=yes dpkg --purge scanside", within=120)
    if guest.succeeds("test -e /var/lib/scanside"):
        raise Trouble("purge with SCANSIDE_PURGE_DATA=yes has kept the data")
    if guest.succeeds("test -e /etc/scanside"):
        raise Trouble("purge with SCANSIDE_PURGE_DATA=yes has kept keys or passwords")
    say(figures, "purge", "keeps studies; deletes them with SCANSIDE_PURGE_DATA=yes")
