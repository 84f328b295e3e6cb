"""Writing a torch transformer as the graph that ONNX Runtime runs.

sentence-transformers' own way to do so needs optimum-onnx, which cannot be installed beside the
transformers that sentence-transformers needs.
"""

import io
import warnings
from typing import Any, cast

import torch

from retrieval.onnx import STATES, Given

OPSET = 18


def exported(transformer: torch.nn.Module, tokens: Given) -> bytes:
    """Return the graph of a transformer's last hidden states; `tokens` are an example of what it
    is given, texts of unlike lengths."""
    given = {name: torch.from_numpy(array) for name, array in tokens.items()}
    graph = io.BytesIO()
    with warnings.catch_warnings(), torch.inference_mode():
        # It calls itself old, and says of each branch that it is traced one way. The newer exporter
        # needs more packages; whether a branch was traced wrongly, the numbers tell.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            _States(transformer.eval(), list(given)),
            tuple(given.values()),
            cast(Any, graph),
            input_names=list(given),
            output_names=[STATES],
            dynamic_axes={name: {0: "text", 1: "token"} for name in [*given, STATES]},
            opset_version=OPSET,
            dynamo=False,
        )
    return graph.getvalue()


class _States(torch.nn.Module):
    """A transformer with tensors in a row and one tensor out, which is what a graph has."""

    def __init__(self, transformer: torch.nn.Module, names: list[str]) -> None:
        super().__init__()
        self._transformer = transformer
        self._names = names

    def forward(self, *given: torch.Tensor) -> Any:
        named = dict(zip(self._names, given, strict=True))
        return self._transformer(**named)[STATES]
