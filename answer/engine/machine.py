"""What a measurement of speed depends on besides the model."""

import contextlib
import hashlib
import os
import platform
import re
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

LLAMA = "llama-cpp-python"


@dataclass(frozen=True, slots=True)
class Machine:
    """A processor, its cores, and the build of llama.cpp that runs on it.

    `features` is a hash of what the processor says it can do, `build` one of the files that are
    installed, so that llama.cpp compiled anew counts as another.
    """

    processor: str
    features: str
    cores: int
    llama_cpp: str
    build: str


def this_machine() -> Machine:
    """Return the machine this runs on."""
    try:
        llama = distribution(LLAMA)
        version, files = llama.version, llama.read_text("RECORD") or ""
    except PackageNotFoundError:
        version, files = "", ""
    name, features = _processor()
    return Machine(name, _digest(features), os.cpu_count() or 1, version, _digest(files))


def _processor() -> tuple[str, str]:
    """Return the processor's name and what it can do, as far as the system says."""
    with contextlib.suppress(OSError):
        said = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
        found = dict(re.findall(r"^([\w ]+?)\s*:\s*(.*)$", said, re.MULTILINE))
        name = found.get("model name") or found.get("CPU part") or platform.machine()
        features = found.get("flags") or found.get("Features") or ""
        return name.strip(), " ".join(sorted(features.split()))
    return platform.processor() or platform.machine(), platform.version()


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
