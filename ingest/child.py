"""What runs in the process that reads untrusted files: it answers requests, one by one.

Both ways each message is a line of JSON. A request brings the file, and where needed the spool
that the files inside it are written to, as open descriptors; it is answered once, or once a page
where text is to be recognised.
"""

import json
import os
import socket
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from ingest.confinement import MIB, Limits, allow_processor_time, confine
from ingest.errors import Unreadable
from ingest.types import File, Member, clean

if TYPE_CHECKING:
    from ingest.readers import Format

LONGEST = 1024  # characters of a name, or of a problem
SHARE_FOR_MEMBERS = 0.8
"""Of the time for a file; what is not taken out by then stays in it, and its text is not lost."""

Detect: TypeAlias = Callable[[File], "Format"]
Reply: TypeAlias = dict[str, Any]


class Recogniser(Protocol):
    """Reads what is printed on images; `ingest.ocr` is one."""

    def available(self) -> bool:
        """Return whether it can be used here."""

    def recognise(self, file: File, page: int) -> str:
        """Return the text on a page, counting from 1."""


def serve(detect: Detect | None = None, recogniser: Recogniser | None = None) -> None:
    """Answer on the socket named on the command line until it closes, after giving up all else.

    A module that is run as a `Sandbox`'s child calls this, with readers of its own if it likes.
    """
    start = json.loads(sys.argv[1])
    limits = Limits(**start["limits"])
    line = _Line(socket.socket(fileno=start["socket"]))
    protections = confine(limits, parent=start["parent"], programs=start["programs"])
    line.write({"protections": asdict(protections)})
    detect = detect or _default_detect()
    while request := line.read():
        allow_processor_time(limits)
        if request["do"] == "recognise":
            for reply in _recognise(request, limits, recogniser or _default_recogniser()):
                line.write(reply)
            continue
        reply = _answer(request, limits, detect)
        line.write(reply)
        if reply.get("last"):
            return


def _default_detect() -> Detect:
    """Import the readers only now that there is nothing left to lose."""
    from ingest.readers import detect

    return detect


def _default_recogniser() -> Recogniser:
    from ingest import ocr

    return ocr


class _Line:
    """The socket to the parent; answers are written, as sending is refused."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel

    def read(self) -> dict[str, Any] | None:
        """Return a request with its descriptors under `files`; None when there are no more."""
        data, files, _, _ = socket.recv_fds(self._channel, MIB, 2)
        pieces = [data]
        while data and not data.endswith(b"\n"):
            data = self._channel.recv(MIB)
            pieces.append(data)
        return {**json.loads(b"".join(pieces)), "files": files} if data else None

    def write(self, reply: Reply) -> None:
        """Send an answer."""
        _write(self._channel.fileno(), _encoded(reply))


def _write(descriptor: int, data: bytes) -> None:
    unwritten = memoryview(data)
    while unwritten:
        unwritten = unwritten[os.write(descriptor, unwritten) :]


def _encoded(reply: Reply) -> bytes:
    return json.dumps(reply, ensure_ascii=False).encode() + b"\n"


def _answer(request: dict[str, Any], limits: Limits, detect: Detect) -> Reply:
    """Return what a file holds, or why it cannot be read."""
    try:
        reply = _read(request, limits, detect)
        if len(_encoded(reply)) > limits.output_mib * MIB:
            return {"error": f"It holds more than {limits.output_mib} MiB of text."}
        return reply
    except Unreadable as problem:
        return {"error": clean(str(problem))}
    except MemoryError:  # the libraries may be in any state now
        error = f"Reading it takes more than {limits.memory_mib} MiB of memory."
        return {"error": error, "last": True}
    except Exception as problem:  # one file must not stop the others
        return {"error": _failure(problem)}
    finally:
        for file in request["files"]:
            os.close(file)


def _read(request: dict[str, Any], limits: Limits, detect: Detect) -> Reply:
    deadline = time.monotonic() + SHARE_FOR_MEMBERS * limits.wait_s
    descriptor, spool = request["files"]
    file = _file(request, descriptor)
    form = detect(file)
    extract = form.read(file)
    out = _Spool(spool, limits, deadline)
    unread = out.fill(extract.members)
    reply = {**extract.to_json(), "unread": [*extract.unread, *unread]}
    return {"media_type": form.media_type, "extract": reply, "members": out.taken}


def _file(request: dict[str, Any], descriptor: int) -> File:
    return File(
        name=request["name"],
        data=os.pread(descriptor, os.fstat(descriptor).st_size, 0),
        passwords=request["passwords"],
        ocr={int(page): text for page, text in request.get("ocr", {}).items()},
    )


class _Spool:
    """The file that what is inside another is written to, one after the other."""

    def __init__(self, descriptor: int, limits: Limits, deadline: float) -> None:
        self._descriptor = descriptor
        self._limits = limits
        self._deadline = deadline
        self._size = 0
        self.taken: list[tuple[str, str, int, int]] = []
        """Name, problem, start and size of each."""

    def fill(self, members: Iterable[Member]) -> list[str]:
        """Write what there is and return what is left and why: the text is not lost with it."""
        try:
            for member in members:
                self._add(member)
        except MemoryError:
            reason = f"the next takes more than {self._limits.memory_mib} MiB of memory."
        except Unreadable as problem:
            reason = clean(str(problem))
        except Exception as problem:
            reason = _failure(problem)
        else:
            return []
        return [f"Only {len(self.taken)} of the files in it were taken out: {reason}"]

    def _add(self, member: Member) -> None:
        limits, stop = self._limits, self._size + len(member.data)
        if len(self.taken) == limits.members:
            raise Unreadable("it holds more, which is not allowed.")
        if stop > limits.unpacked_mib * MIB:
            raise Unreadable(f"the next would make it over {limits.unpacked_mib} MiB.")
        if time.monotonic() > self._deadline:
            raise Unreadable("there was no time for more.")
        _write(self._descriptor, member.data)
        name, problem = clean(member.name)[-LONGEST:], clean(member.problem)[:LONGEST]
        self.taken.append((name, problem, self._size, len(member.data)))
        self._size = stop


def _recognise(request: dict[str, Any], limits: Limits, recogniser: Recogniser) -> Iterator[Reply]:
    """Return whether text can be recognised, then the text of each page asked for."""
    (descriptor,) = request["files"]
    try:
        available = recogniser.available()
        yield {"available": available}
        file = _file(request, descriptor)
        for page in request["pages"] if available else ():
            allow_processor_time(limits)
            yield {"text": clean(recogniser.recognise(file, page))}
    except Exception as problem:
        yield {"error": _failure(problem)}
    finally:
        os.close(descriptor)


def _failure(problem: Exception) -> str:
    return clean(f"The reader failed: {type(problem).__name__}: {problem}"[:500])


if __name__ == "__main__":
    serve()
