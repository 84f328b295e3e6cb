"""Real parts, made once: the models, the library of the sample documents, a running service."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
# Each service of a test has a new library, and would begin by measuring the model.
os.environ.setdefault("FOOTNOTE_TUNE", "no")

from answer.engine import LlamaProcess
from answer.judge import Judge
from answer.model import find_model
from ingest import Job, Options, Report, Sandbox
from retrieval import Library, SentenceTransformerEmbedder
from web.settings import Settings

_MODELS = tempfile.TemporaryDirectory(prefix="footnote-models-")
MODELS = Path(_MODELS.name)
"""What a library keeps in `models`: the graphs of embedder and judge."""
JUDGE = Judge(MODELS / "judge")
"""The bundled judge, loaded once."""
ROOT = Path(__file__).parents[1]
CORPUS = ROOT / "corpus"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--every-fault", action="store_true", help="try all faults, not a selection")


@pytest.fixture(scope="session")
def embedder() -> SentenceTransformerEmbedder:
    """The bundled embedder."""
    return SentenceTransformerEmbedder(graphs=MODELS / "onnx")


@cache
def _written() -> Path:
    SentenceTransformerEmbedder(graphs=MODELS / "onnx").embed(["a word"])
    assert JUDGE.backend
    return MODELS


def with_graphs(home: Path) -> Path:
    """Put the models' graphs into a library's folder, as if it had been used before: to write them
    takes each first command seconds. They are never written over, so links will do."""
    if not (home / "models").exists():
        shutil.copytree(_written(), home / "models", copy_function=_link)
    return home


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copyfile(source, target)


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    """A child that reads files."""
    with Sandbox() as child:
        child.protections()  # started by this thread, it outlives those that a job starts
        yield child


class Shelf:
    """A library that documents can be put into."""

    def __init__(self, home: Path, embedder: SentenceTransformerEmbedder, sandbox: Sandbox) -> None:
        self.home = home
        self.embedder = embedder
        self.library = Library(home, embedder)
        self.job = Job(self.library, embedder, [sandbox], chunk_tokens=Settings().chunk_tokens)

    def ingest(self, *paths: Path, prune: bool = False, dry: bool = False) -> Report:
        return self.job.run(paths, lambda _: None, Options(prune=prune, dry=dry))


@pytest.fixture
def shelf(
    tmp_path: Path, embedder: SentenceTransformerEmbedder, sandbox: Sandbox
) -> Iterator[Shelf]:
    """An empty library: a real SQLite file and real FAISS segments."""
    shelf = Shelf(tmp_path / "library", embedder, sandbox)
    yield shelf
    shelf.library.close()


@pytest.fixture(scope="session")
def sample_shelf(
    tmp_path_factory: pytest.TempPathFactory,
    embedder: SentenceTransformerEmbedder,
    sandbox: Sandbox,
) -> Iterator[Shelf]:
    """The sample documents, ingested. Tests must not change it."""
    shelf = Shelf(tmp_path_factory.mktemp("sample") / "library", embedder, sandbox)
    report = shelf.ingest(CORPUS)
    assert report.complete, report.files
    yield shelf
    shelf.library.close()


@pytest.fixture(scope="session")
def model() -> Iterator[LlamaProcess]:
    """The bundled model in its process."""
    process = LlamaProcess(find_model(None))
    process.start()
    yield process
    process.close()


@pytest.fixture(scope="session")
def server_url(sample_shelf: Shelf) -> Iterator[str]:
    """A real `footnote serve` over the sample documents, on a free port."""
    with running_server(sample_shelf.home) as url:
        yield url


class running_server:  # noqa: N801 - reads as a verb in a with statement
    """A `footnote serve` process and its address; stopped, and its end checked, on exit.

    Without `graphs` it has to write those of its models first.
    """

    def __init__(self, home: Path, *, graphs: bool = True, **settings: str) -> None:
        self._home = with_graphs(home) if graphs else home
        self._settings = {f"FOOTNOTE_{name.upper()}": value for name, value in settings.items()}

    def __enter__(self) -> str:
        self.log = self._home.parent / "server.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "web.cli", "serve", "--port", "0", "--json"),
                    *("--home", str(self._home)),
                ],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=ROOT,
                env={**os.environ, **self._settings},
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.log.read_text()
        return str(json.loads(line)["url"])

    def __exit__(self, *_: object) -> None:
        assert self.process.stdout is not None
        self.process.terminate()
        self.process.wait(timeout=20)
        self.process.stdout.close()
