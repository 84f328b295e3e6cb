"""Choosing the next token from the logits."""

import ctypes
from collections.abc import Callable
from typing import Any

import llama_cpp.llama_cpp as llama
import numpy as np

from answer.engine.context import Logits
from answer.engine.options import WriteOptions

CANDIDATE = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)], align=True)
"""llama.cpp's `llama_token_data`."""


class GrammarInvalid(Exception):
    """llama.cpp cannot parse a grammar."""


class Sampler:
    """Chooses tokens for one answer, in order; `close` it."""

    def __init__(self, options: WriteOptions, grammar: Callable[[str], Any]) -> None:
        self._temperature = options.temperature
        self._top_p = options.top_p
        self._random = np.random.default_rng(options.seed)
        self._grammar = None
        if options.grammar is not None:
            self._grammar = grammar(options.grammar)
            if self._grammar is None:
                raise GrammarInvalid("The grammar is not valid GBNF with a rule called root.")

    def pick(self, logits: Logits) -> int:
        """Return the next token; all tokens before must have been picked too."""
        token = self._draw(logits)
        if self._grammar is None:
            return token
        # Asking the grammar for one token is quick, for all of them slow.
        if not np.isfinite(self._allowed(logits, np.array([token]))[0]):
            token = self._draw(self._allowed(logits, np.arange(len(logits))))
        llama.llama_sampler_accept(self._grammar, token)
        return token

    def close(self) -> None:
        """Free the grammar."""
        if self._grammar is not None:
            llama.llama_sampler_free(self._grammar)
            self._grammar = None

    def _draw(self, logits: Logits) -> int:
        if self._temperature <= 0:
            return int(logits.argmax())
        order = np.argsort(-logits)
        likely = np.exp((logits[order] - logits[order[0]]) / self._temperature, dtype=np.float64)
        likely /= likely.sum()
        kept = int(np.searchsorted(likely.cumsum(), self._top_p)) + 1
        likely = likely[:kept] / likely[:kept].sum()
        return int(order[self._random.choice(len(likely), p=likely)])

    def _allowed(self, logits: Logits, tokens: Any) -> Logits:
        """Return the logits of tokens, minus infinity for those the grammar forbids."""
        candidates = np.zeros(len(tokens), CANDIDATE)
        candidates["id"], candidates["logit"] = tokens, logits[tokens]
        data = candidates.ctypes.data_as(llama.llama_token_data_p)
        array = llama.llama_token_data_array(data, len(tokens), -1, False)
        llama.llama_sampler_apply(self._grammar, ctypes.byref(array))
        masked: Logits = candidates["logit"].copy()
        return masked


def log_probability(logits: Logits, token: int) -> float:
    """Return the model's own log-probability of a token."""
    top = float(logits.max())
    return float(logits[token]) - top - float(np.log(np.exp(logits - top, dtype=np.float64).sum()))
