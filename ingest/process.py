"""The parent's side of a child process that may be lost at any moment.

Whatever the child does - hang, crash, end, write nonsense or without end - is Unreadable with the
reason, and the next request gets a fresh child.
"""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ingest.confinement import MIB, Limits, Protections
from ingest.errors import Unreadable

START_S = 30.0
END_S = 1.0
MOST_PARTS = 4_000_000
"""Lists and objects in one answer: each costs the parent far more memory than its two brackets."""

ENVIRONMENT = {
    "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/opt/homebrew/bin:{os.defpath}",
    "PYTHONPATH": str(Path(__file__).parents[1]),
    "OMP_THREAD_LIMIT": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "2",
}
"""All that the child sees. One thread a child, since several children may run side by side."""

ENDINGS = {
    signal.SIGKILL: "The system stopped reading it, most likely because memory ran out.",
    signal.SIGXCPU: "Reading it took longer than allowed.",
    signal.SIGSYS: "Reading it led to something that a reader may not do.",
}


class Process:
    """One child, started when it is first asked something, and used by one thread at a time."""

    def __init__(self, module: str, limits: Limits, *, programs: bool = False) -> None:
        self._module = module
        self._limits = limits
        self._programs = programs
        self._child: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None
        self._starter: threading.Thread | None = None
        self._ahead = b""
        self._protections = Protections()

    def close(self) -> None:
        """End the child and all that it started, if there is one."""
        if self._child:
            self._kill()
            self._child = None
        if self._channel:
            self._channel.close()
            self._channel = None
        self._ahead = b""

    def protections(self) -> Protections:
        """Return what is refused to the child, as it found by trying."""
        self._start_if_gone()
        return self._protections

    def ask(self, request: Mapping[str, Any], files: Sequence[int]) -> None:
        """Send a request with open files, to a fresh child if the last was lost meanwhile."""
        self._start_if_gone()
        try:
            self._send(request, files)
        except (BrokenPipeError, ConnectionResetError):
            self.close()
            self._start_if_gone()
            self._send(request, files)

    def answer(self, wait_s: float, most_mib: int) -> dict[str, Any]:
        """Return the next answer; Unreadable, and the child ended, if it does not come or is odd.

        An answer with an `error` is Unreadable too, and the child goes on.
        """
        try:
            reply = _parsed(self._line(wait_s, most_mib))
        except BaseException:
            self.close()
            raise
        if reply.get("last"):
            self.close()
        if "error" in reply:
            raise Unreadable(str(reply["error"])[:1000])
        return reply

    def _start_if_gone(self) -> None:
        """Start a child where there is none, or none that waits to be asked."""
        if not self._waits():
            self.close()
            self._start()

    def _waits(self) -> bool:
        """Whether the child is there and silent; the kernel ends it with the thread it is from."""
        if self._ahead or not (self._channel and self._starter and self._starter.is_alive()):
            return False
        self._channel.settimeout(0)
        try:
            self._channel.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def _start(self) -> None:
        try:
            self._spawn()
            said = self.answer(START_S, 1)["protections"]
            self._protections = Protections(**{name: bool(said[name]) for name in said})
        except (OSError, Unreadable, KeyError, TypeError) as problem:
            self.close()
            raise Unreadable(f"What reads files could not be started ({problem}).") from problem

    def _spawn(self) -> None:
        self._channel, theirs = socket.socketpair()
        start = {
            "socket": theirs.fileno(),
            "parent": os.getpid(),
            "limits": asdict(self._limits),
            "programs": self._programs,
        }
        with theirs:
            self._child = subprocess.Popen(
                [sys.executable, "-BP", "-m", self._module, json.dumps(start)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env=ENVIRONMENT,
                start_new_session=True,
            )
        self._starter = threading.current_thread()

    def _send(self, request: Mapping[str, Any], files: Sequence[int]) -> None:
        channel = self._open_channel()
        channel.settimeout(max(self._limits.wait_s, 1.0))
        data = json.dumps(request).encode() + b"\n"
        try:
            channel.sendall(data[socket.send_fds(channel, [data], list(files)) :])
        except TimeoutError as problem:
            self.close()
            raise Unreadable("What reads files takes no more.") from problem

    def _line(self, wait_s: float, most_mib: int) -> bytearray:
        """Return the next line, in time and no longer than allowed."""
        channel, deadline = self._open_channel(), time.monotonic() + wait_s
        line, piece = bytearray(), self._ahead
        while b"\n" not in piece:
            line += piece
            if len(line) > most_mib * MIB:
                raise Unreadable(f"It holds more than {most_mib} MiB of text.")
            more = _received(channel, deadline)
            if more is None:
                raise Unreadable(f"Reading it took longer than {wait_s:.0f} s.")
            if not more:
                raise Unreadable(self._ending())
            piece = more
        end, _, self._ahead = piece.partition(b"\n")
        return line + end

    def _open_channel(self) -> socket.socket:
        if not self._channel:
            raise RuntimeError("there is no child to talk to")
        return self._channel

    def _ending(self) -> str:
        """Return why the child ended, having given it the time to."""
        if not self._child or not _ended(self._child.pid):
            return "What reads files stopped talking in the middle of it."
        code = self._kill()
        if code >= 0:
            return f"What reads files ended in the middle of it (status {code})."
        name = signal.Signals(-code).name
        return ENDINGS.get(signal.Signals(-code), f"Reading it crashed the reader ({name}).")

    def _kill(self) -> int:
        """End the child and its group, which it may not leave, and return how the child ended.

        Until the child is waited for, no other group can have its number.
        """
        if not self._child:
            return 0
        if self._child.returncode is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._child.pid, signal.SIGKILL)
        return self._child.wait()


def _received(channel: socket.socket, deadline: float) -> bytes | None:
    """Return what comes next, nothing when it has ended, and None when the time is up."""
    if (left_s := deadline - time.monotonic()) <= 0:
        return None
    channel.settimeout(left_s)
    try:
        return channel.recv(MIB)
    except TimeoutError:
        return None
    except ConnectionResetError:  # it ended before it took the whole request
        return b""


def _ended(pid: int) -> bool:
    """Wait a moment for a child to end, and leave it to be reaped."""
    if sys.platform != "linux":
        time.sleep(END_S)
        return True
    handle = os.pidfd_open(pid)
    try:
        waiting = select.poll()
        waiting.register(handle, select.POLLIN)
        return bool(waiting.poll(END_S * 1000))
    finally:
        os.close(handle)


def _parsed(line: bytearray) -> dict[str, Any]:
    """Return an answer; Unreadable if it is not one."""
    try:
        if line.count(b"[") + line.count(b"{") > MOST_PARTS:
            raise Unreadable(f"It is made of more than {MOST_PARTS} parts.")
        reply = json.loads(line)
        if not isinstance(reply, dict):
            raise ValueError("not an object")
        return reply
    except (ValueError, RecursionError) as problem:
        raise Unreadable("Reading it gave no sense. Is it damaged?") from problem
