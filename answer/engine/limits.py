"""How the model is run, how much it holds, and how long anyone waits for it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EngineLimits:
    """What one model process may use, and the times after which it is given up.

    `context_tokens` bounds one prompt and its answer, `cache_tokens` the prompts that are
    remembered, and half of it all that are being answered, if one fits there. `sequences` are
    written at once; `queue` more may wait, each for `queue_s`. `threads`, `n_ubatch`, `flash_attn`
    and `kv_type` ("f16" or "q8_0") are llama.cpp's own. `threads_alone` are those of a step with
    one token in it, None for what suits the size of the weights.
    """

    context_tokens: int = 4096
    cache_tokens: int = 8192
    sequences: int = 8
    threads: int = 2
    threads_alone: int | None = None
    n_ubatch: int = 512
    flash_attn: bool = True
    kv_type: str = "f16"
    queue: int = 64
    queue_s: float = 20.0
    start_s: float = 120.0  # loading
    silence_s: float = 2.0  # without a sign of life while there is work
    step_s: float = 30.0  # in one step, alive but stuck

    @property
    def cells(self) -> int:
        """Tokens that all who are being answered have together."""
        return max(self.cache_tokens // 2, self.context_tokens)
