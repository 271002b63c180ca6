"""Power cuts at random instants while a scanner sends and studies are analysed and delivered.

What a round is. A guest that has booted, with the package installed and the service not started, was saved once with its memory. Each
round wakes it up (seconds instead of a minute of booting), plugs in the data disk, mounts it - the kernel replays the journal of the
file system - and starts the service. Scanners send a new study, and once more each that was not acknowledged as a whole. At a random
instant the drive and then QEMU end, and the drive loses what was not flushed (drive.py).

What it proves. The data disk goes through a real power cut: its own cache, the guest's page cache, ext4's journal, SQLite's and the
custody log's recovery. What it does not: the root file system is fresh in each round, so nothing is said of a cut during an update; the
drive is an emulated one, whose torn writes end at sectors.
"""

import argparse
import collections
import json
import pathlib
import random
import re
import shutil
import sqlite3
import statistics
import subprocess
import time

import install
from drive import Drive
from guest import Archive, Guest, Trouble, acknowledged, as_payload, echoes, free_port, image, phantom, scanner, sparse_copy
from part10 import check_journal, data_set, same_data_set, sop_uid, title

DATA_MB = 1024
# Sending takes some seconds here, analysis and delivery some more: most cuts come while images arrive, the others in any phase.
SENDING_S, ALL_S = 5.0, 18.0
# A job may be hit by more than two cuts, and is to be done all the same.
HIT_OFTEN = "max_interruptions = 1000\n"
SETTLED = """SELECT (SELECT count(*) FROM series WHERE state IN ('receiving', 'complete'))
    + (SELECT count(*) FROM jobs WHERE state IN ('queued', 'running'))
    + (SELECT count(*) FROM deliveries WHERE state = 'pending')"""


def run(folder: pathlib.Path, options: argparse.Namespace) -> dict:
    archive = Archive(folder)
    box = Box.new(folder, options, archive.port)
    drive, port = box.drive, box.port
    begun = time.monotonic()
    rows, sent, studies = so_far(folder)
    chance = random.Random(options.seed + len(rows))
    try:
        for number in range(len(rows), options.rounds):
            if time.monotonic() - begun > options.minutes * 60:
                break
            ready = box.wake()
            found = box.look(f"round-{number}")
            held = found.check_custody(sent)
            studies.append(phantom(folder / f"study-{number}", 1000 + number, *install.SMALL_STUDY))
            moment = chance.uniform(0.3, SENDING_S if chance.random() < 0.6 else ALL_S)
            sending, logs = [], []
            for study in incomplete(studies, sent):
                logs.append(folder / f"scanner-{number}-{study.name}.log")
                sending.append(scanner(port, study, logs[-1]))
            time.sleep(moment)  # no synchronisation: the random instant is what is tested
            # In half of the rounds the cut is aimed: at the next instant at which something is written and not flushed.
            if aimed := chance.random() < 0.5:
                drive.wait_for_unflushed(within=5)
            drive.power_off()
            box.guest.cut()
            lost = drive.cut(chance)
            for sender in sending:
                sender.wait(60)
            new = 0
            for log in logs:
                for file in acknowledged(log):
                    new += file not in sent
                    sent.setdefault(file, f"round {number}")
            rows.append({"round": number, "cut_s": round(moment, 1), "aimed": aimed, "ready_s": round(ready, 2), "checked": held, "acknowledged": new, "drive": lost})
            print(f"  {rows[-1]}", flush=True)
            (folder / "rows.json").write_text(json.dumps(rows))
            shutil.rmtree(folder / f"round-{number}")
        # What is not acknowledged yet is sent to its end, and everything comes to rest.
        ready = box.wake()
        rows.append({"round": "last", "ready_s": round(ready, 2)})
        for study in incomplete(studies, sent):
            log = folder / f"scanner-last-{study.name}.log"
            if scanner(port, study, log).wait(300) != 0:
                raise Trouble("storescu after the last cut: " + log.read_text()[-500:])
            for file in acknowledged(log):
                sent.setdefault(file, "last")
        found = box.rest(within=1200)
        found.check_custody(sent)
        figures = found.check_verdicts(len(studies)) | found.check_results(archive) | found.check_orphans()
        figures["journal"] = check_journal(
            box.guest.serial.read_text(errors="replace") + box.guest.run(install.JOURNAL, within=120),
            [f for s in studies for f in sorted(s.rglob("*.dcm"))[:1]],
        )
        figures["log_of_the_daemon"] = box.complaints()
        box.guest.cut()
    except BaseException:
        if box.guest and box.guest.process.poll() is None:
            try:
                (folder / "journal.log").write_text(box.guest.run("journalctl -b --no-pager -n 300", check=False))
            finally:
                box.guest.cut()
        raise
    finally:
        archive.stop()
    times = [row["ready_s"] for row in rows]
    figures |= {
        "rounds": len(rows) - 1, "seed": options.seed, "acknowledged instances": len(sent), "lost": 0,
        "unflushed writes lost": sum(int(row["drive"].split()[0]) for row in rows if "drive" in row), "rounds that lost writes": sum(not row.get("drive", "0").startswith("0") for row in rows), "exec to READY, s, median": statistics.median(times), "exec to READY, s, most": max(times),
        "table": rows,
    }
    for name, value in figures.items():
        if name != "table":
            print(f"  {name}: {value}")
    return figures


def fall_asleep(folder: pathlib.Path, deb: pathlib.Path) -> None:
    """Installs the package, and saves the guest with its memory before the service has started."""
    payload = folder / "payload.img"
    size = as_payload(deb, payload)
    disk, state = sparse_copy(image() / "disk.img", folder / "disk.img"), folder / "asleep.state"
    guest = Guest(folder, disk, payload=payload, append="systemd.journald.forward_to_console=1 systemd.show_status=0")
    try:
        guest.wait()
        install.put_package(guest, size)
        guest.run("cd /root && apt-get install -y ./scanside.deb", within=300)
        guest.run("systemctl stop scansided; rm -rf /var/lib/scanside/*; sync; sleep 3")
        guest.command("stop")
        guest.command("migrate", uri=f"exec:cat > {state}")
        while (status := guest.command("query-migrate").get("status")) != "completed":
            if status == "failed":
                raise Trouble("the guest cannot be saved")
            time.sleep(0.5)
    finally:
        guest.cut()


def so_far(folder: pathlib.Path) -> tuple[list[dict], dict[pathlib.Path, str], list[pathlib.Path]]:
    """Rounds, acknowledged files (with the log that says so) and studies of a run that goes on."""
    kept = folder / "rows.json"
    rows = json.loads(kept.read_text()) if kept.exists() else []
    studies = [folder / f"study-{number}" for number in range(len(rows)) if (folder / f"study-{number}").exists()]
    sent: dict[pathlib.Path, str] = {}
    for log in sorted(folder.glob("scanner-*.log"), key=lambda log: log.stat().st_mtime):
        for file in acknowledged(log):
            sent.setdefault(file, log.stem)
    return rows, sent, studies


def incomplete(studies: list[pathlib.Path], sent: dict) -> list[pathlib.Path]:
    return [study for study in studies if any(file not in sent for file in study.rglob("*.dcm"))]


class Box:
    """The box under test: a saved guest and a data disk."""

    def __init__(self, folder: pathlib.Path, saved: pathlib.Path, drive: Drive, site: str):
        self.folder, self.saved, self.drive, self.site, self.port = folder, saved, drive, site, free_port()
        self.guest: Guest | None = None

    @classmethod
    def new(cls, folder: pathlib.Path, options: argparse.Namespace, archive_port: int) -> "Box":
        """A new box with an empty disk; its guest is the one that `--saved` names, or is installed now."""
        if not options.saved:
            fall_asleep(folder, options.deb)
        data = folder / "data.img"
        if data.exists():
            (folder / "drive.sock").unlink(missing_ok=True)
            return cls(folder, options.saved or folder, Drive(str(data), str(folder / "drive.sock")), install.site(archive_port, HIT_OFTEN))
        subprocess.run(["mkfs.ext4", "-q", "-L", "data", "-E", "lazy_itable_init=0,lazy_journal_init=0", data, f"{DATA_MB}M"],
                       check=True, capture_output=True)
        drive = Drive(str(data), str(folder / "drive.sock"))
        return cls(folder, options.saved or folder, drive, install.site(archive_port, HIT_OFTEN))

    def wake(self) -> float:
        """Power on; gives the seconds from exec to READY."""
        # On a busy machine the guest's ACPI sometimes gives up while the disk is plugged in. Nothing has touched the disk then.
        for _ in range(4):
            if self._plug_in():
                break
            self.drive.power_off()
            self.guest.cut()
            self.drive.cut(None)
        else:
            raise Trouble("the data disk cannot be plugged in: " + self.guest.log_tail())
        guest = self.guest
        guest.put("/etc/scanside/config.d/50-site.toml", self.site)
        guest.run("mount -o errors=remount-ro /dev/disk/by-id/virtio-data /var/lib/scanside", within=120)
        guest.run("systemctl start scansided", within=200)
        until = time.monotonic() + 60
        while not echoes(self.port):
            if time.monotonic() > until:
                raise Trouble("no C-ECHO after READY")
        guest.until("scansidectl status >/dev/null", 60, "an answer on the bus")
        return install.start_to_ready(guest)

    def _plug_in(self) -> bool:
        self.guest = Guest(self.folder, self.saved / "disk.img", payload=self.saved / "payload.img", incoming=self.saved / "asleep.state",
                           root_read_only=True, dicom=self.port)
        while self.guest.command("query-status")["status"] == "inmigrate":
            time.sleep(0.1)
        self.guest.command("cont")
        self.guest.wait(120)
        self.guest.attach(self.drive.path, "data")
        self.guest.run(f"date -s @{time.time():.3f} >/dev/null")
        try:
            self.guest.until("test -b /dev/disk/by-id/virtio-data", 30, "the data disk")
        except Trouble:
            return False
        return True

    def look(self, name: str) -> "Records":
        """A copy of what is on the data disk, as of now."""
        to = self.folder / name
        to.mkdir()
        self.guest.run("fsfreeze -f /var/lib/scanside", within=120)
        try:
            subprocess.run(["debugfs", "-R", f"rdump / {to}", self.drive.image], check=True, capture_output=True)
        finally:
            self.guest.run("fsfreeze -u /var/lib/scanside")
        return Records(to)

    def rest(self, within: float) -> "Records":
        """Waits until nothing is left to do, stops the service and gives what is on the disk."""
        until = time.monotonic() + within
        while True:
            records = self.look(f"rest-{int(time.monotonic())}")
            waiting = records.one(SETTLED)
            if waiting == 0:
                break
            if time.monotonic() > until:
                raise Trouble(f"{waiting} series, jobs and deliveries wait after {within:.0f} s")
            shutil.rmtree(records.folder)
            time.sleep(5)
        self.guest.run("systemctl stop scansided", within=60)
        return self.look("end")

    def complaints(self) -> dict:
        text = self.guest.serial.read_text(errors="replace")
        if "panicked" in text:
            raise Trouble("a panic in the journal")
        return dict(collections.Counter(re.findall(r"EXT4-fs error|I/O error|set aside|damaged", text)))


class Records:
    """What is on the disk, read without the daemon's code."""

    def __init__(self, folder: pathlib.Path):
        self.folder = folder
        self.database = sqlite3.connect(folder / "scanside.db")

    def one(self, sql: str, *values):
        return self.database.execute(sql, values).fetchone()[0]

    def bytes_of(self, segment, file, offset: int, length: int) -> bytes:
        path = self.folder / (file if file else f"log/{segment:08}.seg")
        with path.open("rb") as opened:
            opened.seek(offset)
            found = opened.read(length)
        if len(found) != length:
            raise Trouble(f"{path.name} ends early")
        return found

    def check_custody(self, sent: dict) -> int:
        """Every acknowledged instance is there once, with the bytes that were sent."""
        for file, when in sent.items():
            original = file.read_bytes()
            uid = sop_uid(original)
            rows = self.database.execute("SELECT state, segment, file, offset, length FROM instances WHERE sop_uid = ?", (uid,)).fetchall()
            if len(rows) != 1 or rows[0][0] != "kept":
                raise Trouble(f"LOST: {uid}, acknowledged in {when}: {rows}")
            if data_set(self.bytes_of(*rows[0][1:])) != data_set(original):
                raise Trouble(f"CHANGED: {uid}, acknowledged in {when}")
        return len(sent)

    def check_verdicts(self, studies: int) -> dict:
        series = self.database.execute("SELECT state, verdict, instance_count FROM series").fetchall()
        stuck = [row for row in series if row[0] not in ("processed", "refused") or not row[1]]
        if stuck or len([row for row in series if row[2] > 1]) != studies:
            raise Trouble(f"series without a verdict, or not one for each study ({studies}): {stuck or series}")
        jobs = collections.Counter(row[0] for row in self.database.execute("SELECT state FROM jobs"))
        if set(jobs) - {"done", "superseded"}:
            raise Trouble(f"jobs: {jobs}")
        return {"verdicts": dict(collections.Counter(row[0] for row in series)), "jobs": dict(jobs),
                "jobs hit at work": self.one("SELECT coalesce(sum(interruptions), 0) FROM jobs")}

    def check_results(self, archive: Archive) -> dict:
        """Every result is made once, and at the archive with the same bytes; nothing is there that was not made.

        A series of which the rest came after the cut is analysed again, as a new version. What was not sent of the version before is
        superseded.
        """
        made, delivered = {}, set()
        sets = collections.Counter()
        for job, kind, uid, file, states in self.database.execute(
            "SELECT r.job_id, r.kind, r.sop_uid, r.file, group_concat(d.state) FROM results r LEFT JOIN deliveries d"
            " ON d.result_id = r.id GROUP BY r.id"
        ):
            if states not in ("delivered", "superseded"):
                raise Trouble(f"{kind} {uid}: {states}")
            made[uid] = self.folder / file
            delivered |= {uid} if states == "delivered" else set()
            # One job makes one object of each kind, in each language.
            sets[job, kind, title(self.folder / file)] += 1
        doubled = {key: count for key, count in sets.items() if count > 1}
        if doubled:
            raise Trouble(f"results doubled: {doubled}")
        received = {sop_uid(file.read_bytes()): file for file in archive.objects()}
        if len(received) != len(archive.objects()):
            raise Trouble("two objects at the archive have one UID")
        if not delivered <= received.keys() or not received.keys() <= made.keys():
            raise Trouble(f"at the archive only: {received.keys() - made.keys()}; delivered, but not there: {delivered - received.keys()}")
        for uid, file in received.items():
            if not same_data_set(made[uid], file):
                raise Trouble(f"{uid} differs at the archive")
        return {"results made": len(made), "results at the archive, each once and byte-equal": len(received),
                "superseded before they were sent": len(made.keys() - received.keys()), "results doubled": 0}

    def check_orphans(self) -> dict:
        """No result file without a row."""
        known = {row[0] for row in self.database.execute("SELECT file FROM results")}
        folders = {str(pathlib.Path(file).parent) for file in known}
        orphans = [str(f.relative_to(self.folder)) for f in (self.folder / "results").rglob("*.dcm") if str(f.relative_to(self.folder)) not in known]
        strange = sorted(str(f.relative_to(self.folder)) for f in self.folder.rglob("*") if f.is_file() and re.search(r"\.(tmp|part|new)$", f.name))
        if orphans or strange:
            raise Trouble(f"orphans: {orphans} {strange}")
        return {"orphans": 0, "folders of results": len(folders)}
