"""llama-cpp-python's wheel: which build belongs on this machine, where it is kept, compiling it.

It is compiled once per machine and its wheel kept, so further clones only install it. Standard
library only, since this runs before .venv exists.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import re
import shlex
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from scripts.processes import CACHE, ROOT, SetupError, first_line, locked, run_pip

CONSTRAINTS = ROOT / "scripts" / "constraints.txt"
LLAMA_CMAKE = ROOT / "scripts" / "llama.cmake"

VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"

# The llama library alone: the programs around it cost time to compile and nothing here runs them.
CMAKE_FLAGS = (
    "-DLLAVA_BUILD=OFF",
    "-DLLAMA_BUILD_TOOLS=OFF",
    "-DLLAMA_BUILD_SERVER=OFF",
    "-DLLAMA_BUILD_EXAMPLES=OFF",
    "-DLLAMA_BUILD_TESTS=OFF",
)
COMPILERS = ("c++", "g++", "clang++")
COMPILER_VARIABLES = ("CC", "CXX", "CFLAGS", "CXXFLAGS", "LDFLAGS")

# How far a compile is, as ninja ("[12/83]") or make ("[ 14%]") tells it.
COMPILE_PROGRESS = re.compile(rb"^\s*(\[\s*\d+(?:/\d+|%)\])", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Build:
    """All that decides what comes of compiling llama-cpp-python."""

    version: str
    python: str  # as in "3.11"
    flags: str  # for CMake, and for the compiler from the environment
    machine: str  # system, C library and what the processor can do: -march=native
    compiler: str  # the first line it says about itself; empty where there is none

    @property
    def base(self) -> str:
        """The key without the compiler."""
        return digest(self.version, self.python, self.flags, self.machine)[:16]

    @property
    def key(self) -> str:
        """The name of the folder that keeps this build's wheel."""
        return f"{self.base}-{digest(self.compiler)[:8]}"


def this_build() -> Build:
    """Return the build of llama-cpp-python that belongs on this machine, for this Python."""
    variables = [f"{name}={os.environ.get(name, '')}" for name in COMPILER_VARIABLES]
    # What the file says, not where it is, so that clones share a wheel.
    flags = [*cmake_flags(), LLAMA_CMAKE.read_text("utf-8"), *variables]
    machine = [platform.system(), platform.machine(), *platform.libc_ver(), processor()]
    compiler = find_compiler()
    return Build(
        version=pinned_version("llama-cpp-python"),
        python=VERSION,
        flags="\n".join(flags),
        machine="\n".join(machine),
        compiler=first_line(compiler, "--version") if compiler else "",
    )


def cmake_flags() -> list[str]:
    """Return our flags for CMake, then the operator's, which win."""
    return [*CMAKE_FLAGS, *shlex.split(os.environ.get("FOOTNOTE_CMAKE_ARGS", ""))]


def pinned_version(package: str) -> str:
    """Return the version of a package that the constraints name."""
    spelled = package.replace("-", "[-_]")  # pip lists llama_cpp_python
    found = re.search(rf"^{spelled}==(\S+)$", CONSTRAINTS.read_text("utf-8"), re.MULTILINE)
    if found is None:
        raise SetupError(f"{CONSTRAINTS} has no line {package}==…")
    return found[1]


def processor() -> str:
    """Return what this processor can do, or where the system does not say, its name."""
    with contextlib.suppress(OSError):
        found = re.search(r"^(?:flags|Features)\s*:(.*)", Path("/proc/cpuinfo").read_text(), re.M)
        if found:
            return " ".join(sorted(found[1].split()))
    return first_line("sysctl", "-n", "machdep.cpu.brand_string") or platform.processor()


def find_compiler() -> str | None:
    """Return the path of the C++ compiler, the one CXX names if it does; None if missing."""
    names = shlex.split(os.environ.get("CXX", ""))[:1] or COMPILERS
    return next(filter(None, map(shutil.which, names)), None)


def require_tools(build: Build) -> None:
    """Raise SetupError, with how to get them, if tools for compiling llama.cpp are missing."""
    lacks_compiler, lacks_cmake = not build.compiler, shutil.which("cmake") is None
    if not (lacks_compiler or lacks_cmake):
        return

    def pick(compiler: str, cmake: str, between: str = " ") -> str:
        return between.join([compiler] * lacks_compiler + [cmake] * lacks_cmake)

    raise SetupError(
        f"llama.cpp has to be compiled once, and {pick('a C++ compiler', 'cmake', ' and ')}"
        f" {'are' if lacks_compiler and lacks_cmake else 'is'} missing.\n"
        f"  Debian, Ubuntu:  sudo apt-get install {pick('g++', 'cmake')}\n"
        f"  Fedora:          sudo dnf install {pick('gcc-c++', 'cmake')}\n"
        f"  macOS:           {pick('xcode-select --install', 'brew install cmake', ' && ')}"
    )


def wheel_folders() -> list[Path]:
    """Return where wheels are kept: one folder for all clones, then this clone's own."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    return [cache / "footnote" / "wheels", CACHE / "wheels"]


def kept_wheel(build: Build) -> Path | None:
    """Return the wheel kept from this build, or None; without a compiler, whoever compiled it."""
    pattern = f"{build.key if build.compiler else build.base + '-*'}/llama_cpp_python-*.whl"
    return next((wheel for folder in wheel_folders() for wheel in folder.glob(pattern)), None)


def build_wheel(build: Build) -> Path:
    """Compile llama-cpp-python and keep its wheel; two clones that want the same compile it once.

    The wheel is moved into its folder when it is whole, so one that is there can be trusted.
    """
    folder = next((folder for folder in wheel_folders() if can_write(folder)), CACHE / "wheels")
    with locked(folder / f"{build.key}.lock"):
        if wheel := kept_wheel(build):
            return wheel
        with tempfile.TemporaryDirectory(dir=folder, ignore_cleanup_errors=True) as work:
            compile_llama(build.version, Path(work))
            (wheel,) = Path(work).glob("*.whl")
            kept = folder / build.key / wheel.name
            kept.parent.mkdir(exist_ok=True)
            return wheel.replace(kept)


def can_write(folder: Path) -> bool:
    """Return whether the folder, made if need be, takes files."""
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
    return os.access(folder, os.W_OK)


def compile_llama(version: str, folder: Path) -> None:
    """Compile llama-cpp-python into a wheel in `folder`.

    Neither a wheel from elsewhere nor one in pip's cache will do: neither knows of our flags.
    """
    include = f"-DCMAKE_PROJECT_llama.cpp_INCLUDE={LLAMA_CMAKE}"
    # pip's own folders go with ours, even when a signal gives it no time to tidy up.
    variables = {"CMAKE_ARGS": shlex.join([*cmake_flags(), include]), "TMPDIR": str(folder)}
    run_pip(
        *("wheel", "--verbose", "--no-deps", "--no-cache-dir", "--no-binary", "llama-cpp-python"),
        *("--wheel-dir", str(folder), f"llama-cpp-python=={version}"),
        log="llama-build.log",
        progress=COMPILE_PROGRESS,
        variables=variables,
    )


def digest(*parts: str) -> str:
    """Return a hash of texts, one that no other split of the same characters shares."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
