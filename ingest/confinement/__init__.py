"""What a process that reads untrusted files gives up, for good and for all it starts.

On Linux the kernel refuses it the network, other files, other processes and more memory. Other
systems know only limits on what it uses. Nothing is claimed that was not tried: `confine` returns
what really is refused.
"""

import ctypes
import math
import mimetypes
import mmap
import os
import resource
import signal
import site
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path

from ingest.confinement import landlock, seccomp

MIB = 1024 * 1024
PACKAGE = Path(__file__).parents[1]

SET_PARENT_DEATH_SIGNAL, SET_KEEP_CAPABILITIES = 1, 8
DROP_BOUND_CAPABILITY, SET_NO_NEW_PRIVILEGES = 24, 38
CAPABILITY_VERSION = 0x20080522
PASS_FILE_PERMISSIONS = 1 << 1 | 1 << 2
"""Who was root may still open the program's files, whosever they are; Landlock says which."""
FIRST_NOBODY = 0x7000_0000

SYSTEM = """
/usr /lib /lib32 /lib64 /libx32 /bin /nix/store /gnu/store
/etc/ld.so.cache /etc/localtime /etc/ssl/openssl.cnf
/proc/cpuinfo /proc/meminfo /sys/devices/system/cpu /dev/urandom /dev/random /dev/zero
""".split()
"""Where the system's libraries and programs are, and what these look at as they start."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What reading one file may cost.

    Whoever waits enforces `wait_s` (a file) and `page_s` (recognising a page), the kernel the
    rest; `processor_s` is there for a child whose parent can no longer tell the time. `members`
    and `unpacked_mib` bound what is taken out of one file.
    """

    memory_mib: int = 2048
    wait_s: float = 55.0
    page_s: float = 60.0
    processor_s: float = 90.0
    output_mib: int = 64
    unpacked_mib: int = 1024
    members: int = 10_000
    open_files: int = 64


@dataclass(frozen=True, slots=True)
class Protections:
    """What is refused to the process that reads files; each was tried, and failed as it should."""

    memory: bool = False
    """More memory than allowed."""
    network: bool = False
    """Any connection."""
    reading: bool = False
    """Opening files other than the one it is given, its program and the system's libraries."""
    writing: bool = False
    """Opening files to write to them, or making new ones."""
    programs: bool = False
    """Starting another process. What recognises text starts tesseract, so there it is allowed."""
    signals: bool = False
    """Signals to processes it did not start."""

    @property
    def missing(self) -> tuple[str, ...]:
        """Return the names of those that are not in force."""
        return tuple(each.name for each in fields(self) if not getattr(self, each.name))


def confine(limits: Limits, *, parent: int, programs: bool) -> Protections:
    """Give up, for good, what reading a file does not need; return what is refused from now on.

    `programs` lets the process start others, under the same rules. It must have one thread, and
    ends with the thread of `parent` that started it.
    """
    _yield_to_others()
    _limit(limits, file_mib=0 if programs else limits.unpacked_mib)
    if sys.platform == "linux":
        _confine_by_kernel(parent, programs=programs)
    return _tried(limits)


def allow_processor_time(limits: Limits) -> None:
    """Let this process use its share of processor time once more."""
    soft = math.ceil(time.process_time() + limits.processor_s)
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.RLIM_INFINITY))


def _yield_to_others() -> None:
    """Come last for the processor, and first when the kernel needs memory back."""
    os.nice(10)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500")


def _limit(limits: Limits, *, file_mib: int) -> None:
    bounds = {
        resource.RLIMIT_AS: limits.memory_mib * MIB,
        resource.RLIMIT_FSIZE: file_mib * MIB,
        resource.RLIMIT_NOFILE: limits.open_files,
        resource.RLIMIT_CORE: 0,
    }
    for kind, most in bounds.items():
        with suppress(OSError, ValueError):  # not every system knows each
            resource.setrlimit(kind, (most, most))
    allow_processor_time(limits)


def _confine_by_kernel(parent: int, *, programs: bool) -> None:
    libc = _libc()
    _step_down(libc)
    libc.prctl(SET_PARENT_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit("The process that wanted files read is gone.")
    if programs:
        _limit_processes()
    libc.prctl(SET_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    landlocked = landlock.install(libc, read=_program_files(), write=[Path(os.devnull)])
    scoped = landlocked and landlock.version(libc) >= landlock.SIGNALS_SINCE
    seccomp.install(libc, programs=programs, signals=programs and scoped)


def _libc() -> ctypes.CDLL:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl.argtypes = [ctypes.c_int, *(ctypes.c_ulong,) * 4]
    libc.syscall.restype = ctypes.c_long
    return libc


def _step_down(libc: ctypes.CDLL) -> None:
    """Make root a user of its own, whom limits bind; others have no privileges to give up."""
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION, 0)
    sets = (ctypes.c_uint32 * 6)()
    if os.geteuid() or libc.capget(header, sets):
        return
    for number in range(64):
        if not 1 << number & PASS_FILE_PERMISSIONS:
            libc.prctl(DROP_BOUND_CAPABILITY, number, 0, 0, 0)
    libc.prctl(SET_KEEP_CAPABILITIES, 1, 0, 0, 0)
    with suppress(OSError):  # in a container there may be no such user
        nobody = FIRST_NOBODY + os.getpid()
        os.setgroups([])
        os.setresgid(nobody, nobody, nobody)
        os.setresuid(nobody, nobody, nobody)
    kept = sets[1] & PASS_FILE_PERMISSIONS
    libc.capset(header, (ctypes.c_uint32 * 6)(kept, kept, 0, 0, 0, 0))


def _limit_processes() -> None:
    """Let this user start few processes more than there are; those elsewhere cannot be counted."""
    _, allowed = resource.getrlimit(resource.RLIMIT_NPROC)
    for most in (2**power for power in range(5, 20)):
        with suppress(ValueError):  # it is more than allowed already
            resource.setrlimit(resource.RLIMIT_NPROC, (most, allowed))
            if not _refused(_start_process):
                resource.setrlimit(resource.RLIMIT_NPROC, (2 * most, 2 * most))
                return


def _program_files() -> Iterator[Path]:
    """Return where Python, its packages, this one and the system's libraries are."""
    yield from map(Path, (*SYSTEM, *mimetypes.knownfiles))
    yield from map(Path, {sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix})
    yield from map(Path, {*sysconfig.get_paths().values(), site.getusersitepackages()})
    yield PACKAGE


def _tried(limits: Limits) -> Protections:
    return Protections(
        memory=_refused(lambda: mmap.mmap(-1, limits.memory_mib * MIB).close()),
        network=_refused(_connect),
        reading=_refused(lambda: os.close(os.open("/", os.O_RDONLY))),
        writing=_refused(_make_file),
        programs=_refused(_start_process),
        signals=_refused(lambda: os.kill(os.getppid(), 0)),
    )


def _refused(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except OSError:
        return True
    return False


def _connect() -> None:
    import socket

    socket.socket().close()


def _make_file() -> None:
    """Make a file that never has a name."""
    os.close(os.open("/tmp", os.O_TMPFILE | os.O_WRONLY))  # noqa: S108


def _start_process() -> None:
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)
