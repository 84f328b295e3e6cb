"""Reading untrusted files in a process that may be lost.

The child has limits on memory, processor time, open files and written bytes, and speaks JSON
over its pipes, so that whatever a file does to it reaches the parent as text or not at all.
"""

import base64
import json
import os
import resource
import selectors
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from ingest.errors import Unreadable
from ingest.types import Extract, File

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """What reading one file may cost."""

    memory_mib: int = 2048
    wait_s: float = 120.0
    output_mib: int = 64
    open_files: int = 64


class Sandbox:
    """One child process that reads file after file, replaced when it is lost."""

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Return itself; the child starts with the first file."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the child."""
        self.close()

    def close(self) -> None:
        """End the child, if there is one."""
        if self._child is None:
            return
        self._child.kill()
        self._child.wait()
        for pipe in (self._child.stdin, self._child.stdout):
            if pipe:
                pipe.close()
        self._child = None

    def read(self, path: Path, data: bytes) -> Extract:
        """Return what a file holds; Unreadable says why it could not be read."""
        request = json.dumps({"name": path.name, "data": base64.b64encode(data).decode()})
        try:
            answer = self._exchange(request.encode() + b"\n")
            reply = json.loads(answer)
            if "error" in reply:
                raise Unreadable(str(reply["error"]))
            return Extract.from_json(reply)
        except (ValueError, KeyError, TypeError) as problem:
            self.close()
            raise Unreadable("Reading it gave no sense. Is it damaged?") from problem

    def _exchange(self, request: bytes) -> bytes:
        child = self._running()
        stdin, stdout = child.stdin, child.stdout
        if stdin is None or stdout is None:
            raise RuntimeError("the child was started without pipes")
        try:
            answer = _converse(stdin, stdout, request, self._limits)
        except BrokenPipeError:
            answer = b""
        except Unreadable:
            self.close()
            raise
        if not answer.endswith(b"\n"):
            self.close()
            raise Unreadable(
                f"Reading it took more than {self._limits.memory_mib} MiB of memory or crashed the"
                " reader."
            )
        return answer

    def _running(self) -> subprocess.Popen[bytes]:
        if self._child is None or self._child.poll() is not None:
            self.close()
            self._child = subprocess.Popen(
                [sys.executable, "-BP", "-m", "ingest.sandbox", json.dumps(asdict(self._limits))],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={"PATH": os.defpath, "PYTHONPATH": str(Path(__file__).parents[1])},
            )
        return self._child


def _converse(stdin: IO[bytes], stdout: IO[bytes], request: bytes, limits: Limits) -> bytes:
    """Send a request and return the answer's line, in time and no longer than allowed."""
    deadline = time.monotonic() + limits.wait_s
    answer = bytearray()
    os.set_blocking(stdin.fileno(), False)
    os.set_blocking(stdout.fileno(), False)
    unsent = memoryview(request)
    with selectors.DefaultSelector() as ready:
        ready.register(stdin, selectors.EVENT_WRITE)
        ready.register(stdout, selectors.EVENT_READ)
        while not answer.endswith(b"\n"):
            events = ready.select(deadline - time.monotonic())
            if not events:
                raise Unreadable(f"Reading it took longer than {limits.wait_s:.0f} s.")
            for key, _ in events:
                if key.fileobj is stdin:
                    unsent = unsent[os.write(stdin.fileno(), unsent[:MIB]) :]
                    if not unsent:
                        ready.unregister(stdin)
                elif piece := os.read(stdout.fileno(), MIB):
                    answer += piece
                else:
                    return bytes(answer)
            if len(answer) > limits.output_mib * MIB:
                raise Unreadable(f"It holds more than {limits.output_mib} MiB of text.")
    return bytes(answer)


def _limit(limits: Limits) -> None:
    """Take from this process, for good, what reading a file does not need."""
    memory = limits.memory_mib * MIB
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_NOFILE, (limits.open_files, limits.open_files))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def serve() -> None:
    """Read requests from standard input and answer each on a line, until it closes."""
    from ingest.readers import detect

    _limit(Limits(**json.loads(sys.argv[1])))
    out = sys.stdout
    sys.stdout = sys.stderr  # a reader that prints must not break the conversation
    for line in sys.stdin:
        request = json.loads(line)
        data = base64.b64decode(request["data"])
        try:
            file = File(request["name"], data)
            reply = detect(file).read(file).to_json()
        except Unreadable as problem:
            reply = {"error": str(problem)}
        except MemoryError:
            reply = {"error": "Reading it takes more memory than is allowed."}
        except Exception as problem:  # one file must not stop the others
            reply = {"error": f"The reader failed: {type(problem).__name__}: {problem}"[:500]}
        out.write(json.dumps(reply) + "\n")
        out.flush()


if __name__ == "__main__":
    serve()
