"""Whatever goes wrong while a library is written to, what it holds stays whole.

Each step of a library's life is taken again and again: once for every call that changes a file
(SQLite's commits are made of those), which is met by a kill, by half a write and a kill, by a
full disk or by an I/O error, once or from then on. Every time the library is opened again and
must hold the generation before or the one after, and all older ones: documents, texts, passages,
vectors, what is found and the ledger, compared with an undisturbed run. What fails must say so
in our words, trying again must come to the very same end, and nothing may be left over.

The same is asked of what is on the disk when the power fails after each of these calls: of what
was not synced all, the names, the bytes or some sectors may be gone.

A kill after a call is a kill before the next. By default a kind of fault is tried in turn at each
call, and several at each sync, renaming and deletion; `--every-fault` tries all at all.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

import pytest

from tests import faults
from tests.conftest import ROOT
from tests.faulty_ingest import STEPS

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or not shutil.which("gcc"), reason="needs Linux and gcc"
)
DRIVERS = 2
"""Each takes one core, and each step does those before it anew, so they need not take turns."""
MEMORY = Path("/dev/shm")
"""Syncing costs nothing there, and what is tested is what is asked for, not the disk."""


class Driver:
    """A process in which file-system calls can be made to fail."""

    def __init__(self, folder: Path, *options: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faulty_ingest", str(folder / "bench"), *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={
                **os.environ,
                "LD_PRELOAD": str(faults.build(folder)),
                "OMP_NUM_THREADS": "1",
                "OPENBLAS_NUM_THREADS": "1",
            },
        )

    def try_step(self, name: str) -> dict[str, object]:
        """Return what came of all trials of a step."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(f"{name}\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"the driver ended with {self._process.wait()}"
        result: dict[str, object] = json.loads(line)
        return result

    def close(self) -> None:
        self._process.communicate(timeout=20)


@pytest.fixture(scope="module")
def results(request: pytest.FixtureRequest) -> Iterator[dict[str, Future[dict[str, object]]]]:
    """What comes of the steps that are asked for, by two drivers beside each other."""
    options = ["--all"] if request.config.getoption("--every-fault") else []
    asked = [item for item in request.session.items if item.fspath == request.path]
    steps = [str(item.callspec.params["step"]) for item in asked if hasattr(item, "callspec")]
    free = SimpleQueue[Driver]()
    with (
        tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as top,
        ThreadPoolExecutor(DRIVERS) as pool,
    ):
        for number in range(DRIVERS):
            (folder := Path(top) / str(number)).mkdir()
            free.put(Driver(folder, *options))

        def tried(step: str) -> dict[str, object]:
            driver = free.get()
            try:
                return driver.try_step(step)
            finally:
                free.put(driver)

        yield {step: pool.submit(tried, step) for step in steps}
        for _ in range(DRIVERS):
            free.get().close()


@pytest.mark.parametrize("step", STEPS)
def test_whatever_fails_the_library_is_as_before_or_as_after(
    step: str, results: dict[str, Future[dict[str, object]]]
) -> None:
    result = results[step].result()
    failures = result.pop("failures")

    print(f"{step}: {result}")  # noqa: T201 - how much was tried is a result, too
    assert not failures
    assert int(str(result["points"])) > 20, "the faults are not where the files are"
