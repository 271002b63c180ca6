"""A drive with a volatile write cache, for power cuts: a server for QEMU over NBD (Network Block Device).

What the guest has written reaches the image file only when the guest flushes (or writes with FUA), as on a drive whose cache the
power cut empties. `cut()` throws the rest away. With a random number generator it does what real drives do: of the writes since the last
flush, some have reached the medium, in any order, and one of them only in part, at sector granularity.

This is stricter than killing QEMU alone: the host's page cache survives QEMU, so such a kill loses only what the guest's kernel
had not written yet, and would never find a missing flush.

The protocol is that of https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md (fixed newstyle, simple replies).
"""

import os
import random
import socket
import struct
import threading
import time

SECTOR = 512
# How long a flush takes, as on flash memory: until then what it should save can be lost.
FLUSH_S = 0.02
HANDSHAKE, OPTION, REPLY = 0x4E42444D41474943, 0x49484156454F5054, 0x3E889045565A9
EXPORT_NAME, ABORT, INFO, GO = 1, 2, 6, 7
ACK, INFO_REPLY, UNSUPPORTED = 1, 3, 2**31 + 1
READ, WRITE, DISCONNECT, FLUSH, TRIM, ZEROES = 0, 1, 2, 3, 4, 6
FUA = 1
# Has flags, takes flush, FUA, trim, write zeroes.
FLAGS = 1 | 4 | 8 | 32 | 64


class Drive:
    def __init__(self, image: str, path: str):
        self.image, self.path = image, path
        self.file = os.open(image, os.O_RDWR)
        self.size = os.fstat(self.file).st_size
        self.cached: dict[int, bytes] = {}  # sector -> what the guest reads there, not on the medium yet
        self.writes: list[tuple[int, bytes]] = []  # since the last flush, in order
        self.lock = threading.Lock()
        self.off = False
        self.connections: list[threading.Thread] = []
        self.flushes = self.lost = self.volatile = self.durable = 0
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(4)
        threading.Thread(target=self._accept, daemon=True).start()

    # ------------------------------------------------------------ the medium

    def _read(self, offset: int, length: int) -> bytes:
        data = bytearray(os.pread(self.file, length, offset))
        if self.cached:
            first = offset // SECTOR
            for sector in range(first, (offset + length + SECTOR - 1) // SECTOR):
                if (held := self.cached.get(sector)) is not None:
                    at = (sector - first) * SECTOR
                    data[at : at + SECTOR] = held
        return bytes(data)

    def _write(self, offset: int, data: bytes, durable: bool) -> None:
        assert offset % SECTOR == 0 and len(data) % SECTOR == 0, "the guest's sectors are 512 bytes"
        if durable:
            self.durable += 1
            os.pwrite(self.file, data, offset)
            for sector in range(offset // SECTOR, (offset + len(data)) // SECTOR):
                self.cached.pop(sector, None)
            # What was written to the same place before must not come back over it.
            self.writes = [(start, overlaid(start, held, offset, data)) for start, held in self.writes]
            return
        self.volatile += 1
        self.writes.append((offset, data))
        for at in range(0, len(data), SECTOR):
            self.cached[offset // SECTOR + at // SECTOR] = data[at : at + SECTOR]

    def _flush(self) -> None:
        for offset, data in self.writes:
            os.pwrite(self.file, data, offset)
        self.writes.clear()
        self.cached.clear()
        self.flushes += 1

    def wait_for_unflushed(self, within: float) -> bool:
        until = time.monotonic() + within
        while not self.writes and time.monotonic() < until:
            time.sleep(0.001)
        return bool(self.writes)

    def power_off(self) -> None:
        """From now on nothing reaches the medium, and nothing is answered. Kill QEMU next."""
        with self.lock:
            self.off = True

    def cut(self, chance: random.Random | None) -> str:
        """The power is gone: says what became of the writes since the last flush. QEMU must be dead."""
        # What QEMU had sent before it died must not come after the next start.
        for connection in self.connections:
            connection.join(30)
            assert not connection.is_alive(), "QEMU still has the drive open"
        self.connections.clear()
        with self.lock:
            writes, kept = self.writes, 0
            if chance is not None and writes:
                share = chance.choice([0.0, 0.2, 0.5, 0.9])
                order = [w for w in writes if chance.random() < share]
                chance.shuffle(order)
                for number, (offset, data) in enumerate(order):
                    if number == len(order) - 1 and len(data) > SECTOR:
                        data = data[: SECTOR * chance.randrange(1, len(data) // SECTOR)]
                    os.pwrite(self.file, data, offset)
                kept = len(order)
            lost = len(writes) - kept
            self.lost += lost
            self.writes, self.cached, self.off = [], {}, False
            return f"{lost} of {len(writes)} unflushed writes lost"

    def close(self) -> None:
        self.listener.close()
        os.unlink(self.path)
        os.close(self.file)

    # ------------------------------------------------------------ the protocol

    def _accept(self) -> None:
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            self.connections.append(threading.Thread(target=self._serve, args=(peer,), daemon=True))
            self.connections[-1].start()

    def _serve(self, peer: socket.socket) -> None:
        try:
            if self._greet(peer):
                self._obey(peer)
        except (ConnectionError, OSError):
            pass
        finally:
            peer.close()

    def _greet(self, peer: socket.socket) -> bool:
        peer.sendall(struct.pack(">QQH", HANDSHAKE, OPTION, 3))
        (client,) = struct.unpack(">I", take(peer, 4))
        while True:
            _, option, length = struct.unpack(">QII", take(peer, 16))
            take(peer, length)

            def answer(kind: int, data: bytes = b"", option: int = option) -> None:
                peer.sendall(struct.pack(">QIII", REPLY, option, kind, len(data)) + data)

            if option in (GO, INFO):
                answer(INFO_REPLY, struct.pack(">HQH", 0, self.size, FLAGS))
                answer(ACK)
                if option == GO:
                    return True
            elif option == EXPORT_NAME:
                peer.sendall(struct.pack(">QH", self.size, FLAGS) + (b"" if client & 2 else bytes(124)))
                return True
            elif option == ABORT:
                answer(ACK)
                return False
            else:
                answer(UNSUPPORTED)

    def _obey(self, peer: socket.socket) -> None:
        while True:
            _, flags, kind, handle, offset, length = struct.unpack(">IHHQQI", take(peer, 28))
            data = take(peer, length) if kind == WRITE else b""
            reply = b""
            if kind == FLUSH and self.writes:
                time.sleep(FLUSH_S)
            with self.lock:
                if self.off:
                    return
                if kind == READ:
                    reply = self._read(offset, length)
                elif kind == WRITE:
                    self._write(offset, data, bool(flags & FUA))
                elif kind == ZEROES:
                    self._write(offset, bytes(length), bool(flags & FUA))
                elif kind == FLUSH:
                    self._flush()
                elif kind == DISCONNECT:
                    return
            peer.sendall(struct.pack(">IIQ", 0x67446698, 0, handle) + reply)


def overlaid(start: int, held: bytes, offset: int, data: bytes) -> bytes:
    """The bytes `held` at `start`, after `data` was written at `offset`."""
    first, last = max(start, offset), min(start + len(held), offset + len(data))
    if first >= last:
        return held
    return held[: first - start] + data[first - offset : last - offset] + held[last - start :]


def take(peer: socket.socket, length: int) -> bytes:
    parts = bytearray()
    while len(parts) < length:
        part = peer.recv(length - len(parts))
        if not part:
            raise ConnectionError("closed")
        parts += part
    return bytes(parts)
