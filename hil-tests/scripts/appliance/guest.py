"""A guest in QEMU: Debian with a real systemd, without KVM (emulated), and a root shell on a virtio port."""

import base64
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time
import uuid

ROOT = pathlib.Path(__file__).resolve().parents[3]
# Emulated, and on a machine that others use as well.
BOOTED_WITHIN = 420.0
ARCHIVE_ADDRESS = "10.0.2.2"  # how the guest sees the host


class Trouble(Exception):
    """What did not happen, for people."""


def image() -> pathlib.Path:
    """The folder of the cached image, which is built when there is none: minutes."""
    script = ROOT / "hil-tests/scripts/appliance/image.sh"
    return pathlib.Path(subprocess.run([script], check=True, capture_output=True, text=True).stdout.strip())


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def sparse_copy(source: pathlib.Path, to: pathlib.Path) -> pathlib.Path:
    subprocess.run(["cp", "--sparse=always", "--reflink=auto", source, to], check=True)
    return to


class Guest:
    """Starts QEMU; `folder` keeps the serial log, the monitor's socket and what else belongs to this run."""

    def __init__(self, folder: pathlib.Path, disk: pathlib.Path, *, payload: pathlib.Path | None = None, memory: int = 1024,
                 incoming: pathlib.Path | None = None, root_read_only: bool = False, dicom: int | None = None, append: str = "",
                 extra: list[str] | None = None):
        self.folder, self.dicom = folder, dicom or free_port()
        base = image()
        for name in ["bench.sock", "monitor.sock"]:
            (folder / name).unlink(missing_ok=True)
        self.serial = folder / "serial.log"
        mode = "snapshot=on" if root_read_only else "cache=unsafe"
        command = [
            "qemu-system-x86_64", "-accel", "tcg,thread=multi,tb-size=384", "-cpu", "max", "-smp", "2", "-m", str(memory),
            "-nodefaults", "-display", "none", "-no-reboot", "-kernel", base / "vmlinuz", "-initrd", base / "initrd",
            "-append", f"root=/dev/vda {'ro' if root_read_only else 'rw'} console=ttyS0 loglevel=4 panic=-1 {append}",
            "-chardev", f"file,id=serial,path={self.serial},append=on", "-serial", "chardev:serial",
            "-drive", f"file={disk},if=none,id=root,format=raw,{mode}", "-device", "virtio-blk-pci,drive=root,serial=root",
            "-device", "virtio-serial-pci", "-chardev", f"socket,id=bench,path={folder}/bench.sock,server=on,wait=off",
            "-device", "virtserialport,chardev=bench,name=bench",
            "-qmp", f"unix:{folder}/monitor.sock,server=on,wait=off",
            "-netdev", f"user,id=net,hostfwd=tcp:127.0.0.1:{self.dicom}-10.0.2.15:104", "-device", "virtio-net-pci,netdev=net",
            "-device", "virtio-rng-pci", "-device", "i6300esb",
        ]
        if payload:
            command += ["-drive", f"file={payload},if=none,id=payload,format=raw,readonly=on",
                        "-device", "virtio-blk-pci,drive=payload,serial=payload"]
        if incoming:
            command += ["-incoming", f"exec:cat {incoming}"]
        command += extra or []
        self.process = subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL,
                                        stdout=(folder / "qemu.log").open("a"), stderr=subprocess.STDOUT)
        self.started = time.monotonic()
        self.port = self._connect("bench.sock")
        self.monitor = self._connect("monitor.sock")
        self.monitor_file = self.monitor.makefile("rw")
        self.monitor_file.readline()
        self.command("qmp_capabilities")

    def _connect(self, name: str) -> socket.socket:
        peer, until = socket.socket(socket.AF_UNIX), time.monotonic() + 30
        while True:
            try:
                peer.connect(str(self.folder / name))
                return peer
            except OSError:
                if self.process.poll() is not None or time.monotonic() > until:
                    raise Trouble("QEMU has not started: " + (self.folder / "qemu.log").read_text()[-500:]) from None
                time.sleep(0.05)

    def command(self, name: str, **arguments):
        """One command to QEMU's monitor."""
        self.monitor_file.write(json.dumps({"execute": name, "arguments": arguments}) + "\n")
        self.monitor_file.flush()
        while line := self.monitor_file.readline():
            answer = json.loads(line)
            if "return" in answer:
                return answer["return"]
            if "error" in answer:
                raise Trouble(f"QEMU, {name}: {answer['error']['desc']}")
        raise Trouble("QEMU has ended: " + (self.folder / "qemu.log").read_text()[-500:])

    # ------------------------------------------------------------ the shell

    def wait(self, within: float = BOOTED_WITHIN) -> float:
        """Until the shell answers; seconds since the start of QEMU."""
        until = time.monotonic() + within
        while time.monotonic() < until:
            try:
                self._ask(":", 5)
                return time.monotonic() - self.started
            except TimeoutError:
                if self.process.poll() is not None:
                    raise Trouble("the guest has ended: " + self.log_tail()) from None
        raise Trouble(f"the guest did not boot within {within:.0f} s: " + self.log_tail())

    def _ask(self, script: str, within: float) -> tuple[int, str]:
        mark = uuid.uuid4().hex
        # In two parts, so that an echo of the command is not taken for the answer.
        self.port.sendall(f"( {script}\n) </dev/null 2>&1; printf '\\n@%s%s %d@\\n' {mark[:16]} {mark[16:]} $?\n".encode())
        text, until = bytearray(), time.monotonic() + within
        while True:
            self.port.settimeout(max(0.1, until - time.monotonic()))
            part = self.port.recv(65536)
            if not part:
                raise Trouble("the guest's shell is gone: " + self.log_tail())
            text += part
            start = text.find(f"\n@{mark} ".encode())
            if start >= 0 and text.find(b"@", start + 35) > 0:
                status = int(text[start + 35 : text.find(b"@", start + 35)])
                return status, text[:start].decode(errors="replace").lstrip("\n")
            if time.monotonic() > until:
                raise TimeoutError

    def run(self, script: str, within: float = 120, check: bool = True) -> str:
        """Runs a script as root and gives what it printed."""
        try:
            status, text = self._ask(script, within)
        except TimeoutError:
            raise Trouble(f"no answer within {within:.0f} s: {script}") from None
        if check and status:
            raise Trouble(f"exit code {status}: {script}\n{text}")
        return text.strip()

    def succeeds(self, script: str, within: float = 120) -> bool:
        return self._ask(script, within)[0] == 0

    def put(self, path: str, text: str) -> None:
        self.run(f"echo {base64.b64encode(text.encode()).decode()} | base64 -d > {path}")

    def until(self, script: str, within: float, what: str) -> float:
        """Asks again and again until the script succeeds; seconds that it took."""
        begun = time.monotonic()
        while time.monotonic() - begun < within:
            if self.succeeds(script):
                return time.monotonic() - begun
            time.sleep(0.3)
        raise Trouble(f"{what}: not within {within:.0f} s")

    # ------------------------------------------------------------ power

    def attach(self, drive_socket: str, name: str) -> None:
        """Plugs a disk in: one that another program serves."""
        self.command("blockdev-add", **{"driver": "raw", "node-name": name,
                     "file": {"driver": "nbd", "server": {"type": "unix", "path": drive_socket}}})
        self.command("device_add", driver="virtio-blk-pci", drive=name, id=f"disk-{name}", serial=name, **{"write-cache": "on"})

    def cut(self) -> None:
        """The power is gone."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.port.close()
        self.monitor.close()

    def off(self) -> None:
        """An orderly shutdown."""
        self.port.sendall(b"systemctl poweroff\n")
        try:
            self.process.wait(180)
        except subprocess.TimeoutExpired:
            self.cut()
            raise Trouble("the guest does not shut down: " + self.log_tail()) from None
        self.port.close()
        self.monitor.close()

    def log_tail(self) -> str:
        return self.serial.read_text(errors="replace")[-1500:] if self.serial.exists() else ""


class Archive:
    """DCMTK's storescp, as the archive."""

    def __init__(self, folder: pathlib.Path, port: int | None = None):
        self.folder, self.port = folder / "archive", port or free_port()
        self.folder.mkdir(exist_ok=True)
        self.log = folder / "archive.log"
        self.process = subprocess.Popen(["storescp", "-v", "--fork", "-aet", "ARCHIVE", "+xa", "+B", "-od", self.folder, str(self.port)],
                                        stdin=subprocess.DEVNULL, stdout=self.log.open("a"), stderr=subprocess.STDOUT)

    def objects(self) -> list[pathlib.Path]:
        return sorted(self.folder.iterdir())

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()


def scanner(port: int, folder: pathlib.Path, log: pathlib.Path) -> subprocess.Popen:
    """DCMTK's storescu, as the scanner: sends every file of a folder."""
    return subprocess.Popen(["storescu", "-v", "-aet", "CT1", "-aec", "SCANSIDE", "+sd", "+r", "127.0.0.1", str(port), folder],
                            stdin=subprocess.DEVNULL, stdout=log.open("w"), stderr=subprocess.STDOUT)


def acknowledged(log: pathlib.Path) -> list[pathlib.Path]:
    """The files to which the box has answered "success"."""
    current, done = None, []
    for line in log.read_text(errors="replace").splitlines():
        if "Sending file: " in line:
            current = pathlib.Path(line.split("Sending file: ", 1)[1].strip())
        elif "Received Store Response (Success)" in line and current:
            done.append(current)
            current = None
    return done


def echoes(port: int) -> bool:
    return subprocess.run(["echoscu", "-to", "5", "-td", "10", "-ta", "10", "-aet", "CT1", "-aec", "SCANSIDE", "127.0.0.1", str(port)],
                          capture_output=True).returncode == 0


def phantom(folder: pathlib.Path, seed: int, *options: str) -> pathlib.Path:
    """A phantom study in a folder."""
    program = next((p for p in [ROOT / "target/release/phantom", ROOT / "target/debug/phantom"] if p.exists()), None)
    if program is None:
        raise Trouble("the phantoms are not built: cargo build -p phantom")
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([program, "study", "--seed", str(seed), *options, "--out", folder], check=True, capture_output=True)
    (folder / "truth.json").unlink(missing_ok=True)
    return folder


def as_payload(file: pathlib.Path, to: pathlib.Path) -> int:
    """A file as a disk, which needs whole sectors; its true size."""
    shutil.copyfile(file, to)
    size = os.path.getsize(to)
    with open(to, "ab") as disk:
        disk.write(bytes(-size % 512))
    return size
