"""What is on disk when the power fails, put together from a log of what was done to files.

Only what was synced is sure to be there: a file's bytes when the file was, its name when its
folder was. The rest may be there or not.
"""

import os
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from tests.faults import Op, Operation

SECTOR = 512

State: TypeAlias = dict[str, bytes | None]
"""The bytes of each file; None for a folder."""


@dataclass
class _File:
    """A file: as it was synced, as programs see it, and the ranges written between the two."""

    synced: bytes = b""
    seen: bytes = b""
    unsynced: list[tuple[int, int]] = field(default_factory=list)

    def sync(self) -> None:
        self.synced, self.unsynced = self.seen, []

    def write(self, offset: int, data: bytes) -> None:
        seen = self.seen.ljust(offset, b"\0")
        self.seen = seen[:offset] + data + seen[offset + len(data) :]
        self.unsynced.append((offset, offset + len(data)))

    def resize(self, size: int) -> None:
        self.seen = self.seen[:size].ljust(size, b"\0")
        self.unsynced.append((0, size))

    def torn(self, dice: random.Random) -> bytes:
        """Return it with some of the sectors that were written since it was synced."""
        size = dice.choice((len(self.synced), len(self.seen)))
        data = bytearray(self.synced.ljust(size, b"\0")[:size])
        for start, stop in self.unsynced:
            for at in range(start, min(stop, size), SECTOR):
                if dice.random() < 0.5:
                    end = min(at + SECTOR, stop, size)
                    data[at:end] = self.seen[at:end].ljust(end - at, b"\0")
        return bytes(data)


Data = Callable[[_File], bytes]


class Disk:
    """A folder as programs see it, and as it would be after a power loss."""

    def __init__(self, root: Path) -> None:
        self._root = str(root)
        self._files: dict[int, _File] = {}
        self._seen: dict[str, _File | None] = {self._root: None}  # None is a folder
        for path in root.rglob("*"):
            file = None
            if path.is_file():
                file = self._files[path.stat().st_ino] = _File(path.read_bytes())
                file.seen = file.synced
            self._seen[str(path)] = file
        self._synced = dict(self._seen)

    def apply(self, operation: Operation) -> None:
        """Do what was logged."""
        name, inode = operation.path, operation.inode
        match operation.op:
            case Op.OPEN:
                self._open(operation)
            case Op.MKDIR:
                self._seen[name] = None
            case Op.UNLINK:
                del self._seen[name]
            case Op.RENAME:
                self._seen[operation.other] = self._seen.pop(name)
            case Op.WRITE:
                self._files[inode].write(operation.offset, operation.data)
            case Op.TRUNCATE:
                self._files[inode].resize(operation.offset)
            case Op.SYNC if self._seen.get(name, 0) is None:
                self._sync_names(name)
            case Op.SYNC:
                self._files[inode].sync()
            case _:
                raise NotImplementedError(operation.op)

    def seen(self) -> State:
        """Return what programs see."""
        return self._state(self._seen, lambda file: file.seen)

    def losses(self, dice: random.Random) -> Iterator[State]:
        """Return what may be on disk if the power fails now."""
        yield self._state(self._synced, lambda file: file.synced)
        yield self._state(self._seen, lambda file: file.synced)
        yield self._state(self._synced, lambda file: file.seen)
        yield self._state(self._seen, lambda file: file.torn(dice))

    def _open(self, operation: Operation) -> None:
        name, unnamed = operation.path, operation.flags & os.O_TMPFILE == os.O_TMPFILE
        if unnamed or name not in self._seen:
            self._files[operation.inode] = _File()
        if not unnamed:
            file = self._seen.setdefault(name, self._files[operation.inode])
            if operation.flags & os.O_TRUNC and file is not None:
                file.resize(0)

    def _sync_names(self, folder: str) -> None:
        for name in self._seen.keys() | self._synced.keys():
            if os.path.dirname(name) != folder:  # noqa: PTH120 - half a million of them
                continue
            if name in self._seen:
                self._synced[name] = self._seen[name]
            else:
                del self._synced[name]

    def _state(self, names: dict[str, _File | None], data: Data) -> State:
        """Return what there is; what lies in a folder that is not there is not there either."""
        found: State = {}
        for name, file in sorted(names.items()):
            above = os.path.dirname(name)  # noqa: PTH120
            if name.endswith("-shm") or (name != self._root and above not in found):
                continue
            found[name] = None if file is None else data(file)
        return found


def lay(state: State) -> None:
    """Make folders and files of a state."""
    for name, data in state.items():
        if data is None:
            Path(name).mkdir()
        else:
            Path(name).write_bytes(data)
