"""The one seam to llama.cpp: a model, its vocabulary, and the memory that sequences lie in."""

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import llama_cpp.llama_cpp as llama
import numpy as np
from numpy.typing import NDArray

from answer.engine.limits import EngineLimits
from answer.engine.offload import offers, uses_gpus
from answer.engine.prefixes import State

Logits: TypeAlias = NDArray[np.float32]

SEQUENCE_IDS = 64
"""Sequences at most; each has a row in the buffer of logits."""
BATCH_TOKENS = 512
KV_TYPES = {"f16": llama.GGML_TYPE_F16, "q8_0": llama.GGML_TYPE_Q8_0}
LONGEST_PIECE = 256  # bytes of a token
WORTH_THREADS = 512 * 1024 * 1024
"""Bytes of weights from which on several threads read a single token.

They meet after each operation, which for 98 MB costs a third more processor time; and llama.cpp
adds up otherwise then, so that a text written alone and in a batch may differ. See docs/engine.md.
"""


class Unusable(Exception):
    """The model file cannot serve; the text says why."""


class DecodeFailed(Exception):
    """llama.cpp refused a batch; what its memory holds is not known any more."""


@dataclass(frozen=True, slots=True)
class Row:
    """A token at a position of a sequence; `wanted` is whether what follows it is asked for."""

    token: int
    position: int
    sequence: int
    wanted: bool


class Context:
    """A loaded model. Only one thread may use it, save for `tokenize`."""

    def __init__(self, path: str, limits: EngineLimits) -> None:
        self.cells = limits.cells
        self.sequences = SEQUENCE_IDS
        self._load(path, limits)
        self._vocab: Any = llama.llama_model_get_vocab(self._model)
        self._memory = llama.llama_get_memory(self._context)
        self._batch = llama.llama_batch_init(BATCH_TOKENS, 0, 1)
        self._buffer = ctypes.create_string_buffer(LONGEST_PIECE)
        self.vocabulary = int(llama.llama_vocab_n_tokens(self._vocab))
        # A recurrent state is one number for all that was read: no part of it can be shared.
        recurrent = llama.llama_model_is_recurrent(self._model)
        self.shares = not (recurrent or llama.llama_model_is_hybrid(self._model))

    @property
    def alike(self) -> bool:
        """Whether a single token is read just as several are, to the last bit or nearly so."""
        return int(llama.llama_n_threads(self._context)) == 1 and not uses_gpus()

    @property
    def parameters(self) -> int:
        """How many the model has."""
        return int(llama.llama_model_n_params(self._model))

    def metadata(self, key: str) -> str:
        """Return what the model's file says under a key; an empty text if nothing."""
        size = llama.llama_model_meta_val_str(self._model, key.encode(), None, 0)
        if size < 0:
            return ""
        buffer = ctypes.create_string_buffer(size + 1)
        llama.llama_model_meta_val_str(self._model, key.encode(), buffer, size + 1)
        return buffer.value.decode("utf-8", "replace")

    def special(self, name: str) -> str:
        """Return the text of the token called "bos" or "eos"; empty if the model has none."""
        token = getattr(llama, f"llama_vocab_{name}")(self._vocab)
        return self.piece(token, special=True).decode("utf-8", "replace") if token >= 0 else ""

    def tokenize(self, text: str, *, begin: bool = False, special: bool = False) -> list[int]:
        """Return a text's tokens, with the model's own mark of the beginning if it has one.

        With `special` the marks of a chat's turns count as what they mean.
        """
        data = text.encode("utf-8", "replace")
        room = len(data) + 8
        tokens = (llama.llama_token * room)()
        count = llama.llama_tokenize(self._vocab, data, len(data), tokens, room, begin, special)
        if count < 0:
            raise ValueError("llama.cpp made more tokens than the text has bytes")
        return list(tokens[:count])

    def piece(self, token: int, *, special: bool = False) -> bytes:
        """Return the bytes of a token, which may be part of a character."""
        size = llama.llama_token_to_piece(
            self._vocab, token, self._buffer, LONGEST_PIECE, 0, special
        )
        return self._buffer.raw[: max(0, size)]

    def ends(self, token: int) -> bool:
        """Whether a token ends the answer."""
        return bool(llama.llama_vocab_is_eog(self._vocab, token))

    def grammar(self, text: str) -> Any:
        """Return llama.cpp's sampler of a grammar, None if it cannot be parsed."""
        return llama.llama_sampler_init_grammar(self._vocab, text.encode(), b"root") or None

    def decode(self, rows: Sequence[Row]) -> Logits:
        """Read rows; return a line of logits for each that is wanted, valid until the next call."""
        if not 0 < len(rows) <= BATCH_TOKENS:
            raise ValueError(f"a batch has 1 to {BATCH_TOKENS} rows, not {len(rows)}")
        batch = self._batch
        batch.n_tokens = len(rows)
        for at, row in enumerate(rows):
            self._check(row.sequence, row.position, row.position + 1)
            batch.token[at], batch.pos[at] = row.token, row.position
            batch.n_seq_id[at], batch.seq_id[at][0] = 1, row.sequence
            batch.logits[at] = row.wanted
        code = llama.llama_decode(self._context, batch)
        if code:
            raise DecodeFailed(f"llama.cpp refused a batch of {len(rows)} tokens (code {code})")
        wanted = sum(row.wanted for row in rows)
        if not wanted:
            return np.empty((0, self.vocabulary), np.float32)
        found = llama.llama_get_logits(self._context)
        return np.ctypeslib.as_array(found, (wanted, self.vocabulary))

    def save(self, sequence: int) -> State:
        """Return a copy of a sequence, outside of the cells."""
        self._check(sequence, 0, 0)
        size = int(llama.llama_state_seq_get_size(self._context, sequence))
        state = np.empty(size, np.uint8)
        if llama.llama_state_seq_get_data(self._context, _bytes(state), size, sequence) != size:
            raise DecodeFailed("llama.cpp cannot copy a sequence")
        return state

    def restore(self, state: State, sequence: int) -> bool:
        """Fill an empty sequence with a copy; False, and it stays empty, if there is no room."""
        self._check(sequence, 0, 0)
        size = state.size
        return bool(
            llama.llama_state_seq_set_data(self._context, _bytes(state), size, sequence) == size
        )

    def forget(self, sequence: int, start: int, stop: int) -> None:
        """Take positions start to stop from a sequence; cells nobody has any more are free."""
        self._check(sequence, start, stop)
        if start < stop and not llama.llama_memory_seq_rm(self._memory, sequence, start, stop):
            raise DecodeFailed("llama.cpp cannot take back part of a sequence")

    def drop(self, sequence: int) -> None:
        """Empty a sequence."""
        self._check(sequence, 0, 0)
        llama.llama_memory_seq_rm(self._memory, sequence, -1, -1)

    def clear(self) -> None:
        """Empty all sequences."""
        llama.llama_memory_clear(self._memory, False)

    def _check(self, sequence: int, start: int, stop: int) -> None:
        # To llama.cpp a negative number means "all" or "to the end": never by mistake.
        if not 0 <= sequence < self.sequences:
            raise ValueError(f"there is no sequence {sequence}")
        if not 0 <= start <= stop <= self.cells:
            raise ValueError(f"positions {start} to {stop} are no range of {self.cells} cells")

    def _load(self, path: str, limits: EngineLimits) -> None:
        """Load the model and make room for it, with as many layers on a GPU as fit there."""
        problem = "llama.cpp cannot load it. Is it damaged, or of a new kind?"
        for layers in offers(path):
            params = llama.llama_model_default_params()
            params.n_gpu_layers = layers
            self._model = llama.llama_model_load_from_file(path.encode(), params)
            if not self._model:
                continue
            self._context = llama.llama_init_from_model(self._model, self._params(limits))
            if self._context:
                self.gpu_layers = layers
                """Layers that a GPU has."""
                return
            llama.llama_model_free(self._model)
            problem = "llama.cpp has no memory for it. Lower FOOTNOTE_CACHE_TOKENS."
        raise Unusable(problem)

    def _threads_alone(self, threads: int) -> int:
        return threads if llama.llama_model_size(self._model) >= WORTH_THREADS else 1

    def _params(self, limits: EngineLimits) -> Any:
        params = llama.llama_context_default_params()
        params.n_ctx = self.cells
        params.n_batch = BATCH_TOKENS
        params.n_ubatch = limits.n_ubatch
        params.n_seq_max = params.n_outputs_max = self.sequences
        params.n_threads_batch = limits.threads
        params.n_threads = limits.threads_alone or self._threads_alone(limits.threads)
        params.flash_attn_type = (
            llama.LLAMA_FLASH_ATTN_TYPE_ENABLED
            if limits.flash_attn
            else llama.LLAMA_FLASH_ATTN_TYPE_DISABLED
        )
        params.type_k = params.type_v = KV_TYPES[limits.kv_type]
        # One pool of cells for all, so that a long prompt may have what short ones leave.
        params.kv_unified = True
        params.no_perf = True
        return params


def _bytes(state: State) -> Any:
    return state.ctypes.data_as(ctypes.POINTER(ctypes.c_uint8))
