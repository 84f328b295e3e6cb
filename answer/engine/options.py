"""What can be asked of the model besides its most likely words."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """How to write.

    `temperature` 0 takes the most likely token each time; above, tokens are drawn from the
    fewest that hold `top_p` of the probability, the same ones for the same `seed`. Writing ends
    before any of the `stop` texts. `grammar` is GBNF whose root is called "root"; nothing else
    can be written then. With `logprobs` the usage has the log-probability of each token.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    grammar: str | None = None
    logprobs: bool = False


@dataclass(frozen=True, slots=True)
class Score:
    """How likely a text is after a prompt: the sum of its tokens' log-probabilities."""

    total: float
    tokens: int

    @property
    def mean(self) -> float:
        """The log-probability of a token."""
        return self.total / self.tokens
