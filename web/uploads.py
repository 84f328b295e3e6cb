"""Files that come in a request: to disk as they arrive, each with what is wrong with it."""

import sys
import tempfile
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO, cast

from flask import request
from werkzeug.datastructures import FileStorage
from werkzeug.exceptions import RequestEntityTooLarge, UnsupportedMediaType
from werkzeug.formparser import FormDataParser

from ingest.errors import Unreadable
from ingest.finding import SPACE
from ingest.intake import LARGEST_BYTES, MIB
from ingest.readers import BY_SUFFIX, SUFFIX, sniff
from retrieval import Relabel
from retrieval.errors import LibraryUnwritable
from web.problems import InvalidRequest

FIELD = "file"
TAG, GROUP = "tag", "group"
LONGEST_NAME = 200  # characters
MOST_FILES = 200
"""Each is an open file until all have come."""
LARGEST_UPLOAD = 1024 * MIB
FORM_BYTES = 512 * 1024
"""Most that is in memory of the request's body at once."""
KNOWN = ", ".join(BY_SUFFIX)
TELLING = (*sniff.ZIP_STARTS, sniff.OLE_START, b"{\\rtf", b"<")
"""How files begin that may be of a known kind whatever they are called, besides PDF."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that came, under a name that is no path."""

    name: str
    file: BinaryIO


class _Part:
    """An unnamed file that drops what goes over the limit, and knows how much came."""

    def __init__(self, folder: Path) -> None:
        self.file: IO[bytes] = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed by all
        self.size = 0

    def write(self, data: bytes) -> None:
        self.size += len(data)
        if self.size <= LARGEST_BYTES:
            self.file.write(data)

    def seek(self, offset: int) -> None:
        self.file.seek(offset)


@contextmanager
def received(folder: Path) -> Iterator[tuple[Sequence[Upload], Relabel]]:
    """Read the request's files to disk, into unnamed files of a folder, and check them.

    With them comes what they are to be labelled with. If anything is wrong with one,
    InvalidRequest names all that are bad, and why.
    """
    request.max_content_length = LARGEST_UPLOAD
    parts: list[_Part] = []
    try:
        files, labels = _parsed(folder, parts)
        yield _checked(files), labels
    finally:
        for part in parts:
            part.file.close()


def _parsed(folder: Path, parts: list[_Part]) -> tuple[list[FileStorage], Relabel]:
    if request.mimetype != "multipart/form-data":
        raise UnsupportedMediaType(f"Send multipart/form-data, each file in a field “{FIELD}”.")

    def open_part(*_: object, **__: object) -> IO[bytes]:
        parts.append(_Part(folder))
        return cast(IO[bytes], parts[-1])  # it is all that the parser asks for

    parser = FormDataParser(open_part, FORM_BYTES, max_form_parts=MOST_FILES, silent=False)
    try:
        _, fields, files = parser.parse(
            request.stream, request.mimetype, request.content_length, request.mimetype_params
        )
    except ValueError as problem:
        raise InvalidRequest(f"The body is not whole multipart/form-data: {problem}.") from problem
    except RequestEntityTooLarge as problem:
        if (request.content_length or sys.maxsize) > (request.max_content_length or 0):
            raise
        raise InvalidRequest(
            f"Send at most {MOST_FILES} files, tags and groups at once, the tags and groups with"
            f" at most {FORM_BYTES // 1024} KiB in all."
        ) from problem
    except OSError as problem:
        raise LibraryUnwritable(
            f"The upload cannot be kept in {folder}: {problem.strerror}. None of it was taken."
        ) from problem
    if strange := sorted(({*fields} - {FIELD, TAG, GROUP}) | ({*files} - {FIELD})):
        raise InvalidRequest(f"“{strange[0]}” is not known here. Send files in “{FIELD}”.")
    if FIELD in fields:
        raise InvalidRequest(f"What is in “{FIELD}” must be a file, with its name.")
    labels = Relabel(add=tuple(fields.getlist(TAG)), group=fields.get(GROUP) or None)
    return [file for _, file in files.items(multi=True)], labels


def _checked(files: Sequence[FileStorage]) -> list[Upload]:
    if not files:
        raise InvalidRequest(f"There is no file. Send one or several in the field “{FIELD}”.")
    problems, names = [], set[str]()
    uploads = []
    for file in files:
        name, part = plain_name(file.filename or ""), cast(_Part, file.stream)
        if problem := _problem(name, part, names):
            problems.append(f"{name[:LONGEST_NAME] or 'A file'}: {problem}")
        names.add(name)
        uploads.append(Upload(name, cast(BinaryIO, part.file)))
    if problems:
        kept = " None of the files was taken." if len(files) > 1 else ""
        raise InvalidRequest(" ".join(problems) + kept)
    return uploads


def _problem(name: str, part: _Part, names: set[str]) -> str | None:
    """Return what is wrong with a file as far as can be seen without reading it."""
    start = part.file.read(1024)
    part.seek(0)
    if name in ("", ".", ".."):
        return "It has no name."
    if len(name) > LONGEST_NAME:
        return f"Its name has more than {LONGEST_NAME} characters."
    if name in names:
        return "Another file has the same name."
    if not part.size:
        return "It is empty."
    if part.size > LARGEST_BYTES:
        return f"It is larger than {LARGEST_BYTES // MIB} MiB. Split it."
    if start.startswith(TELLING) or b"%PDF-" in start:
        return None
    try:
        sniff.refuse_binary(start)
    except Unreadable as problem:
        return f"{problem} Known: {KNOWN}."
    suffix = PurePosixPath(name).suffix.lower()
    if SUFFIX.fullmatch(suffix) and suffix not in BY_SUFFIX:
        return f"Files called “{suffix}” are not read. Known: {KNOWN}."
    return None


def plain_name(given: str) -> str:
    """Return a name without folders, control characters and white space around it."""
    last = given.replace("\\", "/").rsplit("/", 1)[-1]
    spaced = SPACE.sub(" ", unicodedata.normalize("NFC", last))
    return "".join(c for c in spaced if c.isprintable()).strip()
