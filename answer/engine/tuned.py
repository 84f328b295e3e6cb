"""How the model runs fastest on this machine: what `footnote tune` measured, and keeps.

It counts for one model, one machine and one build of llama.cpp; otherwise it is left aside.
"""

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from answer.engine.limits import EngineLimits
from answer.engine.machine import this_machine
from answer.engine.weights import AS_THEY_ARE, kept, sha256_of, sweep_made
from retrieval.files import write_durably

FILE = "tuning.json"
AGAIN = "Run `footnote tune` to measure again."

log = logging.getLogger("footnote")


class Setup(BaseModel):
    """What can be chosen: the format of the weights, and llama.cpp's own options."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    weights: Literal["source", "q8_0", "f16"] = "source"
    threads: int = Field(ge=1, le=1024)
    n_ubatch: int = Field(512, ge=1, le=65536)  # tokens of a prompt read at once
    flash_attn: bool = True
    kv_type: Literal["f16", "q8_0"] = "f16"

    def limits(self, limits: EngineLimits) -> EngineLimits:
        """Return limits with what is chosen here."""
        return replace(limits, **self.model_dump(exclude={"weights"}))

    @classmethod
    def of(cls, limits: EngineLimits) -> Self:
        """Return what limits ask for, with the weights as they are."""
        return cls(
            threads=limits.threads,
            n_ubatch=limits.n_ubatch,
            flash_attn=limits.flash_attn,
            kv_type=limits.kv_type,
        )


class Measured(BaseModel):
    """How fast a set-up was, in tokens a second, and how many of the texts were the same.

    `answer_s` is the time of a typical question; `same` is out of `texts`, against the weights as
    they are, run as without tuning.
    """

    setup: Setup
    read_per_s: float
    written_per_s: float
    answer_s: float
    same: int
    texts: int


class Tuning(BaseModel):
    """A choice, for whom it counts, and what it rests on."""

    model_config = ConfigDict(extra="forbid")

    version: Literal[1] = 1
    model: str
    model_sha256: str
    machine: dict[str, str | int]
    chosen: Setup
    weights_sha256: str | None = None  # of the file made for it, if any
    ratio: float  # of a typical question's time: without tuning, over with it
    measured: list[Measured] = []
    notes: list[str] = []

    def save(self, folder: Path) -> None:
        """Keep the choice, on disk when this returns, and let go of weights made for others; not of
        those of the choice before, which a running service needs if it must start its model again.
        """
        choices = [self, *filter(None, [read(folder)])]
        write_durably(folder / FILE, self.model_dump_json(indent=1).encode())
        sweep_made(folder, [kept(folder, t.model_sha256, t.chosen.weights) for t in choices])


@dataclass(frozen=True, slots=True)
class Applied:
    """What to run: a file of weights that was checked, the limits, and the source's SHA-256."""

    weights: Path
    limits: EngineLimits
    source_sha256: str | None = None
    tuning: Tuning | None = None


def apply(source: Path, folder: Path, limits: EngineLimits) -> Applied:
    """Return how to run a model: as was measured if that counts here, else as the limits say."""
    tuning = read(folder)
    if tuning is None:
        return Applied(source, limits)
    if tuning.machine != asdict(this_machine()):
        return _aside(source, limits, f"was measured on another machine or build. {AGAIN}")
    made = tuning.chosen.weights != AS_THEY_ARE
    file = kept(folder, tuning.model_sha256, tuning.chosen.weights) if made else source
    with ThreadPoolExecutor(2) as pool:  # both at once: hashing lets go of the interpreter
        digest, weights = pool.map(_digest, (source, file) if made else (source, None))
    if digest != tuning.model_sha256:
        return _aside(source, limits, f"is for another model, {tuning.model}. {AGAIN}")
    if made and weights != tuning.weights_sha256:
        what = "missing" if weights is None else "damaged"
        return _aside(source, limits, f"needs {file.name}, which is {what}. {AGAIN}", digest)
    return Applied(file, tuning.chosen.limits(limits), digest, tuning)


def read(folder: Path) -> Tuning | None:
    """Return what was measured, None if nothing was, or if it cannot be read, with a warning."""
    try:
        return Tuning.model_validate_json((folder / FILE).read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as problem:
        log.warning(
            "%s cannot be read (%s) and does not count. %s",
            folder / FILE,
            type(problem).__name__,
            AGAIN,
        )
        return None


def machine_now() -> dict[str, str | int]:
    """Return this machine as it is noted."""
    return asdict(this_machine())


def _digest(path: Path | None) -> str | None:
    try:
        return sha256_of(path) if path else None
    except OSError:
        return None


def _aside(source: Path, limits: EngineLimits, why: str, sha256: str | None = None) -> Applied:
    log.warning("%s does not count: it %s", FILE, why)
    return Applied(source, limits, sha256)
