"""Finding out how the model runs fastest here, by running it.

One thing after the other is tried and kept if it helps: the format of the weights, the threads,
how much of a prompt is read at once, flash attention, the type of the cache. All of it together
would be hundreds of set-ups; what helps with one format rarely hurts with the next. The choice is
compared once more, in turns, with what there was before, and dropped if it is no faster.
"""

import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from answer.engine.limits import EngineLimits
from answer.engine.trial import WRITTEN, Trial, attempt, prompts
from answer.engine.tuned import Measured, Setup, Tuning, machine_now
from answer.engine.weights import (
    AS_THEY_ARE,
    MAKE_S,
    formats_for,
    kept,
    make,
    sha256_of,
    sweep_drafts,
)
from answer.errors import AnswerError

GAIN = 1.03
"""How much faster a set-up must be: what differs less may be chance."""
CLEAR_GAIN = 1.15  # from few prompts
PROMPTS = 4
GLANCE_PROMPTS = 2
GLANCE_WRITTEN = 16
GLANCE_BYTES = 256 << 20

log = logging.getLogger("footnote")
Follow = Callable[[str], object]
"""Told what is tried next."""
Choice = tuple[str, Sequence[Any]]
"""The name of something to choose, and its values."""
OPTIONS: tuple[Choice, ...] = (
    ("n_ubatch", (128, 256)),  # a typical prompt fits into the usual 512
    ("flash_attn", (False,)),
    ("kv_type", ("q8_0",)),
)


@dataclass(slots=True)
class Tuner:
    """Measures one model on this machine, and keeps files it makes in a folder.

    `count` prompts are answered with each set-up, with `written` tokens at most.
    """

    source: Path
    folder: Path
    limits: EngineLimits
    follow: Follow
    count: int = PROMPTS
    written: int = WRITTEN
    until: float = math.inf  # of time.monotonic(): what is not done by then is left out
    _made: dict[str, str] = field(default_factory=dict)  # format -> SHA-256
    _there: set[str] = field(default_factory=set)  # formats that a service may be running with
    _measured: list[Measured] = field(default_factory=list)
    _texts: tuple[str, ...] = ()
    _notes: list[str] = field(default_factory=list)
    _sha256: str = ""
    _before: Measured = field(init=False)

    def begin(self) -> None:
        """Measure what there is without tuning; AnswerError if the model does not run so."""
        sweep_drafts(self.folder)
        self._sha256 = sha256_of(self.source)
        self._before = self._measure(Setup.of(self.limits))

    def finish(self, choices: Sequence[Choice], *, gain: float = GAIN) -> Tuning:
        """Return the fastest set-up that was found; what cannot be run is noted."""
        best = self._before
        for name, values in choices:
            for value in values:
                if getattr(best.setup, name) != value:
                    setup = best.setup.model_copy(update={name: value})
                    best = self._better(best, setup, gain)
        self._tidy(best.setup.weights)
        return Tuning(
            model=self.source.stem,
            model_sha256=self._sha256,
            machine=machine_now(),
            chosen=best.setup,
            weights_sha256=self._made.get(best.setup.weights),
            ratio=round(self._before.answer_s / best.answer_s, 3),
            measured=self._measured,
            notes=self._notes,
        )

    def run(self, choices: Sequence[Choice]) -> Tuning:
        """Do both, then compare the choice once more with what was before, in turns."""
        self.begin()
        found = self.finish(choices)
        if found.chosen == self._before.setup:
            return found
        ratio = self._in_turns(self._before.setup, found.chosen)
        if ratio > 1:
            return found.model_copy(update={"ratio": round(ratio, 3)})
        self._tidy(AS_THEY_ARE)
        as_before = {"chosen": self._before.setup, "weights_sha256": None, "ratio": 1.0}
        return found.model_copy(update=as_before)

    def choices(self, cores: int, *, threads: bool) -> list[Choice]:
        """Return all that is worth trying; threads only if they were not set by the operator."""
        formats, notes = formats_for(self.source, self.folder)
        self._notes += notes
        return [
            ("weights", formats),
            ("threads", _threads(cores) if threads else ()),
            *OPTIONS,
        ]

    def _better(self, best: Measured, setup: Setup, gain: float) -> Measured:
        try:
            found = self._measure(setup)
        except AnswerError as problem:
            self._notes.append(f"{describe(setup)}: {problem}")
            return best
        # The one choice that rounds what is kept, so that speed alone does not decide.
        worse = setup.kv_type != best.setup.kv_type and found.same < best.same
        return found if found.answer_s * gain < best.answer_s and not worse else best

    def _measure(self, setup: Setup) -> Measured:
        self.follow(describe(setup))
        trial = self._attempt(setup)
        self._texts = self._texts or trial.texts
        found = Measured(
            setup=setup,
            read_per_s=round(trial.read_per_s, 1),
            written_per_s=round(trial.written_per_s, 1),
            answer_s=round(trial.answer_s, 3),
            same=sum(a == b for a, b in zip(trial.texts, self._texts, strict=True)),
            texts=len(trial.texts),
        )
        self._measured.append(found)
        return found

    def _attempt(self, setup: Setup) -> Trial:
        asked = prompts(self.count)
        left_s = None if math.isinf(self.until) else self.until - time.monotonic()
        limits = setup.limits(self.limits)
        return attempt(self._weights(setup), limits, asked, written=self.written, most_s=left_s)

    def _weights(self, setup: Setup) -> Path:
        """Return the file with the weights of a set-up, made if need be."""
        name = setup.weights
        if name == AS_THEY_ARE:
            return self.source
        path = kept(self.folder, self._sha256, name)
        if name not in self._made:
            if path.exists():
                self._there.add(name)
            most_s = min(MAKE_S, self.until - time.monotonic())
            self._made[name] = make(self.source, path, name, self.limits.threads, most_s)
        return path

    def _in_turns(self, before: Setup, after: Setup) -> float:
        """Return how many times as fast the one is as the other, the best of two each."""
        self.follow("once more, in turns")
        times: dict[Setup, list[float]] = {before: [], after: []}
        for setup in (after, before, after, before):
            times[setup].append(self._attempt(setup).answer_s)
        return min(times[before]) / min(times[after])

    def _tidy(self, chosen: str) -> None:
        """Delete what this run made and does not use."""
        for name in self._made.keys() - self._there:
            if name != chosen:
                kept(self.folder, self._sha256, name).unlink(missing_ok=True)


def glance(source: Path, folder: Path, limits: EngineLimits, most_s: float) -> Tuning | None:
    """Return the fastest format of the weights, of those that were tried in so many seconds.

    The first start of a service can spare that; the rest is for `footnote tune`. None if the model
    is so large that it would take longer.
    """
    if source.stat().st_size > GLANCE_BYTES:
        return None
    until = time.monotonic() + most_s
    tuner = Tuner(source, folder, limits, log.debug, GLANCE_PROMPTS, GLANCE_WRITTEN, until)
    try:
        tuner.begin()
        formats, _ = formats_for(source, folder, until - time.monotonic())
    except AnswerError:
        return as_it_is(source, limits, "there was no time to tell at the first start")
    return tuner.finish([("weights", formats)], gain=CLEAR_GAIN)


def as_it_is(source: Path, limits: EngineLimits, note: str) -> Tuning:
    """Return the choice to leave all as it is, and why."""
    return Tuning(
        model=source.stem,
        model_sha256=sha256_of(source),
        machine=machine_now(),
        chosen=Setup.of(limits),
        ratio=1.0,
        notes=[note],
    )


def describe(setup: Setup) -> str:
    """Return a set-up in words."""
    weights = (
        "weights as they are" if setup.weights == AS_THEY_ARE else f"weights as {setup.weights}"
    )
    threads = f"{setup.threads} thread{'s' if setup.threads > 1 else ''}"
    flash = "" if setup.flash_attn else ", no flash attention"
    cache = "" if setup.kv_type == "f16" else f", cache in {setup.kv_type}"
    return f"{weights}, {threads}, {setup.n_ubatch} tokens at once{flash}{cache}"


def _threads(cores: int) -> list[int]:
    """Return numbers of threads worth trying: the powers of two, half of the cores, and all."""
    powers = {2**n for n in range(8) if 2**n <= cores}
    return sorted(powers | {max(1, cores // 2), cores})
