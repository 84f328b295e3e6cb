"""Outlook messages made from nothing: a small writer of OLE containers, as [MS-CFB] has them."""

import struct
from collections.abc import Mapping, Sequence
from typing import TypeAlias

Tree: TypeAlias = Mapping[str, "bytes | Tree"]

SECTOR, MINI_SECTOR, CUTOFF = 512, 64, 4096
FREE, END, FAT_MARK, NONE = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD, 0xFFFFFFFF
STORAGE, STREAM, ROOT = 1, 2, 5
TEXT, BINARY, NUMBER = 0x001F, 0x0102, 0x0003


def ole(tree: Tree) -> bytes:
    """Return a container: names to bytes, or to what is in a storage."""
    return _Container().write(tree)


def properties(values: Mapping[int, str | bytes | int], header: int) -> dict[str, bytes]:
    """Return the streams of a message's, recipient's or attachment's properties."""
    segments, streams = bytearray(header), {}
    for kind, value in values.items():
        if isinstance(value, int):
            segments += struct.pack("<HHIII", NUMBER, kind, 6, value, 0)
            continue
        of_type, data = (
            (TEXT, value.encode("utf-16-le")) if isinstance(value, str) else (BINARY, value)
        )
        segments += struct.pack("<HHIII", of_type, kind, 6, len(data), 0)
        streams[f"__substg1.0_{kind:04X}{of_type:04X}"] = data
    return {"__properties_version1.0": bytes(segments), **streams}


def message(
    head: Mapping[int, str | bytes | int],
    recipients: Sequence[Mapping[int, str | bytes | int]],
    attachments: Sequence[Mapping[int, str | bytes | int]],
) -> bytes:
    """Return a .msg of these properties, by their numbers."""
    tree: dict[str, bytes | Tree] = {**properties(head, 32)}
    for number, values in enumerate(recipients):
        tree[f"__recip_version1.0_#{number:08X}"] = properties(values, 8)
    for number, values in enumerate(attachments):
        tree[f"__attach_version1.0_#{number:08X}"] = properties(values, 8)
    return ole(tree)


class _Container:
    def __init__(self) -> None:
        self._sectors: list[bytes] = []
        self._fat: list[int] = []
        self._mini = bytearray()
        self._mini_fat: list[int] = []
        self._entries: list[list[int | str]] = []  # name, type, right, child, start, size

    def write(self, tree: Tree) -> bytes:
        self._entries.append(["Root Entry", ROOT, NONE, NONE, END, 0])
        self._entries[0][3] = self._children(tree)
        self._entries[0][4:6] = self._stored(bytes(self._mini)), len(self._mini)
        mini_fat = self._stored(b"".join(struct.pack("<I", at) for at in self._mini_fat))
        directory = self._stored(b"".join(map(_entry, self._entries)))
        fat_sectors = 1
        while (len(self._sectors) + fat_sectors) * 4 > fat_sectors * SECTOR:
            fat_sectors += 1
        first_fat = len(self._sectors)
        fat = [*self._fat, *[FAT_MARK] * fat_sectors]
        fat += [FREE] * (fat_sectors * SECTOR // 4 - len(fat))
        header = struct.pack(
            "<8s16xHHHHH6xIIIIIIIII",
            *(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", 0x3E, 3, 0xFFFE, 9, 6),
            *(0, fat_sectors, directory, 0, CUTOFF, mini_fat, -(-len(self._mini_fat) // 128)),
            *(END, 0),
        )
        places = [first_fat + n for n in range(fat_sectors)] + [FREE] * (109 - fat_sectors)
        body = b"".join(self._sectors) + struct.pack(f"<{len(fat)}I", *fat)
        return header + struct.pack("<109I", *places) + body

    def _children(self, tree: Tree) -> int:
        first = before = NONE
        for name, what in tree.items():
            number = len(self._entries)
            kind = STREAM if isinstance(what, bytes) else STORAGE
            entry: list[int | str] = [name, kind, NONE, NONE, 0, 0]
            self._entries.append(entry)
            if isinstance(what, bytes):
                small = len(what) < CUTOFF
                entry[4:6] = (self._stored_mini if small else self._stored)(what), len(what)
            else:
                entry[3] = self._children(what)
            if before == NONE:
                first = number
            else:
                self._entries[before][2] = number
            before = number
        return first

    def _stored(self, data: bytes) -> int:
        return _chained(data, SECTOR, self._fat, self._sectors.append)

    def _stored_mini(self, data: bytes) -> int:
        return _chained(data, MINI_SECTOR, self._mini_fat, self._mini.extend)


def _chained(data: bytes, size: int, table: list[int], keep: object) -> int:
    """Keep data in sectors that follow each other and return the first one's number."""
    if not data:
        return END
    first = len(table)
    pieces = [data[at : at + size].ljust(size, b"\0") for at in range(0, len(data), size)]
    for piece in pieces:
        table.append(len(table) + 1)
        keep(piece)  # type: ignore[operator]  # append or extend
    table[-1] = END
    return first


def _entry(fields: list[int | str]) -> bytes:
    name, kind, right, child, start, size = fields
    encoded = str(name).encode("utf-16-le") + b"\0\0"
    numbers = (len(encoded), kind, 1, NONE, right, child)
    return struct.pack("<64sHBBIII36xIII", encoded, *numbers, start, size, 0)
