"""Files that are on disk, whole, before anything refers to them."""

import hashlib
import os
import tempfile
import time
import uuid
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import BinaryIO, TypeAlias

MIB = 1024 * 1024
DRAFT = "draft-"

Block: TypeAlias = "bytes | memoryview"


def write_durably(path: Path, data: bytes) -> None:
    """Put a whole file in place at once, on disk when this returns."""
    write_named(path.parent, lambda _: path.name, [data])


def write_named(
    folder: Path, name: Callable[[str], str], blocks: Iterable[Block]
) -> tuple[str, str]:
    """Do so with a file that is named after its SHA-256; return (name, SHA-256)."""
    make_folder(folder)
    digest = hashlib.sha256()
    draft = folder / f"{DRAFT}{uuid.uuid4().hex}"
    try:
        with draft.open("wb") as file:
            for block in blocks:
                digest.update(block)
                file.write(block)
            path = folder / name(digest.hexdigest())
            _put(file, path)
        sync_folder(folder)
    finally:
        draft.unlink(missing_ok=True)
    return path.name, digest.hexdigest()


def make_folder(path: Path) -> None:
    """Make a folder, and those above it, if there is none; on disk when this returns."""
    if path.is_dir():
        return
    make_folder(path.parent)
    path.mkdir(exist_ok=True)
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Bring the names in a folder to the disk."""
    try:
        folder = os.open(path, os.O_RDONLY)
    except PermissionError:  # a folder above the library that may not be listed
        return
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


class Originals:
    """The files documents were read from, each under its SHA-256."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, sha256: str) -> Path:
        """Return where a file is kept, or would be."""
        return self.folder / sha256

    def keep(self, file: BinaryIO) -> str:
        """Copy an open file, on disk when this returns; return its SHA-256."""
        make_folder(self.folder)
        handle, name = tempfile.mkstemp(prefix=DRAFT, dir=self.folder)
        draft = Path(name)
        digest = hashlib.sha256()
        try:
            os.close(handle)
            with draft.open("wb") as copy:
                while data := file.read(MIB):
                    digest.update(data)
                    copy.write(data)
                if not self.path(digest.hexdigest()).exists():
                    _put(copy, self.path(digest.hexdigest()))
            sync_folder(self.folder)  # whoever put it there may have been killed before this
        finally:
            draft.unlink(missing_ok=True)
        return digest.hexdigest()

    def is_whole(self, sha256: str) -> bool:
        """Whether a kept file is there and is what it was."""
        try:
            with self.path(sha256).open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest() == sha256
        except OSError:
            return False

    def sweep(self, wanted: Collection[str], *, older_than_s: float = 0.0) -> None:
        """Delete what nothing refers to, drafts that a kill left behind among it.

        Younger files may be about to be referred to by someone else.
        """
        sweep(self.folder, wanted, older_than_s=older_than_s)


def sweep(folder: Path, wanted: Collection[str], *, older_than_s: float = 0.0) -> None:
    """Delete the files of a folder that are not wanted."""
    for path in list(folder.iterdir()) if folder.is_dir() else ():
        if path.name not in wanted and time.time() - path.stat().st_mtime >= older_than_s:
            path.unlink(missing_ok=True)


def _put(file: BinaryIO, path: Path) -> None:
    """Give a draft its name once it is on disk; the name is yet to be brought there."""
    file.flush()
    os.fsync(file.fileno())
    Path(file.name).replace(path)
