"""What the judge reads off the states of a question and a passage, once it is trained."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf

from retrieval.types import Vectors


class Heads:
    """The heads that `network.Heads` trains, in plain arrays: they need no torch.

    Raises KeyError if one is missing among the tensors.
    """

    def __init__(self, trained: Mapping[str, NDArray[np.float16]]) -> None:
        mine = {n.removeprefix("heads."): t.astype(np.float32) for n, t in trained.items()}
        self._sentence = _two_layers(mine, "sentence")
        self._nothing = _two_layers(mine, "nothing")
        self._support = _two_layers(mine, "support")
        self._span = mine["span.weight"], mine["span.bias"]

    def sentences(self, marks: Vectors, means: Vectors) -> Vectors:
        """Return a logit a sentence that it answers, from the state of its mark and the mean of
        those of its tokens, both (sentences, size)."""
        return _through(self._sentence, np.concatenate([marks, means], axis=-1))[:, 0]

    def nothing(self, state: Vectors) -> Vectors:
        """Return the logit that no sentence answers, from the state of the whole."""
        return _through(self._nothing, state)

    def span(self, states: Vectors) -> Vectors:
        """Return a logit for each token to be the first and to be the last of what answers."""
        weight, bias = self._span
        ends: Vectors = states @ weight.T + bias
        return ends

    def support(self, state: Vectors) -> float:
        """Return the log odds that a claim is borne out, against partly or not."""
        logits = _through(self._support, state)
        return float(logits[-1] - np.logaddexp.reduce(logits[:-1]))


Layers = tuple[Vectors, Vectors, Vectors, Vectors]


def _two_layers(mine: Mapping[str, Vectors], name: str) -> Layers:
    first, second = f"{name}.0", f"{name}.2"
    return (
        mine[f"{first}.weight"],
        mine[f"{first}.bias"],
        mine[f"{second}.weight"],
        mine[f"{second}.bias"],
    )


def _through(layers: Layers, states: Vectors) -> Vectors:
    """Return two linear layers' outputs, with a GELU (Hendrycks and Gimpel, 2016) between."""
    weight, bias, second, last = layers
    hidden = states @ weight.T + bias
    hidden = 0.5 * hidden * (1 + erf(hidden / np.float32(np.sqrt(2))))
    outputs: Vectors = hidden @ second.T + last
    return outputs
