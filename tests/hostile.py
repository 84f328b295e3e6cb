"""Readers gone bad: a child whose files say, in their first line, what is done to it.

`python -m tests.hostile` is started by a `Sandbox`, in place of the child with the real readers.
"""

import ctypes
import os
import resource
import signal
import socket
import stat
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ingest.child import serve
from ingest.types import Draft, Extract, File, Member, Page, PageState

if TYPE_CHECKING:
    from ingest.readers import Format
else:

    class Format(NamedTuple):
        """What `serve` needs of one; to import the readers takes a second."""

        media_type: str
        suffixes: tuple[str, ...]
        read: Callable[[File], Extract]


GIB = 2**30


def said(text: str) -> Extract:
    draft = Draft()
    draft.add(text)
    return draft.finish("")


def open_files() -> list[int]:
    """Return the descriptors that came with the request: the file's, then the spool's."""
    return [n for n in range(3, 64) if n != channel() and _is_open(n)]


def outcome(attempt: Callable[[], object]) -> Extract:
    """Tell what came of something forbidden."""
    try:
        return said(f"done: {attempt()}")
    except OSError as problem:
        return said(f"refused: {problem.strerror}")


def channel() -> int:
    """Return the descriptor of the conversation with the parent."""
    return next(n for n in range(3, 64) if _is_open(n) and stat.S_ISSOCK(os.fstat(n).st_mode))


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def loop(_: File) -> Extract:
    while True:
        pass


def burn(_: File) -> Extract:
    resource.setrlimit(resource.RLIMIT_CPU, (1, resource.RLIM_INFINITY))
    while True:
        pass


def crash(_: File) -> Extract:
    return said(str(ctypes.string_at(0)))


def leave(_: File) -> Extract:
    os._exit(7)


def die(_: File) -> Extract:
    """End as if by the kernel for want of memory."""
    os.kill(os.getpid(), signal.SIGKILL)
    return said("alive")


def hang_up(_: File) -> Extract:
    os.close(channel())
    return loop(_)


def babble(_: File) -> Extract:
    os.write(channel(), b"\xff{not JSON\n")
    return loop(_)


def flood(_: File) -> Extract:
    while True:
        os.write(channel(), b"x" * 65536)


def nest(_: File) -> Extract:
    os.write(channel(), b"[" * 100_000 + b"\n")
    return loop(_)


def lie(_: File) -> Extract:
    os.write(channel(), b'{"media_type": "text/plain", "extract": {}, "members": [["a", 1]]}\n')
    return loop(_)


def overlap(_: File) -> Extract:
    """Claim bytes that are not in the spool."""
    os.write(
        channel(),
        b'{"media_type": "text/plain", "members": [["a", "", 0, 99]], "extract": {"title": "",'
        b' "text": "", "blocks": [], "page_starts": [], "pages": [], "tables": 0,'
        b' "warnings": [], "unread": []}}\n',
    )
    return loop(_)


def speak_twice(_: File) -> Extract:
    threading.Timer(0.2, os.write, [channel(), b'{"error": "out of turn"}\n']).start()
    return said("once")


def print_much(_: File) -> Extract:
    print("{}\n" * 100_000, flush=True)  # noqa: T201
    os.write(1, b"{}\n")
    return said("printed")


def swallow(_: File) -> Extract:
    return said(str(len(bytearray(24 * GIB))))


def abort(_: File) -> Extract:
    os.abort()


def fork(_: File) -> Extract:
    return outcome(os.fork)


def start_program(_: File) -> Extract:
    return outcome(lambda: subprocess.run(["/bin/true"]))


def start_thread(_: File) -> Extract:
    thread = threading.Thread(target=lambda: None)
    thread.start()
    thread.join()
    return said("ran")


def kill_parent(_: File) -> Extract:
    return outcome(lambda: os.kill(os.getppid(), signal.SIGKILL))


def kill_all(_: File) -> Extract:
    return outcome(lambda: os.kill(-1, signal.SIGKILL))


def starve_parent(_: File) -> Extract:
    return outcome(lambda: resource.prlimit(os.getppid(), resource.RLIMIT_CPU, (1, 1)))


def raise_limit(_: File) -> Extract:
    try:
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)
    except (OSError, ValueError) as problem:
        return said(f"refused: {problem}")
    return said("done")


def connect(_: File) -> Extract:
    return outcome(lambda: socket.create_connection(("127.0.0.1", 9)))


def pair(_: File) -> Extract:
    return outcome(socket.socketpair)


def read_passwords(_: File) -> Extract:
    return outcome(lambda: Path("/etc/passwd").read_text())


def read_project(_: File) -> Extract:
    return outcome(lambda: Path(__file__).with_name("conftest.py").read_text())


def write_file(file: File) -> Extract:
    return outcome(lambda: Path(file.name).write_text("was here"))


def write_beside(_: File) -> Extract:
    return outcome(lambda: Path("/tmp/footnote-was-here").touch())


def change_mode(_: File) -> Extract:
    """Make the file that is read open to all, through its descriptor."""
    return outcome(lambda: os.fchmod(open_files()[0], 0o777))


def write_to_it(_: File) -> Extract:
    return outcome(lambda: os.write(open_files()[0], b"was here"))


def move_in_it(_: File) -> Extract:
    return outcome(lambda: os.lseek(open_files()[0], 0, os.SEEK_END))


def leave_group(_: File) -> Extract:
    return outcome(os.setsid)


def share_memory(_: File) -> Extract:
    return outcome(lambda: os.memfd_create("hidden"))


def look_around(_: File) -> Extract:
    return said(" ".join(sorted(os.environ)))


def members(_: File) -> Extract:
    """Hold three files, one of them locked."""
    inside = [Member("a/../../x", b"one"), Member("b", b"", "It is locked."), Member("c", b"three")]
    return Extract("", "", (), members=inside)


def many_members(_: File) -> Extract:
    return Extract("", "", (), members=(Member(str(n), b"x") for n in range(100)))


def large_members(_: File) -> Extract:
    return Extract("", "", (), members=(Member(str(n), bytes(2**20)) for n in range(100)))


def broken_members(_: File) -> Extract:
    def inside() -> Iterator[Member]:
        yield Member("whole", b"one")
        raise ValueError("torn")

    return Extract("", "kept", (), members=inside())


def overfill(_: File) -> Extract:
    """Write more to the spool than is allowed."""
    return outcome(lambda: os.ftruncate(open_files()[1], 100 * 2**20))


def empty_spool(_: File) -> Extract:
    """Take back what was taken out, once it was handed over."""
    threading.Timer(0.2, os.ftruncate, [os.dup(open_files()[1]), 0]).start()
    return Extract("", "", (), members=[Member("a", b"one")])


def images(file: File) -> Extract:
    """Have three pages of images, which are text once they were recognised."""
    draft = Draft()
    for number in range(1, 4):
        text = file.ocr.get(number)
        draft.start_page(Page(PageState.IMAGE if text is None else PageState.OCR))
        draft.add(text or "")
    return draft.finish("")


def many_parts(_: File) -> Extract:
    """Answer with little that takes a lot of room once it is parsed."""
    os.write(channel(), b"[" + b"[]," * 4_000_000 + b"[]]\n")
    return loop(_)


def ignore_processor_limit(_: File) -> Extract:
    signal.signal(signal.SIGXCPU, signal.SIG_IGN)
    return loop(_)


def fine(file: File) -> Extract:
    return said(file.data.decode())


ACTS = {name: act for name, act in list(globals().items()) if name[0] != "_" and callable(act)}


def detect(file: File) -> Format:
    act = ACTS.get(file.data.split(b"\n")[0].decode(), fine)
    return Format("text/plain", (), act)


class Recogniser:
    """Recognises two pages of a file, and does with the second what the file says."""

    def available(self) -> bool:
        return True

    def recognise(self, file: File, page: int) -> str:
        if page == 2:
            return self.trouble(file.data.decode().split("\n")[1])
        echo = subprocess.run(["/bin/echo", f"page {page}"], capture_output=True)
        return echo.stdout.decode()

    def trouble(self, kind: str) -> str:
        if kind == "crash":
            ctypes.string_at(0)
        while kind == "loop":
            pass
        if kind == "fork":
            while True:
                os.fork()
        if kind == "write":
            return outcome(lambda: Path("/tmp/footnote-was-here").touch()).text
        if kind == "connect":
            return outcome(socket.socketpair).text
        if kind == "kill":
            return outcome(lambda: os.kill(os.getppid(), signal.SIGKILL)).text
        return "page 2"


if __name__ == "__main__":
    serve(detect, Recogniser())
