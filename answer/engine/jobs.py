"""A request on its way through the engine."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from answer.engine.context import Logits
from answer.engine.drafts import Draft
from answer.engine.sampling import Sampler, log_probability
from answer.engine.text import Text

Reply = dict[str, Any]


@dataclass(slots=True, eq=False)
class Job:
    """A prompt that is read, and then written after or scored.

    The last `scored` tokens of the prompt are a text whose likelihood is asked for.
    """

    number: int
    prompt: list[int]
    max_tokens: int
    sampler: Sampler
    text: Text
    send: Callable[[Reply], None]
    logprobs: bool = False
    scored: int = 0
    sequence: int | None = None
    read: int = 0
    cached: int = 0
    written: list[int] = field(default_factory=list)
    likelihoods: list[float] = field(default_factory=list)
    draft: Draft = field(init=False)

    def __post_init__(self) -> None:
        """Look through the prompt, in the thread that made the job."""
        self.draft = Draft(self.prompt if self.max_tokens else ())

    @property
    def cells(self) -> int:
        """What the job has or may still need of the model's memory."""
        return len(self.prompt) + self.max_tokens

    @property
    def unread(self) -> int:
        """Tokens of the prompt that are still to be read."""
        return max(0, len(self.prompt) - self.read)

    @property
    def left(self) -> int:
        """Tokens that may still be written."""
        return self.max_tokens - len(self.written)

    def wants(self, position: int) -> bool:
        """Whether the logits after a token of the prompt are needed."""
        if self.scored:
            first = len(self.prompt) - self.scored
            return first <= position + 1 < len(self.prompt)
        return self.max_tokens > 0 and position + 1 == len(self.prompt)

    def score(self, position: int, logits: Logits) -> None:
        """Note how likely the token of the prompt at a position is."""
        self.likelihoods.append(log_probability(logits, self.prompt[position]))

    def add(self, token: int, logits: Logits) -> None:
        """Note a token that was chosen, and how likely it was if that is asked for."""
        self.written.append(token)
        self.draft.add(token)
        if self.logprobs:
            self.likelihoods.append(log_probability(logits, token))

    def say(self, text: str) -> None:
        """Send a bit of the answer."""
        if text:
            self.send({"id": self.number, "piece": text})

    def finish(self, *, ended: bool) -> None:
        """Send the last of the answer, or the score, with what it took."""
        self.say(self.text.finish())
        usage = {
            "prompt": len(self.prompt),
            "cached": self.cached,
            "completion": len(self.written),
            "cut_short": not ended,
            "logprobs": self.likelihoods if self.logprobs else [],
        }
        score = {"score": sum(self.likelihoods), "scored": self.scored} if self.scored else {}
        self.send({"id": self.number, "usage": usage, **score})
