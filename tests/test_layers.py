"""The shape of the house: who may import whom, and that it is our house."""

import ast
import re
from pathlib import Path

import pytest

import web

ROOT = Path(__file__).parents[1]
PACKAGES = ("retrieval", "ingest", "answer", "web")
MAY_IMPORT = {
    "retrieval": {"retrieval"},
    "ingest": {"ingest", "retrieval"},
    "answer": {"answer", "retrieval"},
    "web": {"web", "ingest", "answer", "retrieval"},
}
FILES = sorted(p.relative_to(ROOT) for package in PACKAGES for p in (ROOT / package).rglob("*.py"))


def imported(path: Path) -> set[str]:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("path", FILES, ids=str)
def test_imports_only_point_down(path: Path) -> None:
    """web -> ingest, answer -> retrieval, never back or across."""
    ours = imported(path) & set(PACKAGES)

    assert ours <= MAY_IMPORT[path.parts[0]]


@pytest.mark.parametrize("path", FILES, ids=str)
def test_only_web_reads_the_environment_or_knows_http(path: Path) -> None:
    source = (ROOT / path).read_text(encoding="utf-8")
    if path.parts[0] == "web":
        return

    assert "getenv" not in source
    assert "environ[" not in source
    # Those are not ours: where programs are, and how many threads OpenMP is told to use.
    assert set(re.findall(r"environ\.get\((.+?),", source)) <= {'"PATH"', '"OMP_NUM_THREADS"'}
    assert not imported(path) & {"flask", "http", "werkzeug", "waitress", "click"}


@pytest.mark.parametrize("path", FILES, ids=str)
def test_nothing_is_unpickled(path: Path) -> None:
    assert not imported(path) & {"pickle", "shelve", "marshal", "dill", "joblib"}


def test_the_packages_are_ours_and_not_namesakes() -> None:
    assert web.__file__ is not None
    assert Path(web.__file__).is_relative_to(ROOT)
