"""What the tests need of DICOM files, read byte by byte: neither the daemon's code nor a library judges here."""

import pathlib
import re
import subprocess
import tempfile

from guest import Trouble


def data_set(part10: bytes) -> bytes:
    """What follows the file meta information, whose length stands in its first element."""
    assert part10[128:132] == b"DICM"
    return part10[144 + int.from_bytes(part10[140:144], "little") :]


def value(part10: bytes, start: bytes) -> str:
    """The value of the first element that begins with these bytes (tag and VR, explicit VR little endian, short length)."""
    at = part10.find(start)
    return part10[at + 8 : at + 8 + int.from_bytes(part10[at + 6 : at + 8], "little")].decode(errors="replace").strip(" \0") if at > 0 else ""


def sop_uid(part10: bytes) -> str:
    """Media Storage SOP Instance UID."""
    return value(part10, b"\x02\x00\x03\x00UI")


def same_data_set(ours: pathlib.Path, received: pathlib.Path) -> bool:
    """Byte-equal; or byte-equal after ours was written by DCMTK too, which writes the lengths of sequences in its own way."""
    if data_set(ours.read_bytes()) == data_set(received.read_bytes()):
        return True
    with tempfile.NamedTemporaryFile() as written:
        subprocess.run(["dcmconv", ours, written.name], check=True)
        return data_set(pathlib.Path(written.name).read_bytes()) == data_set(received.read_bytes())


def title(file: pathlib.Path) -> str:
    """What tells two results of one kind of one job apart: series description and instance number (a PDF in each language)."""
    part10 = file.read_bytes()
    return value(part10, b"\x08\x00\x3e\x10LO") + " " + value(part10, b"\x20\x00\x13\x00IS")


def check_journal(text: str, files: list[pathlib.Path]) -> str:
    """No name, ID or date of birth of a patient in anything that was logged."""
    if "scansided" not in text:
        raise Trouble("there is no journal of the daemon: nothing can be said about it")
    words = set()
    for file in files:
        data = file.read_bytes()
        for start in [b"\x10\x00\x10\x00PN", b"\x10\x00\x20\x00LO", b"\x10\x00\x30\x00DA"]:
            words |= {part for part in re.split(r"[\^= ]", value(data, start)) if len(part) > 3}
    found = [word for word in words if word in text]
    if found or not words:
        raise Trouble(f"identifying data in the journal: {found} (looked for {len(words)} words)")
    return f"none of {len(words)} names, IDs and dates of birth"
