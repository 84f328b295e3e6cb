"""Continuous batching: many requests in one context, joining and leaving between steps.

A step is one call of llama.cpp. Everybody who is being written to has a token in it, and what
room its time leaves goes to prompts being read, so that a long one stalls nobody.
"""

import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from answer.engine.context import BATCH_TOKENS, Context, DecodeFailed, Logits, Row
from answer.engine.drafts import Gain
from answer.engine.figures import Figures
from answer.engine.jobs import Job
from answer.engine.limits import EngineLimits
from answer.engine.prefixes import Prefixes

STEP_S = 0.12
"""Time a step should take: writers wait this long for a token while others' prompts are read, and
who leaves is heard between steps."""
LEAST_READ = 16
"""Tokens of prompts in any step: fewer cost nearly as much."""


@dataclass(frozen=True, slots=True)
class Part:
    """What one job has in a step: tokens from its next position on."""

    job: Job
    tokens: list[int]

    @property
    def reads(self) -> bool:
        """Whether the tokens are of the prompt."""
        return self.job.unread > 0

    def rows(self) -> Iterator[Row]:
        """Yield them as the context takes them."""
        job, reads = self.job, self.reads
        if job.sequence is None:
            raise ValueError("a job without a sequence has no part in a step")
        for position, token in enumerate(self.tokens, start=job.read):
            yield Row(token, position, job.sequence, job.wants(position) if reads else True)


@dataclass(slots=True)
class Pace:
    """How many tokens a step may hold to take about STEP_S, learnt from the steps before."""

    tokens_per_s: float = 200.0

    @property
    def tokens(self) -> int:
        """The tokens for the next step."""
        return max(LEAST_READ, min(BATCH_TOKENS, int(self.tokens_per_s * STEP_S)))

    def learn(self, tokens: int, took_s: float) -> None:
        """Take a step into account; a few tokens say nothing of how long many would take."""
        if tokens >= LEAST_READ:
            self.tokens_per_s += 0.3 * (tokens / took_s - self.tokens_per_s)


class Batching:
    """Jobs that wait and jobs that are at work; `step` until it is no longer `busy`."""

    def __init__(self, context: Context, limits: EngineLimits) -> None:
        self.waiting: deque[Job] = deque()
        self.working: list[Job] = []
        self.figures = Figures()
        self._context = context
        self._pace = Pace()
        self._gain = Gain(always=not context.alike)
        self._free = list(range(limits.sequences))
        self._prefixes = Prefixes(context, limits.cache_tokens)

    @property
    def busy(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.waiting or self.working)

    def add(self, job: Job) -> None:
        """Put a job behind those that wait."""
        self.waiting.append(job)

    def cancel(self, number: int) -> None:
        """Let go of a job, wherever it is, and say so."""
        for job in [*self.waiting, *self.working]:
            if job.number == number:
                self._leave(job)
                job.send({"id": number, "gone": True})

    def step(self) -> None:
        """Let waiting jobs in, and give each at work its part of one call of llama.cpp."""
        self._admit()
        parts = self._compose()
        rows = [row for part in parts for row in part.rows()]
        reads = any(part.reads for part in parts)
        began = time.perf_counter()
        try:
            logits = self._context.decode(rows)
            self._distribute(parts, logits)
        except DecodeFailed as problem:
            self.fail(str(problem))
            return  # what was refused says nothing of how long a step takes
        took_s = time.perf_counter() - began
        (self._pace if reads else self._gain).learn(len(rows), took_s)
        self.figures.steps += 1
        self.figures.joined += len(parts)
        self.figures.busy_s += took_s

    def _admit(self) -> None:
        """Let jobs in, first come, while there are sequences, and cells for all they may need."""
        while self.waiting and self._free:
            job = self.waiting[0]
            if job.cells + sum(other.cells for other in self.working) > self._context.cells:
                return
            job.sequence = self._free.pop()
            self.working.append(self.waiting.popleft())
            job.send({"id": job.number, "started": True})
            self._attach(job)

    def _compose(self) -> list[Part]:
        """Return the parts of the next step."""
        writers = [job for job in self.working if not job.unread]
        readers = [job for job in self.working if job.unread]
        parts = self._writing(writers, drafts=not readers)
        rows = wanted = sum(len(part.tokens) for part in parts)
        for job, share in _shares(readers, max(LEAST_READ, self._pace.tokens - rows)):
            if job.read == job.cached:
                self._attach(job)  # others may have read the same meanwhile
            room = self._context.sequences - wanted  # for logits
            count = min(share, job.unread, BATCH_TOKENS - rows)
            if job.scored:
                count = min(count, room)
            if count > 0 and room > 0:
                parts.append(Part(job, job.prompt[job.read : job.read + count]))
                rows += count
                wanted += count if job.scored else 1
        return parts

    def _writing(self, writers: list[Job], *, drafts: bool) -> list[Part]:
        """Return the parts of those who are written to, with what may come next if that pays."""
        guesses: list[list[int]] = [[] for _ in writers]
        if drafts and self._context.shares:  # else nothing can be taken back
            room = (self._context.sequences - len(writers)) // max(1, len(writers))
            found = [job.draft.guess(min(room, job.left - 1)) for job in writers]
            if self._gain.pays(len(writers), sum(map(len, found))):
                guesses = found
        return [
            Part(job, [job.written[-1], *guess])
            for job, guess in zip(writers, guesses, strict=True)
        ]

    def _distribute(self, parts: list[Part], logits: Logits) -> None:
        at = 0
        for part in parts:
            stop = at + sum(row.wanted for row in part.rows())
            have = self._have_read if part.reads else self._have_written
            have(part, logits[at:stop])
            at = stop

    def _have_read(self, part: Part, logits: Logits) -> None:
        job = part.job
        start, job.read = job.read, job.read + len(part.tokens)
        self.figures.read += len(part.tokens)
        if job.scored:
            first = max(start + 1, len(job.prompt) - job.scored)
            for position, line in enumerate(logits, start=first):
                job.score(position, line)
        if job.unread:
            return
        self.figures.cached += job.cached
        self._keep(job)
        if job.max_tokens:
            self._take(job, logits[0])
        else:
            self._complete(job, ended=True)

    def _have_written(self, part: Part, logits: Logits) -> None:
        """Choose a job's next token, and those after it as long as what was guessed is chosen."""
        job, guess = part.job, part.tokens[1:]
        before, stop = len(job.written), job.read + len(part.tokens)
        for line, guessed in zip(logits, [*guess, None], strict=True):
            job.read += 1
            self._take(job, line)
            if job.sequence is None or job.written[-1] != guessed:
                break
        if not guess:
            return
        right = sum(a == b for a, b in zip(guess, job.written[before:], strict=False))
        self._gain.tell(len(guess), right)
        self.figures.guessed += len(guess)
        self.figures.right += right
        if job.sequence is not None:
            self._context.forget(job.sequence, job.read, stop)

    def _take(self, job: Job, logits: Logits) -> None:
        """Choose a job's next token, and let the job go if that is its last."""
        token = job.sampler.pick(logits)
        ended = self._context.ends(token)
        if not ended:
            self.figures.written += 1
            job.add(token, logits)
            job.say(job.text.add(self._context.piece(token)))
            ended = job.text.stopped
        if ended or not job.left:
            self._complete(job, ended=ended)

    def _complete(self, job: Job, *, ended: bool) -> None:
        self._leave(job)
        job.finish(ended=ended)

    def _attach(self, job: Job) -> None:
        """Give a job what was read before, save the last token before what is asked for."""
        if job.sequence is None:
            raise ValueError("a job needs a sequence to read into")
        known = job.prompt[: len(job.prompt) - job.scored - 1] if self._context.shares else []
        if self._prefixes.common(known) > job.cached:
            self._context.drop(job.sequence)
            job.read = job.cached = self._prefixes.attach(known, job.sequence)

    def _keep(self, job: Job) -> None:
        """Keep what a job has read for those who come after."""
        if job.sequence is not None and self._context.shares:
            self._prefixes.keep(job.prompt, job.sequence)

    def _leave(self, job: Job) -> None:
        """Take a job out and free its cells at once."""
        if job.sequence is not None:
            self._context.drop(job.sequence)
            self._free.append(job.sequence)
            job.sequence = None
        job.sampler.close()
        for jobs in (self.waiting, self.working):
            if job in jobs:
                jobs.remove(job)

    def fail(self, detail: str) -> None:
        """Give up all at work: what llama.cpp's memory holds is not known any more."""
        for job in list(self.working):
            self._leave(job)
            job.send({"id": job.number, "error": "failed", "detail": detail})
        self._context.clear()


def _shares(readers: list[Job], tokens: int) -> Iterator[tuple[Job, int]]:
    """Share out a step's room: half to who came first, half to who has least left, then the rest.

    So a long prompt is read on and on, and a short one need not wait for its end.
    """
    if not readers:
        return
    first, shortest = readers[0], min(readers, key=lambda job: job.unread)
    kept = 0 if shortest is first else min(first.unread, tokens // 2)
    for job in dict.fromkeys([shortest, first, *readers]):
        share = min(job.unread, tokens - (kept if job is shortest else 0))
        yield job, share
        tokens -= share
