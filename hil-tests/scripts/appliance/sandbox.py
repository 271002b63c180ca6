"""The sandbox of scansided.service: what systemd says about it, and what a probe under the same unit can do.

The probe runs in the unit itself: a drop-in replaces the program (and the notification that only the daemon can send). Each protection has a
negative test, each need a positive one. The same probe runs as root without the unit, where every negative test must fail: one that
passes there as well would test nothing. And it runs in the unit as root: the protections must not rest on the user alone.
"""

import argparse
import pathlib

import install
from guest import Archive, Guest, Trouble, as_payload, image, sparse_copy

MAY_EXPOSE = 1.5
DROP_IN = """[Unit]
StartLimitIntervalSec=1
[Service]
Type=oneshot
ExecStart=
ExecStart=/usr/bin/perl /usr/lib/scanside/probe.pl
Environment=PROBE_PORT={port}
StandardOutput=truncate:/run/probe.log
Restart=no
WatchdogSec=0
"""
AS_ROOT = "User=root\nGroup=root\n"
# Root, none of the protections.
BARE = "PROBE_PORT={port} perl /usr/lib/scanside/probe.pl"


# What root may do inside the unit all the same: it is root already.
BY_USER = {"become_root", "read_shadow", "see_other_processes"}


def probe(text: str) -> dict[str, tuple[bool, str]]:
    rows = [line.split(" ", 2) for line in text.splitlines() if len(line.split(" ", 2)) >= 2]
    found = {row[0]: (row[1] == "yes", row[2] if len(row) > 2 else "") for row in rows if row[1] in ("yes", "no")}
    if "end" not in found:
        raise Trouble("the probe did not come to its end:\n" + text)
    del found["end"]
    return found


def run(folder: pathlib.Path, options: argparse.Namespace) -> dict:
    figures: dict = {}
    archive = Archive(folder)
    payload = folder / "payload.img"
    size = as_payload(options.deb, payload)
    disk = sparse_copy(image() / "disk.img", folder / "disk.img")
    guest = Guest(folder, disk, payload=payload)
    try:
        guest.wait()
        install.put_package(guest, size)
        guest.run("cd /root && apt-get install -y ./scanside.deb", within=300)
        exposure(guest, figures)
        guest.run("modprobe vivid n_devs=1 node_types=0x1; udevadm settle; touch /var/tmp/of-others; chmod 644 /home/stranger/secret; chmod 755 /home/stranger", within=60)
        daemon_uses_its_needs(guest, figures)
        guest.run("systemctl stop scansided", within=60)
        guest.put("/usr/lib/scanside/probe.pl", (pathlib.Path(__file__).parent / "probe.pl").read_text())
        guest.run("mkdir -p /run/systemd/system/scansided.service.d")
        guest.put("/run/systemd/system/scansided.service.d/probe.conf", DROP_IN.format(port=archive.port))
        found = probe(guest.run("systemctl daemon-reload; systemctl start scansided; cat /run/probe.log", within=60))
        guest.put("/run/systemd/system/scansided.service.d/probe.conf", DROP_IN.format(port=archive.port) + AS_ROOT)
        root = probe(guest.run("systemctl daemon-reload; systemctl start scansided; cat /run/probe.log", within=60))
        # After this the guest is good for nothing.
        bare = probe(guest.run(BARE.format(port=archive.port), within=60, check=False))
        judge(found, root, bare, figures)
        guest.cut()
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


def exposure(guest: Guest, figures: dict) -> None:
    text = guest.run("systemd-analyze security --no-pager scansided | tail -n 1", within=60)
    install.say(figures, "exposure", text.split(": ")[-1])
    if not guest.succeeds(f"systemd-analyze security --threshold={int(MAY_EXPOSE * 10)} --no-pager scansided >/dev/null"):
        raise Trouble(f"exposure over {MAY_EXPOSE}: {text}")


def daemon_uses_its_needs(guest: Guest, figures: dict) -> None:
    """The daemon itself, not the probe: decoders apart, port 104, the video device, real-time priority of the live threads."""
    # The first is started with the daemon, as a trial; it ends a minute later.
    guest.run("systemctl restart scansided", within=120)
    decoder = guest.run("pgrep -x frame-decoder", within=60).split()[0]
    install.say(figures, "decoder of images", guest.run(f"grep -E '^(Seccomp|NoNewPrivs|CapEff)' /proc/{decoder}/status").split("\n"))
    guest.put("/etc/scanside/config.d/50-site.toml", '[dicom]\nlisten = "0.0.0.0:104"\n[live]\ndevice = "/dev/video0"\n')
    guest.run("systemctl restart scansided", within=120)
    guest.until("ls -l /proc/$(systemctl show scansided -p MainPID --value)/fd | grep -q /dev/video0", 60, "the capture device opened")
    threads = guest.run("ps -L -o cls,rtprio,ni,comm -p $(systemctl show scansided -p MainPID --value)")
    install.say(figures, "threads with real-time priority", [line for line in threads.splitlines() if line.split()[0] in ("FF", "RR")])
    install.say(figures, "threads before other work (nice)", sorted({line for line in threads.splitlines() if line.split()[2].startswith("-1")}))
    install.say(figures, "listens", guest.run("ss -Hltn 'sport = :104'"))
    install.say(figures, "live", guest.run("scansidectl live status | head -n 8", within=60, check=False).splitlines())


def judge(found: dict, root: dict, bare: dict, figures: dict) -> None:
    wrong = []
    for name, (done, why) in found.items():
        needed = name.startswith("need_")
        word = {True: "yes", False: "no"}
        other = "" if needed else f"; in the unit as root: {word[root[name][0]]}; root without the unit: {word[bare[name][0]]}"
        install.say(figures, name, f"{word[done]} {why}{other}")
        if done != needed:
            wrong.append(name)
        if not needed and root[name][0] and name not in BY_USER:
            wrong.append(f"{name} (as root)")
        if not needed and not bare[name][0]:
            wrong.append(f"{name} (also refused without the unit: the test cannot fail)")
    if wrong:
        raise Trouble("the sandbox is wrong in: " + ", ".join(wrong))
