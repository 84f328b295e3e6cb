"""The model's weights in a wider format, which some processors read faster than the narrow one.

Wider only: a weight of 4 to 6 bits fits into 8 or 16, but not the other way round. F16 holds it to
one part in 2,048; Q8_0 to one part in 254 of the largest of its block of 32, a small fraction of
what the narrow format has rounded off. Made by llama.cpp itself, in a process of its own:

    python -m answer.engine.weights count SOURCE
    python -m answer.engine.weights make SOURCE TARGET TYPE THREADS
"""

import ctypes
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Collection, Sequence
from pathlib import Path

from answer.errors import ModelFailed
from retrieval.files import DRAFT, make_folder, sync_folder
from retrieval.lifeline import end_with_starter

AS_THEY_ARE = "source"
FORMATS: dict[str, tuple[int, float, float]] = {
    "q8_0": (7, 8.5, 7.0),
    "f16": (1, 16.0, 9.0),
}
"""Of each: llama.cpp's number, its bits a weight, and the most bits of a source that it holds."""
SPARE_BYTES = 1 << 30
"""What is left free on the disk; half of this is more than names and vocabulary take."""
SHARE_OF_MEMORY = 0.5
MADE = re.compile(r"[0-9a-f]{16}-(?:" + "|".join(FORMATS) + r")\.gguf")
"""What `kept` calls files."""
MAKE_S = 1800.0
COUNT_S = 60.0
STALE_S = 60.0


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def kept(folder: Path, source_sha256: str, weights: str) -> Path:
    """Return where the weights of a model are kept in a format, or would be."""
    return folder / f"{source_sha256[:16]}-{weights}.gguf"


def formats_for(source: Path, folder: Path, most_s: float = COUNT_S) -> tuple[list[str], list[str]]:
    """Return the formats that hold a model's weights and fit here, and why others do not."""
    parameters = int(_run(["count", str(source)], most_s)) or 1
    bits = source.stat().st_size * 8 / parameters
    fit, notes = [], []
    for name, (_, bits_here, most_bits) in FORMATS.items():
        size = int(parameters * bits_here / 8)
        if bits > most_bits:
            continue  # it would be the same again, or lose something
        if size > SHARE_OF_MEMORY * _memory_bytes():
            notes.append(f"{name}: {size >> 20} MiB are more than half of the memory")
        elif size + SPARE_BYTES > shutil.disk_usage(_there(folder)).free:
            notes.append(f"{name}: {size >> 20} MiB do not fit on the disk of {folder}")
        else:
            fit.append(name)
    return fit, notes


def make(source: Path, target: Path, weights: str, threads: int, most_s: float = MAKE_S) -> str:
    """Put the weights of a model into a file in a format; return its SHA-256.

    The file is there whole or not at all. Raises ModelFailed if llama.cpp cannot do it.
    """
    make_folder(target.parent)
    draft = target.parent / f"{DRAFT}{uuid.uuid4().hex}.gguf"
    try:
        _run(["make", str(source), str(draft), str(FORMATS[weights][0]), str(threads)], most_s)
        with draft.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            os.fsync(file.fileno())
        draft.replace(target)
        sync_folder(target.parent)
    except OSError as problem:
        raise ModelFailed(f"The weights cannot be kept: {problem.strerror}.") from problem
    finally:
        draft.unlink(missing_ok=True)
    return digest


def sweep_made(folder: Path, wanted: Collection[Path]) -> None:
    """Delete the weights that were made and are not wanted any more."""
    for path in list(folder.iterdir()) if folder.is_dir() else ():
        if MADE.fullmatch(path.name) and path not in wanted:
            path.unlink(missing_ok=True)


def sweep_drafts(folder: Path) -> None:
    """Delete what was left half made by a process that ended: nobody has written to it of late."""
    for draft in folder.glob(f"{DRAFT}*.gguf"):
        if time.time() - draft.stat().st_mtime > STALE_S:
            draft.unlink(missing_ok=True)


def _run(arguments: Sequence[str], most_s: float) -> str:
    command = [sys.executable, "-P", "-m", "answer.engine.weights", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    held, line = os.pipe()  # the child holds one end, and ends when we do
    try:
        done = subprocess.run(
            command,
            stdin=held,
            capture_output=True,
            text=True,
            timeout=max(0.0, most_s),
            env=environment,
            check=True,
        )
    except (subprocess.SubprocessError, OSError) as problem:
        raise ModelFailed("llama.cpp cannot put these weights into another format.") from problem
    finally:
        os.close(held)
        os.close(line)
    return done.stdout


def _memory_bytes() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _there(folder: Path) -> Path:
    """Return the folder, or the nearest above it that is there."""
    return folder if folder.exists() or folder == folder.parent else _there(folder.parent)


def _main(what: str, source: str, *more: str) -> int:
    """Do one of the two, in a process that may crash over a damaged file."""
    import llama_cpp

    if what == "count":
        load = llama_cpp.llama_model_default_params()
        load.vocab_only = True
        model = llama_cpp.llama_model_load_from_file(source.encode(), load)
        if not model:
            return 1
        sys.stdout.write(str(llama_cpp.llama_model_n_params(model)))
        return 0
    target, kind, threads = more
    end_with_starter(lambda: Path(target).unlink(missing_ok=True))
    how = llama_cpp.llama_model_quantize_default_params()
    how.ftype, how.nthread, how.allow_requantize = int(kind), int(threads), True
    result = llama_cpp.llama_model_quantize(source.encode(), target.encode(), ctypes.byref(how))
    return int(result != 0)


if __name__ == "__main__":
    sys.exit(_main(*sys.argv[1:]))
