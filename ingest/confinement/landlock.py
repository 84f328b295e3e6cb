"""Which files a process may open (Landlock), a rule it and all it starts can never shed.

See https://docs.kernel.org/userspace-api/landlock.html; the calls have the same numbers on every
architecture. What is already open stays so.
"""

import ctypes
import os
from collections.abc import Iterable
from pathlib import Path

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
ASK_VERSION = 1
BENEATH_PATH = 1

EXECUTE, WRITE_FILE, READ_FILE, READ_FOLDER = 1 << 0, 1 << 1, 1 << 2, 1 << 3
ON_FILES = EXECUTE | WRITE_FILE | READ_FILE
ALL_BY_VERSION = {1: 0x1FFF, 2: 0x3FFF, 3: 0x7FFF, 4: 0x7FFF, 5: 0xFFFF}
TCP = 0x3
ABSTRACT_SOCKETS_AND_SIGNALS = 0x3
SIGNALS_SINCE = 6


class _Ruleset(ctypes.Structure):
    _fields_ = (
        ("files", ctypes.c_uint64),
        ("network", ctypes.c_uint64),
        ("scopes", ctypes.c_uint64),
    )


class _BeneathPath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("access", ctypes.c_uint64), ("folder", ctypes.c_int32))


def version(libc: ctypes.CDLL) -> int:
    """Return the kernel's version of Landlock, 0 where there is none."""
    return max(int(libc.syscall(CREATE_RULESET, None, 0, ASK_VERSION)), 0)


def install(libc: ctypes.CDLL, *, read: Iterable[Path], write: Iterable[Path] = ()) -> bool:
    """Let this process open only what is named, or lies below; return whether the kernel agreed.

    From version 4 it may use no TCP, from version 6 signal no process outside. The process must
    have given up gaining privileges, and have one thread: others would stay free.
    """
    kernel = version(libc)
    if not kernel or _threads() != 1:
        return False
    handled = ALL_BY_VERSION[min(kernel, 5)]
    rules = _Ruleset(
        handled, TCP * (kernel >= 4), ABSTRACT_SOCKETS_AND_SIGNALS * (kernel >= SIGNALS_SINCE)
    )
    ruleset = libc.syscall(CREATE_RULESET, ctypes.byref(rules), _size(kernel), 0)
    if ruleset < 0:
        return False
    try:
        for path in read:
            _allow(libc, ruleset, path, EXECUTE | READ_FILE | READ_FOLDER)
        for path in write:
            _allow(libc, ruleset, path, READ_FILE | WRITE_FILE)
        return bool(libc.syscall(RESTRICT_SELF, ruleset, 0) == 0)
    finally:
        os.close(ruleset)


def _allow(libc: ctypes.CDLL, ruleset: int, path: Path, access: int) -> None:
    """Allow access below a path; one that is not there needs no rule."""
    try:
        opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        beneath = _BeneathPath(access if path.is_dir() else access & ON_FILES, opened)
        libc.syscall(ADD_RULE, ruleset, BENEATH_PATH, ctypes.byref(beneath), 0)
    finally:
        os.close(opened)


def _size(kernel: int) -> int:
    """Return how much of the ruleset's structure a version knows."""
    if kernel >= SIGNALS_SINCE:
        return 24
    return 16 if kernel >= 4 else 8


def _threads() -> int:
    return len(list(Path("/proc/self/task").iterdir()))
