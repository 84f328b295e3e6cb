"""A library that several processes use at the same time."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from ingest import Job, Options, Report
from ingest.progress import Progress, Stage
from retrieval import Library, Standing
from retrieval.errors import LibraryBusy
from tests.conftest import ROOT
from tests.stand_ins import InlineSandbox, WordEmbedder

READER = """
import json, sys
from pathlib import Path
from retrieval import Library
from tests.stand_ins import WordEmbedder

library = Library(Path(sys.argv[1]), WordEmbedder())
print("ready", flush=True)
with Path(sys.argv[3]).open("w") as seen:
    while Path(sys.argv[2]).exists():
        snapshot = library.snapshot()
        hits = snapshot.search("what edition is the page of", limit=50)
        found = [snapshot.generation, sorted(hit.passage.text for hit in hits)]
        print(json.dumps(found), file=seen)
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "library"


def write_edition(docs: Path, edition: int) -> None:
    """Write ten files that all say which edition they are."""
    docs.mkdir(exist_ok=True)
    for page in range(10):
        (docs / f"page-{page}.md").write_text(f"# Page {page}\n\nIt is of edition {edition}.")


def ingest(home: Path, docs: Path, follow: Callable[[Progress], None] = lambda _: None) -> Report:
    library = Library(home, WordEmbedder())
    try:
        job = Job(library, WordEmbedder(), [InlineSandbox()], chunk_tokens=40)
        return job.run([docs], follow, Options())
    finally:
        library.close()


def test_a_reader_in_another_process_sees_whole_generations_only(
    home: Path, tmp_path: Path
) -> None:
    docs, running, found = (tmp_path / name for name in ("docs", "running", "found"))
    running.touch()
    write_edition(docs, 1)
    ingest(home, docs)
    reader = subprocess.Popen(
        [sys.executable, "-c", READER, str(home), str(running), str(found)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert reader.stdout is not None
    assert reader.stdout.readline() == "ready\n"
    for edition in range(2, 12):
        write_edition(docs, edition)
        ingest(home, docs)
    running.unlink()
    reader.communicate(timeout=60)
    seen = [json.loads(line) for line in found.read_text().splitlines()]

    assert reader.returncode == 0
    for generation, texts in seen:
        expected = [f"# Page {page}\n\nIt is of edition {generation}." for page in range(10)]
        assert texts == expected
    assert len({generation for generation, _ in seen}) > 2, "it did not see them come"


def test_a_second_ingest_is_refused_by_another_process_too(home: Path, tmp_path: Path) -> None:
    write_edition(tmp_path / "docs", 1)
    refusals: list[str] = []

    def try_another(progress: Progress) -> None:
        if progress.stage is Stage.PUBLISHING:
            child = subprocess.run(
                [sys.executable, "-c", SECOND, str(home), str(tmp_path / "docs")],
                capture_output=True,
                text=True,
                cwd=ROOT,
            )
            refusals.append(child.stderr)

    report = ingest(home, tmp_path / "docs", try_another)

    assert report.generation == 1
    assert "LibraryBusy: Another ingest is writing" in refusals[0]
    assert "Try again when it has ended." in refusals[0]


SECOND = """
import sys
from pathlib import Path
from tests.test_two_at_once import ingest
ingest(Path(sys.argv[1]), Path(sys.argv[2]))
"""


def test_the_right_to_write_ends_with_the_process_that_had_it(home: Path, tmp_path: Path) -> None:
    write_edition(tmp_path / "docs", 1)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(home)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(LibraryBusy, match="Another ingest"):
        ingest(home, tmp_path / "docs")
    os.kill(holder.pid, signal.SIGKILL)
    holder.communicate()

    assert ingest(home, tmp_path / "docs").generation == 1


HOLDER = """
import sys, time
from pathlib import Path
from retrieval import Library
from tests.stand_ins import WordEmbedder
with Library(Path(sys.argv[1]), WordEmbedder()).writing():
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("stage", [Stage.READING, Stage.PUBLISHING])
def test_what_is_withdrawn_during_an_ingest_stays_withdrawn(
    stage: Stage, home: Path, tmp_path: Path
) -> None:
    docs = tmp_path / "docs"
    write_edition(docs, 1)
    ingest(home, docs)
    write_edition(docs, 2)
    other = Library(home, WordEmbedder())
    old = next(d for d in other.documents() if d.path == "page-3.md")
    done = threading.Event()

    def withdraw(progress: Progress) -> None:
        if progress.stage is stage and not done.is_set():
            other.withdraw([old.id])
            done.set()

    report = ingest(home, docs, withdraw)

    assert done.is_set()
    assert report.generation == 3
    assert "page-3.md" not in [d.path for d in other.documents()]
    assert len(other.documents()) == 9
    assert other.standing(old.id) is Standing.WITHDRAWN
    assert not any("Page 3" in hit.passage.text for hit in other.search("page 3", limit=50))
    assert ingest(home, docs).generation == 3, "nor does the next ingest bring it back"
    other.close()
