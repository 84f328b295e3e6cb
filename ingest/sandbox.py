"""Reading untrusted files in a process that may be lost, and that can do nothing but read.

The child gets a file as an open descriptor and answers in JSON, so whatever a file does to it
reaches the parent as text or not at all. See `ingest.confinement` for what is refused to it.
"""

import os
import stat
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from ingest.confinement import MIB, Limits, Protections
from ingest.errors import Unreadable
from ingest.process import Process
from ingest.readers import BY_MEDIA_TYPE
from ingest.types import Extract, PageState, clean

__all__ = ["Limits", "Protections", "Reading", "Sandbox", "Taken"]

LONGEST = 1024  # characters of a name, or of a problem
LOST_PAGES = 5
"""Pages that may fail to be recognised before the rest of a file is left as it is."""

Pages = Callable[[int, int], object]
"""Called with how many pages were recognised, and of how many."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A file taken out of another: `size` bytes of the reading's spool, from `start` on.

    `name` is what the container calls it, folders and all; it is never used as a path. `problem`
    says why it could not be taken out, and then it has no bytes.
    """

    name: str
    problem: str
    start: int
    size: int
    _spool: BinaryIO = field(repr=False, compare=False)

    def copy_to(self, target: BinaryIO) -> None:
        """Write its bytes; Unreadable if they are gone.

        The child that wrote the spool could still change it: trust one copy, and only that.
        """
        at, stop = self.start, self.start + self.size
        while at < stop:
            piece = os.pread(self._spool.fileno(), min(MIB, stop - at), at)
            if not piece:
                raise Unreadable("It was lost while it was taken out.")
            target.write(piece)
            at += len(piece)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a file holds, how it was read, and the files inside it, in order, until closed.

    `extract` was checked, and its own `members` are empty.
    """

    extract: Extract
    media_type: str
    reader: str
    members: tuple[Taken, ...]
    _spool: BinaryIO = field(repr=False, compare=False)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let go of the files inside."""
        self.close()

    def close(self) -> None:
        """Let go of the files inside; their space is free again even if the child holds on."""
        if not self._spool.closed:
            self._spool.truncate(0)
            self._spool.close()


class Sandbox:
    """A child process that reads file after file, replaced when it is lost.

    It starts with the first file, and is used by one thread at a time; it is replaced when used
    from another thread after the one that started it has ended. Text on images is recognised in
    a second child, which may start programs, unless `ocr` is False. `folder` is where files
    inside files are kept meanwhile, the system's folder for such by default. `module` is what
    runs in the child: it calls `ingest.child.serve`.
    """

    def __init__(
        self,
        limits: Limits | None = None,
        *,
        passwords: Sequence[str] = (),
        ocr: bool | None = None,
        folder: Path | None = None,
        module: str = "ingest.child",
    ) -> None:
        self._limits = limits or Limits()
        self._passwords = list(passwords)
        self._ocr = ocr is not False
        self._folder = folder
        self._reader = Process(module, self._limits)
        self._recogniser = Process(module, self._limits, programs=True)

    def __enter__(self) -> Self:
        """Return itself; the child starts with the first file."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the children."""
        self.close()

    def close(self) -> None:
        """End the children, if there are any; the next file starts fresh ones."""
        self._reader.close()
        self._recogniser.close()

    def protections(self) -> Protections:
        """Return what is refused to the child that reads files, as it found by trying."""
        return self._reader.protections()

    def read(self, name: str, file: BinaryIO, *, progress: Pages | None = None) -> Reading:
        """Return what a file holds; Unreadable says why it could not be read.

        `file` is an ordinary open file, and is read from its start whatever its position. The
        reading is to be closed.
        """
        with _read_only(file) as descriptor:
            reading = self._read(name, descriptor)
            try:
                texts = self._recognise(name, descriptor, _images(reading.extract), progress)
                again = self._read(name, descriptor, texts) if texts else reading
            except Unreadable:
                return reading  # its images are not, but that is no worse than before
            except BaseException:
                reading.close()
                raise
            if again is not reading:
                reading.close()
            return again

    def _read(self, name: str, descriptor: int, texts: Mapping[int, str] | None = None) -> Reading:
        request = {"do": "read", "name": name, "passwords": self._passwords, "ocr": texts or {}}
        spool = _spool(self._folder)
        try:
            self._reader.ask(request, [descriptor, spool.fileno()])
            reply = self._reader.answer(self._limits.wait_s, self._limits.output_mib)
            return _reading(reply, spool, self._limits)
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as problem:
            spool.close()
            self._reader.close()
            raise Unreadable("Reading it gave no sense. Is it damaged?") from problem
        except BaseException:
            spool.close()
            raise

    def _recognise(
        self, name: str, descriptor: int, pages: Sequence[int], progress: Pages | None
    ) -> dict[int, str]:
        """Return the text on pages; one that is lost costs no other, unless there are many."""
        texts: dict[int, str] = {}
        left, lost, room = list(pages), 0, self._limits.output_mib * MIB
        while left and self._ocr and lost < LOST_PAGES and room > 0:
            try:
                for text in self._recognised(name, descriptor, left):
                    texts[left.pop(0)] = text
                    room -= len(text)
                    if progress:
                        progress(len(pages) - len(left), len(pages))
                    if room <= 0:
                        break
            except Unreadable:
                left.pop(0)
                lost += 1
            finally:
                self._recogniser.close()
        return texts

    def _recognised(self, name: str, descriptor: int, pages: Sequence[int]) -> Iterator[str]:
        request = {"do": "recognise", "name": name, "passwords": self._passwords, "pages": pages}
        self._recogniser.ask(request, [descriptor])
        answer = self._recogniser.answer(self._limits.wait_s, 1)
        self._ocr = answer.get("available") is True
        for _ in pages if self._ocr else ():
            text = self._recogniser.answer(self._limits.page_s, 1).get("text", "")
            yield clean(str(text))


def _images(extract: Extract) -> list[int]:
    """Return the pages, from 1, that are yet to be recognised."""
    pages = enumerate(extract.pages, start=1)
    return [number for number, page in pages if page.state is PageState.IMAGE]


def _spool(folder: Path | None) -> BinaryIO:
    try:
        return tempfile.TemporaryFile(buffering=0, dir=folder)
    except OSError as problem:
        raise Unreadable(f"There is no room to read it in: {problem.strerror}.") from problem


@contextmanager
def _read_only(file: BinaryIO) -> Iterator[int]:
    """Open a file once more: the child must not write to it, nor move where its owner reads."""
    file.flush()
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        raise Unreadable("It is not an ordinary file.")
    try:
        own = os.open(f"/proc/self/fd/{file.fileno()}", os.O_RDONLY)
    except OSError:
        own = os.dup(file.fileno())
    try:
        yield own
    finally:
        os.close(own)


def _reading(reply: Mapping[str, Any], spool: BinaryIO, limits: Limits) -> Reading:
    """Return what the child said, checked; ValueError, KeyError or the like if it is odd."""
    form = BY_MEDIA_TYPE[reply["media_type"]]
    members = tuple(
        Taken(_name(name), _name(problem), int(start), int(size), spool)
        for name, problem, start, size in reply["members"]
    )
    edges = [edge for taken in members for edge in (taken.start, taken.start + taken.size)]
    if edges != sorted(edges) or (edges and not 0 <= edges[0] <= edges[-1] <= _size(spool)):
        raise ValueError("files inside are out of order")
    if len(members) > limits.members:
        raise ValueError("more files inside than allowed")
    extract = Extract.from_json(reply["extract"])
    if not members:
        spool.close()
    return Reading(extract, form.media_type, form.reader, members, spool)


def _name(text: object) -> str:
    """Return a short text that can be stored; ValueError for anything else."""
    if not isinstance(text, str) or clean(text) != text or len(text) > LONGEST:
        raise ValueError("not a name")
    return text


def _size(spool: BinaryIO) -> int:
    return os.fstat(spool.fileno()).st_size
