"""Other programs run for set-up: pip in .venv, logs, progress, locks and messages.

Standard library only, since all of this runs before .venv exists.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
CACHE = ROOT / ".cache"

# What an install is at, as pip tells it.
INSTALL_PROGRESS = re.compile(rb"^\s*((?:Collecting|Downloading|Installing) \S+)", re.MULTILINE)


class SetupError(Exception):
    """Says what stands in the way of the set-up and what to do about it."""


def run_pip(
    *arguments: str,
    log: str,
    progress: re.Pattern[bytes] = INSTALL_PROGRESS,
    variables: Mapping[str, str] | None = None,
) -> None:
    """Run .venv's pip with its output in `.cache/<log>`; raise SetupError if it fails."""
    ours = {
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_INPUT": "1",
        "PIP_REQUIRE_VIRTUALENV": "1",  # whatever goes wrong, the system's Python is not ours
    }
    run_logged(
        [str(PYTHON), "-m", "pip", *arguments],
        CACHE / log,
        progress,
        {**ours, **(variables or {})},
    )


def run_logged(
    command: list[str],
    log: Path,
    progress: re.Pattern[bytes],
    variables: Mapping[str, str] | None = None,
) -> None:
    """Run a command with its output in a log, showing its progress; raise SetupError if it fails.

    A session of its own lets us stop it together with everything it started.
    """
    with log.open("wb") as output, log.open("rb") as seen:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **(variables or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            show_progress(process, seen, progress)
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            process.wait()
            raise
    if process.returncode:
        raise SetupError(f"this failed: {shlex.join(command)}\n{tail(log)}\n  All of it: {log}")


def show_progress(
    process: subprocess.Popen[bytes], output: IO[bytes], progress: re.Pattern[bytes]
) -> None:
    """Wait for a process, saying how far it is.

    On a terminal that is one line kept up to date, elsewhere a line each half minute.
    """
    terminal, started, at = sys.stderr.isatty(), time.monotonic(), b""
    start, end = ("\r\033[K", "") if terminal else ("", "\n")
    try:
        while not ended(process, wait_s=1 if terminal else 30):
            at = (progress.findall(output.read()) or [at])[-1]
            minutes, seconds = divmod(int(time.monotonic() - started), 60)
            line = f"      {minutes}:{seconds:02} {at.decode(errors='replace')[:60]}"
            print(start, line, sep="", end=end, file=sys.stderr, flush=True)
    finally:
        print(start, end="", file=sys.stderr, flush=True)


def ended(process: subprocess.Popen[bytes], *, wait_s: float) -> bool:
    """Return whether a process ends within a time, as soon as it has."""
    try:
        process.wait(timeout=wait_s)
    except subprocess.TimeoutExpired:
        return False
    return True


def tail(log: Path, lines: int = 20) -> str:
    """Return the last lines of a log, indented, and cut: a compiler's would fill the screen."""
    last = log.read_text("utf-8", errors="replace").splitlines()[-lines:]
    return "\n".join(f"  | {line[:200]}" for line in last)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock that only one process has at a time; the system frees it when we are gone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("set-up: waiting for another set-up to finish")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def first_line(*command: str) -> str:
    """Return the first line a command prints; empty if it prints none, fails or is not there."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.partition("\n")[0]


def say(text: str) -> None:
    """Print to stderr, since stdout belongs to whichever script called."""
    print(text, file=sys.stderr, flush=True)
