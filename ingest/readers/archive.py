"""ZIP archives: their members, taken out one by one and no further than is safe."""

import io
import re
import struct
import unicodedata
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import PurePosixPath
from stat import S_ISLNK
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from ingest.errors import Unreadable
from ingest.types import Extract, File, Member

MIB = 1024 * 1024
LARGEST_MEMBER_BYTES = 256 * MIB
LARGEST_TOTAL_BYTES = 1024 * MIB
MOST_MEMBERS = 10_000
MOST_RATIO = 200
"""Text seldom packs to less than a fiftieth of its size; a bomb does to a thousandth."""
ALWAYS_ALLOWED_BYTES = 16 * MIB
"""What a member may unpack to, whatever its ratio."""

DAMAGE = (BadZipFile, zlib.error, EOFError, OSError, ValueError, struct.error)
UTF8_NAME, LOCKED = 0x800, 0x1
AES = 99
"""What stands for the compression of members locked by WinZip's and 7-Zip's newer way."""
NOISE = ("__macosx", "thumbs.db", "desktop.ini")


class TooLarge(Exception):
    """A member unpacks to more than it may."""


def read(file: File) -> Extract:
    """Return the members of an archive, to be read as files of their own.

    Unreadable if it is damaged or empty.
    """
    archive = open_archive(file.data)
    listed = [info for info in archive.infolist() if not info.is_dir() and not _is_noise(info)]
    if not listed:
        raise Unreadable("It is an archive with no files in it.")
    members = _Unpacking(archive, file.passwords).members(listed)
    return Extract(PurePosixPath(file.name).stem, "", (), members=members)


def open_archive(data: bytes) -> ZipFile:
    """Return an archive's list of contents; Unreadable if it has none."""
    try:
        return ZipFile(io.BytesIO(data))
    except (*DAMAGE, NotImplementedError, RecursionError) as problem:
        raise Unreadable(f"It is a damaged ZIP archive or Office file ({problem}).") from problem


def unpack(archive: ZipFile, info: ZipInfo, limit: int, password: str = "") -> bytes:
    """Return what a member holds; TooLarge as soon as it proves longer than `limit` bytes.

    NotImplementedError for bzip2, LZMA and others: zipfile bounds what it unpacks at a time for
    deflate only, and 700 bytes of bzip2 hold 600 MB.
    """
    if info.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
        raise NotImplementedError("a compression other than deflate")
    data = bytearray()
    with archive.open(info, pwd=password.encode() or None) as member:
        while piece := member.read(MIB):
            data += piece
            if len(data) > limit:
                raise TooLarge
    return bytes(data)


@dataclass
class _Unpacking:
    """The members of an archive as they are taken out, and what has been spent on it."""

    archive: ZipFile
    passwords: Sequence[str]
    spent: int = 0

    def members(self, listed: Sequence[ZipInfo]) -> Iterator[Member]:
        """Yield each member, with its data or its problem; the last says what was left out."""
        overlapping = _overlapping(listed)
        seen: set[str] = set()
        for number, info in enumerate(listed):
            if number == MOST_MEMBERS or self.spent >= LARGEST_TOTAL_BYTES:
                yield Member("…", b"", _left_out(len(listed) - number))
                return
            name = distinct(_name(info), seen)
            problem = _problem(info) or (OVERLAPS if info in overlapping else "")
            yield Member(name, b"", problem) if problem else self._member(info, name)

    def _member(self, info: ZipInfo, name: str) -> Member:
        """Take a member out with the first password that opens it."""
        locked = bool(info.flag_bits & LOCKED)
        for password in self.passwords if locked else ("",):
            try:
                return Member(name, self._unpack(info, password))
            except TooLarge:
                return Member(name, b"", self._too_large(info))
            except NotImplementedError:
                return Member(name, b"", UNKNOWN_METHOD)
            except MemoryError:
                return Member(name, b"", "Unpacking it takes more memory than is allowed.")
            except (*DAMAGE, RuntimeError) as problem:  # RuntimeError: a wrong password
                if not locked:
                    return Member(name, b"", f"It is damaged in the archive ({problem}).")
        return Member(name, b"", LOCKED_MEMBER)

    def _unpack(self, info: ZipInfo, password: str) -> bytes:
        allowed = max(ALWAYS_ALLOWED_BYTES, MOST_RATIO * info.compress_size)
        limit = min(allowed, LARGEST_MEMBER_BYTES, LARGEST_TOTAL_BYTES - self.spent)
        try:
            data = unpack(self.archive, info, limit, password)
        except TooLarge:
            self.spent += limit
            raise
        self.spent += len(data)
        return data

    def _too_large(self, info: ZipInfo) -> str:
        if self.spent >= LARGEST_TOTAL_BYTES:
            return f"With it, the archive unpacks to more than {LARGEST_TOTAL_BYTES // MIB} MiB."
        if MOST_RATIO * info.compress_size < LARGEST_MEMBER_BYTES:
            return "It unpacks to so many times its size that it looks like a trap."
        return f"It unpacks to more than {LARGEST_MEMBER_BYTES // MIB} MiB. Split it."


OUTSIDE = "Its name leads out of the archive."
UNKNOWN_METHOD = "It is packed in a way that is not read (not deflate). Unpack it first."
LOCKED_MEMBER = (
    "It is locked with a password that is not known. Give the password, or unpack it first."
)
OVERLAPS = "It shares its bytes with another member, as traps do. Unpack the archive first."


def distinct(name: str, seen: set[str]) -> str:
    """Return a name that was not seen yet, numbered if need be: “a (2).txt”."""
    path = PurePosixPath(name)
    number, found = 1, name
    while found in seen:
        number += 1
        found = str(path.with_name(f"{path.stem} ({number}){path.suffix}"))
    seen.add(found)
    return found


def _left_out(count: int) -> str:
    return (
        f"{count} more files are left out: the archive holds more than {MOST_MEMBERS} files"
        f" or {LARGEST_TOTAL_BYTES // MIB} MiB. Unpack it first."
    )


def _problem(info: ZipInfo) -> str:
    """Return why a member may not be taken out."""
    name = info.orig_filename.replace("\\", "/")
    if any(unicodedata.category(c) == "Cc" for c in name):
        return "Its name holds control characters."
    if ".." in name.split("/") or name.startswith("/") or re.match(r"[A-Za-z]:", name):
        return OUTSIDE
    if info.flag_bits & LOCKED and info.compress_type == AES:
        return "It is locked in a way that is not read (AES). Unpack it first."
    if S_ISLNK(info.external_attr >> 16):
        return "It is a link to another file."
    return ""


def _name(info: ZipInfo) -> str:
    """Return a member's name as it can be shown, in UTF-8 where the archive forgot to say so."""
    name = info.orig_filename.replace("\\", "/")
    if not info.flag_bits & UTF8_NAME:
        with suppress(UnicodeError):
            name = name.encode("cp437").decode("utf-8")
    return "".join(c if c.isprintable() else "\ufffd" for c in name) or "\ufffd"


def _is_noise(info: ZipInfo) -> bool:
    """Whether a member is hidden, or a trace of the system that packed it."""
    parts = info.orig_filename.replace("\\", "/").split("/")
    hidden = any(part.startswith(".") and part != ".." for part in parts)
    return hidden or parts[-1].startswith("~$") or any(part.lower() in NOISE for part in parts)


def _overlapping(listed: Sequence[ZipInfo]) -> set[ZipInfo]:
    """Return members whose packed bytes run into the next one's, or are the next one's."""
    in_order = sorted(listed, key=lambda info: info.header_offset)
    overlapping: set[ZipInfo] = set()
    reached, holder = -1, None
    for info in in_order:
        if info.header_offset < reached and holder:
            overlapping |= {holder, info}
        stop = info.header_offset + 30 + len(info.orig_filename) + info.compress_size
        if stop > reached:
            reached, holder = stop, info
    return overlapping
