"""The drive of the power-cut tests loses what was not flushed, and only that: over its socket, as QEMU speaks to it."""

import pathlib
import random
import socket
import struct
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent / "appliance"))
from drive import FLUSH, FUA, GO, READ, SECTOR, WRITE, Drive, take  # noqa: E402


class Client:
    """What QEMU does: handshake, then requests one after the other."""

    def __init__(self, path: str):
        self.peer = socket.socket(socket.AF_UNIX)
        self.peer.connect(path)
        take(self.peer, 18)
        self.peer.sendall(struct.pack(">I", 3))
        self.peer.sendall(struct.pack(">QIIIH", 0x49484156454F5054, GO, 6, 0, 0))
        while True:
            _, _, kind, length = struct.unpack(">QIII", take(self.peer, 20))
            take(self.peer, length)
            if kind == 1:
                return

    def ask(self, kind: int, offset: int = 0, length: int = 0, data: bytes = b"", flags: int = 0) -> bytes:
        self.peer.sendall(struct.pack(">IHHQQI", 0x25609513, flags, kind, 7, offset, length or len(data)) + data)
        take(self.peer, 16)
        return take(self.peer, length) if kind == READ else b""


class DriveTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.image = pathlib.Path(folder.name) / "image"
        self.image.write_bytes(bytes(64 * SECTOR))
        self.drive = Drive(str(self.image), folder.name + "/socket")
        self.addCleanup(self.drive.close)
        self.connect = lambda: Client(folder.name + "/socket")
        self.client = self.connect()
        self.addCleanup(lambda: self.client.peer.close())

    def cut(self, chance: random.Random | None) -> str:
        """The drive loses its power, and QEMU dies."""
        self.drive.power_off()
        self.client.peer.close()
        said = self.drive.cut(chance)
        self.client = self.connect()
        return said

    def medium(self, sector: int) -> int:
        return self.image.read_bytes()[sector * SECTOR]

    def test_what_was_flushed_survives_and_what_was_not_is_lost(self):
        self.client.ask(WRITE, 0, data=b"a" * SECTOR)
        self.client.ask(FLUSH)
        self.client.ask(WRITE, SECTOR, data=b"b" * SECTOR)
        self.assertEqual(self.client.ask(READ, SECTOR, SECTOR), b"b" * SECTOR, "the guest reads what it has written")
        self.assertEqual(self.medium(1), 0, "not on the medium before the flush")
        self.assertIn("1 of 1", self.cut(None))
        self.assertEqual([self.medium(0), self.medium(1)], [ord("a"), 0])

    def test_a_write_with_fua_survives_whatever_was_there_before(self):
        for seed in range(50):
            self.client.ask(WRITE, 0, data=b"old-" * SECTOR)
            self.client.ask(WRITE, SECTOR, data=b"new!" * (SECTOR // 4), flags=FUA)
            self.cut(random.Random(seed))
            self.assertEqual(self.image.read_bytes()[SECTOR : 2 * SECTOR], b"new!" * (SECTOR // 4))

    def test_some_unflushed_writes_survive_in_any_order_and_one_is_torn(self):
        seen = set()
        for seed in range(200):
            self.image.write_bytes(bytes(64 * SECTOR))
            for sector in (0, 8, 16):
                self.client.ask(WRITE, sector * SECTOR, data=b"x" * 4 * SECTOR)
            self.cut(random.Random(seed))
            seen.add(tuple(bool(self.medium(sector)) for sector in (0, 3, 8, 11, 16, 19)))
        self.assertIn((False,) * 6, seen)
        self.assertTrue(any(later and not earlier for earlier, _, later, *_ in seen), "a later write without an earlier one")
        self.assertTrue(any(start and not end for start, end, *_ in seen), "a torn write")


if __name__ == "__main__":
    unittest.main()
