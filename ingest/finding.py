"""Finding the files that are to be read."""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ingest.errors import NothingToIngest
from retrieval import Library
from retrieval.library import DATABASE

HIDDEN = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
"""What turns a name around or does not show in it, so that it seems to be another."""

SPACE = re.compile("[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]")
"""White space that names of files do have: a Mac's pictures of its screen, Japanese ones."""
DEEPEST = 200
"""Folders in each other that are gone into; walking them takes a frame each."""


@dataclass(frozen=True, slots=True)
class Found:
    """A file that was found; `problem` says why it cannot even be tried.

    `source` names it in the library: its absolute path, or what it was uploaded as. `shown` is
    what readers are told. `stamp` is its size and times on disk; empty when a change could
    hide behind them. `modified` is the day it was last changed (UTC); empty for an upload.
    """

    source: str
    shown: str
    file: Path
    size: int = 0
    stamp: str = ""
    problem: str | None = None
    modified: str = ""


@dataclass(frozen=True, slots=True)
class Search:
    """What a search for files came to: the files, the folders that were gone through whole,
    and those below them that could not be opened."""

    files: Sequence[Found]
    folders: Sequence[Path]
    closed: Sequence[Path]

    def covers(self, source: str) -> bool:
        """Whether the file would have been found, were it there."""
        inside = any(source.startswith(f"{folder}{os.sep}") for folder in self.folders)
        return inside and not any(source.startswith(f"{path}{os.sep}") for path in self.closed)


def find(paths: Sequence[Path], now_ns: int) -> Search:
    """Return each file once, with the path readers are shown: relative to the folder named.

    `now_ns` is the time on the file system's clock, in nanoseconds since 1970. Raises
    NothingToIngest if a path does not exist or holds no file.
    """
    files: dict[str, Found] = {}
    folders: list[Path] = []
    closed: list[Path] = []
    for path in paths:
        if not os.path.exists(path):  # noqa: PTH110 - Path.exists raises for forbidden folders
            raise NothingToIngest(f"There is no file or folder {path}, or it may not be looked at.")
        if path.is_dir():
            folders.append(path.resolve())
            found = sorted(_walk(str(path.resolve()), closed, now_ns), key=lambda f: f.source)
        else:
            folder = path.parent.resolve()
            found = [_found(str(folder / path.name), str(folder), now_ns)]
        if not found:
            raise NothingToIngest(f"There are no files in {path}.")
        for file in found:
            files.setdefault(file.source, file)
    return Search(list(files.values()), folders, closed)


def uploaded(library: Library) -> list[Found]:
    """Return the uploads that are yet to be read, and those that could not be."""
    kept = [(f, library.uploads.path(f.sha256)) for f in library.ledger.uploads()]
    return [
        Found(record.source, record.path, file, file.stat().st_size)
        for record, file in kept
        if file.is_file()
    ]


def exists(source: str) -> bool:
    """Whether a file is still where it was; one inside another goes with that."""
    return os.path.exists(source) or os.path.exists(source.split("!/")[0])  # noqa: PTH110


def _walk(root: str, closed: list[Path], now_ns: int) -> Iterator[Found]:
    """Return the files below a folder; hidden ones, and libraries of ours, are left out.

    `root` is where the folder really is, so that what stands below it needs no resolving.
    """
    problems: list[OSError] = []
    for top, folders, files in os.walk(root, onerror=problems.append):
        folders[:] = [name for name in folders if not name.startswith(".")]
        if folders and top.count("/") - root.count("/") == DEEPEST:
            closed.extend(Path(f"{top}/{name}") for name in folders)
            for name in folders:
                yield _refused(f"{top}/{name}", root, f"It is over {DEEPEST} folders deep.")
            folders.clear()
        for name in [name for name in folders if os.path.islink(f"{top}/{name}")]:  # noqa: PTH114
            yield _refused(f"{top}/{name}", root, "It is a link to a folder. Name that itself.")
        libraries = [name for name in folders if os.path.exists(f"{top}/{name}/{DATABASE}")]  # noqa: PTH110
        folders[:] = [name for name in folders if name not in libraries]
        yield from (_found(f"{top}/{name}", root, now_ns) for name in files if name[0] != ".")
    for problem in problems:
        closed.append(Path(problem.filename))
        reason = f"The folder cannot be opened: {problem.strerror}."
        yield _refused(problem.filename, root, reason)


def _refused(path: str, root: str, reason: str) -> Found:
    return Found(_printable(path), _printable(_below(path, root)), Path(path), problem=reason)


def _found(path: str, root: str, now_ns: int) -> Found:
    """Return a file that is there; its name is text that can be printed, or it is refused."""
    shown = _below(path, root)
    try:
        source = os.path.realpath(path, strict=True) if os.path.islink(path) else path  # noqa: PTH114
        stat = os.stat(source)  # noqa: PTH116 - this is done for every file there is
    except OSError:
        return _refused(path, root, "It is a link that leads nowhere.")
    told = SPACE.sub(" ", HIDDEN.sub("\N{REPLACEMENT CHARACTER}", shown))
    if not (told.isprintable() and SPACE.sub(" ", HIDDEN.sub("", source)).isprintable()):
        return _refused(path, root, "Its name is not plain text. Rename it.")
    try:
        day = datetime.fromtimestamp(stat.st_mtime, UTC).date().isoformat()
    except (ValueError, OverflowError, OSError):
        day = ""  # a time that no calendar has
    stamp = _stamp(stat, now_ns)
    return Found(source, told, Path(source), stat.st_size, stamp, modified=day)


def _stamp(stat: os.stat_result, now_ns: int) -> str:
    """Return what changes with a file's content; empty if that was changed just now.

    A second change within the clock's step would leave the same times, so a file is trusted
    only when it has been left alone for two seconds (as git does with its index).
    """
    if max(stat.st_mtime_ns, stat.st_ctime_ns) > now_ns - 2 * 10**9:
        return ""
    return f"{stat.st_size}:{stat.st_mtime_ns}:{stat.st_ctime_ns}:{stat.st_ino}"


def _below(path: str, root: str) -> str:
    return path.removeprefix(root).lstrip("/")


def _printable(path: str) -> str:
    """Return a path as text that can be stored, whatever bytes it is made of."""
    return os.fsencode(path).decode("utf-8", "replace")
