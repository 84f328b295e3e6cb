"""The library that is preloaded to let file-system calls fail, seen from Python."""

import ctypes
import os
import struct
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from io import BytesIO
from pathlib import Path

SOURCE = Path(__file__).with_name("faults.c")


def build(folder: Path) -> Path:
    """Compile it, and return where it is."""
    target = folder / "faults.so"
    flags = ["-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
    subprocess.run(["gcc", *flags, "-o", target, SOURCE], check=True)
    return target


class Kind(IntEnum):
    """What goes wrong; the numbers are those of faults.c.

    Killed after one operation is killed before the next.
    """

    KILL = 1  # before the operation
    TEAR = 2  # killed when half of it is written
    FULL = 3  # ENOSPC once
    BROKEN = 4  # EIO once, half of it written
    FULL_ON = 5  # ENOSPC from then on; the first write is cut short
    BROKEN_ON = 6  # EIO from then on


LASTING = (Kind.FULL_ON, Kind.BROKEN_ON)
DEADLY = (Kind.KILL, Kind.TEAR)


class Op(IntEnum):
    """What a program does to files; the numbers are those of faults.c."""

    OPEN = 1
    WRITE = 2
    SYNC = 3
    RENAME = 4
    UNLINK = 5
    TRUNCATE = 6
    MKDIR = 7
    LINK = 8
    ALLOCATE = 9


@dataclass(frozen=True, slots=True)
class Operation:
    """One call that changed files, as the log has it."""

    op: Op
    path: str
    other: str
    flags: int
    inode: int
    offset: int
    data: bytes


class Shim:
    """The preloaded library that counts what is done to files, and lets it fail."""

    RECORD = struct.Struct("=IIIIQQQ")

    @cached_property
    def _functions(self) -> ctypes.CDLL:
        return ctypes.CDLL(os.environ["LD_PRELOAD"])

    def arm(self, folder: Path, kind: int = 0, at: int = 0, log: int = -1) -> None:
        """Count from 1 again, and let operation `at` below the folder go wrong."""
        self._functions.faults_arm(os.fsencode(folder), kind, ctypes.c_long(at), log)

    def disarm(self) -> None:
        """Let everything pass."""
        self._functions.faults_arm(b"", 0, ctypes.c_long(0), -1)

    def done(self) -> int:
        """Return how many operations there were since it was armed."""
        return int(self._functions.faults_done())

    def read(self, log: Path) -> Iterator[Operation]:
        """Return what was logged, in order."""
        data = BytesIO(log.read_bytes())
        while head := data.read(self.RECORD.size):
            op, name, other, flags, inode, offset, size = self.RECORD.unpack(head)
            path, path2 = os.fsdecode(data.read(name)), os.fsdecode(data.read(other))
            written = data.read(size) if op == Op.WRITE else b""
            yield Operation(Op(op), path, path2, flags, inode, offset, written)
