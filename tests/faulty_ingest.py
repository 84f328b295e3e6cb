"""Runs what changes a library once for each thing that can go wrong on the disk, and looks.

    LD_PRELOAD=faults.so python -m tests.faulty_ingest FOLDER STEP [--all]

It imports once and forks for each trial; a thousand processes that start from nothing would
take an hour. The last line it prints is the result as JSON.
"""

import json
import os
import random
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from zipfile import ZipFile

import ingest.job
import retrieval.segments
from ingest import IngestError, Job, Options
from retrieval import Library
from retrieval.errors import RetrievalError
from tests.contents import Contents, contents, faults, leftovers
from tests.faults import DEADLY, LASTING, Kind, Op, Operation, Shim
from tests.power_loss import Disk, lay
from tests.stand_ins import InlineSandbox, WordEmbedder

ingest.job.STAGE_AT_ONCE = 3  # several stages to consolidate,
retrieval.segments.FEW_SEGMENTS = 1  # a merge as soon as there are two segments,
ingest.job.AHEAD = 1  # and each run does the same things in the same order,
ingest.job.RECORD_EVERY_S = 3600  # however long it takes

PATIENCE_S = 60


@dataclass(frozen=True, slots=True)
class Step:
    """Something that changes a library. `again` tells that doing it twice changes no more."""

    act: Callable[[Library, Path], object]
    again: bool = True
    docs: str = "docs-2"


def _ingest(library: Library, base: Path) -> object:
    job = Job(library, WordEmbedder(), [InlineSandbox()], chunk_tokens=40)
    return job.run([base / "docs"], lambda _: None, Options(prune=True))


def _receive(library: Library, base: Path) -> object:
    with (base / "upload.txt").open("rb") as file:
        return library.receive("upload.txt", file)


def _document_at(library: Library, path: str) -> list[str]:
    return [f.document_id for f in library.ledger.files() if f.path == path and f.document_id]


STEPS = {
    "first ingest": Step(_ingest, docs="docs-1"),
    "upload": Step(_receive, docs="docs-1"),
    "second ingest": Step(_ingest),
    "withdraw": Step(lambda library, _: library.withdraw(_document_at(library, "fees.md"))),
    "restore": Step(lambda library, _: library.restore(_document_at(library, "fees.md")), False),
    "rollback": Step(lambda library, _: library.rollback(1), False),
    "erase": Step(
        lambda library, _: library.withdraw(_document_at(library, "fees.md"), erase=True)
    ),
}


def lay_out(base: Path) -> None:
    """Write the documents, before and after they are changed, and what is uploaded."""
    first, second = base / "docs-1", base / "docs-2"
    (second / "archive").mkdir(parents=True)
    first.mkdir()
    fees = "# Fees\n\n{}\n\n## Late\n\nWho is late pays {} more.\n\n## Cats\n\nCats are free."
    (first / "fees.md").write_text(fees.format("The dog fee is £10.", "£1"))
    (second / "fees.md").write_text(fees.format("The dog fee is £12.", "£2"))
    lift = "\n\n".join(f"The lift of house {n} is repaired by firm {n}, " * 3 for n in range(9))
    (first / "lift.txt").write_text(lift)
    (second / "lift.txt").write_text(lift)
    (first / "pool.txt").write_text("The pool opens at noon.")
    garden = "# Garden\n\nApples may be picked in autumn.\n\n## Tools\n\nThe spade is in the shed."
    (first / "garden.md").write_text(garden)
    (second / "archive" / "garden.md").write_text(garden)
    (second / "bikes.txt").write_text("Bikes are kept in the cellar. Apples are not.")
    (base / "upload.txt").write_text("The laundry costs £3.")
    for folder in (first, second):
        with ZipFile(folder / "box.zip", "w") as box:
            box.writestr("note.txt", "The key is with the neighbour.")
            box.writestr("keys.md", "# Keys\n\nThere are three keys.")
    time.sleep(2.1)  # only then are the times of files trusted


@dataclass
class Bench:
    """A folder in which a step is tried again and again from the same state."""

    base: Path
    shim: Shim
    disk: Path = field(init=False)
    home: Path = field(init=False)
    before: Path = field(init=False)
    log: Path = field(init=False)

    def __post_init__(self) -> None:
        self.disk, self.before = self.base / "disk", self.base / "before"
        self.home = self.disk / "library"
        self.disk.mkdir()
        self.log = self.base / "log"

    def arrive_at(self, name: str) -> Step:
        """Do all steps before, and keep what the folder then holds."""
        for other, step in STEPS.items():
            self._show(step.docs)
            if other == name:
                break
            self.do(step)
        shutil.copytree(self.disk, self.before)
        return step

    def reset(self) -> None:
        """Make the library what it was before the step."""
        shutil.rmtree(self.disk)
        shutil.copytree(self.before, self.disk)

    def do(self, step: Step) -> None:
        """Take a step in a library that is opened and closed."""
        library = Library(self.home, WordEmbedder())
        try:
            step.act(library, self.base)
        finally:
            library.close()

    def look(self) -> tuple[Contents, list[str], list[str]]:
        """Return what the library holds, what is damaged, and what is left over."""
        library = Library(self.home, WordEmbedder())
        try:
            return contents(library), faults(library), leftovers(library)
        finally:
            library.close()

    def record(self, step: Step) -> tuple[Disk, list[Operation]]:
        """Take a step undisturbed; return the disk as it was, and what was done to files."""
        self.reset()
        disk = Disk(self.disk)
        descriptor = os.open(self.log, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        self.shim.arm(self.disk, log=descriptor)
        self.do(step)
        self.shim.disarm()
        os.close(descriptor)
        return disk, list(self.shim.read(self.log))

    def _show(self, docs: str) -> None:
        """Put a version of the documents where they are read from."""
        link = self.base / "docs"
        if link.exists() and not (self.base / docs).exists():
            return
        if link.exists():
            link.rename(self.base / "docs-1")
        (self.base / docs).rename(link)


@dataclass
class Child:
    """A process that takes a step with a fault, says how it went, and waits for a word."""

    bench: Bench
    step: Step

    def start(self, kind: Kind, at: int) -> None:
        said, self._say = os.pipe()
        told, tell = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            signal.alarm(PATIENCE_S)
            os.close(tell)
            self._run(kind, at, told)
            os._exit(0)
        os.close(self._say)
        os.close(told)
        self._said = os.fdopen(said)
        self._tell = tell

    def hear(self) -> str:
        """Return how it went: `done`, the error, or nothing if it was killed."""
        return self._said.readline().strip()

    def go_on(self) -> None:
        os.write(self._tell, b"x")

    def end(self) -> int:
        """Return the signal it was ended with, or 0."""
        self._said.close()
        os.close(self._tell)
        return os.waitpid(self.pid, 0)[1]

    def _run(self, kind: Kind, at: int, told: int) -> None:
        """Take the step with the fault and, when told, again without, in the same library."""
        libraries: list[Library] = []
        self.bench.shim.arm(self.bench.disk, kind, at)
        self._tried(libraries)
        self.bench.shim.disarm()
        if os.read(told, 1):
            self._tried(libraries)

    def _tried(self, libraries: list[Library]) -> None:
        try:
            if not libraries:
                libraries.append(Library(self.bench.home, WordEmbedder()))
            self.step.act(libraries[0], self.bench.base)
            libraries.pop().close()
            said = "done"
        except (RetrievalError, IngestError) as problem:
            said = f"{type(problem).__name__}: {problem}"
        except BaseException as problem:
            where = [f"{f.name}:{f.lineno}" for f in traceback.extract_tb(problem.__traceback__)]
            said = f"BUG {problem!r} in {' '.join(where[-5:])}"
        os.write(self._say, said.replace("\n", " ").encode() + b"\n")


class Trials:
    """Every fault of one step."""

    def __init__(self, bench: Bench, name: str) -> None:
        self.bench, self.name = bench, name
        self.step = bench.arrive_at(name)
        self.before = self._expected()
        self.disk, self.operations = bench.record(self.step)
        self.after = self._expected()
        self.allowed = [self.before, self.after]
        if name == "erase":
            bench.reset()
            bench.do(STEPS["withdraw"])
            self.allowed.append({**self._expected(), "ledger": self.after["ledger"]})
        self.failures: list[str] = []
        self.said: dict[str, int] = {}
        self.trials = self.losses = 0

    def lose_power(self) -> None:
        """Look at what may be on disk after each operation, if the power fails then."""
        dice, met = random.Random(0), set[int]()
        for at, operation in enumerate(self.operations, start=1):
            self.disk.apply(operation)
            last = at == len(self.operations)
            for state in self.disk.losses(dice):
                if last or hash(tuple(state.items())) not in met:
                    met.add(hash(tuple(state.items())))
                    self._look_after_loss(state, at, last=last)
        self.losses = len(met)

    def run(self, *, every: bool) -> None:
        """Try what can go wrong at each operation; at a write one kind in turn, unless `every`."""
        for at, operation in enumerate(self.operations, start=1):
            for kind in _kinds(operation.op, at, every=every):
                self._try(kind, at)

    def _try(self, kind: Kind, at: int) -> None:
        self.trials += 1
        self.bench.reset()
        child = Child(self.bench, self.step)
        child.start(kind, at)
        said = child.hear()
        try:
            self._look_at_once(kind, said)
            if kind not in DEADLY and kind not in LASTING and said != "done":
                self._look_after_second_try(child)
        except Exception as problem:
            self._failed(kind.name, at, said, problem)
        ended = child.end()
        if (ended == signal.SIGKILL) != (kind in DEADLY):
            self._failed(kind.name, at, said, AssertionError(f"ended with {ended}"))
        try:
            self._look_after_resuming()
        except Exception as problem:
            self._failed(kind.name, at, said, problem, " resumed:")

    def _look_at_once(self, kind: Kind, said: str) -> None:
        self.said[said[:60]] = self.said.get(said[:60], 0) + 1
        assert said or kind in DEADLY, "nothing said"
        assert not said.startswith("BUG"), "not one of our errors"
        found, damage, _ = self.bench.look()
        assert not damage, damage
        assert found in self.allowed, _difference(found, self.after)
        assert said != "done" or found == self.after, "said to be done"

    def _look_after_second_try(self, child: Child) -> None:
        if not self.step.again and self.bench.look()[0] == self.after:
            return
        child.go_on()
        said = child.hear()
        assert said == "done", f"second try in the same process: {said}"
        found, damage, _ = self.bench.look()
        assert not damage, damage
        assert found == self.after, _difference(found, self.after)

    def _look_after_resuming(self) -> None:
        if self.step.again or self.bench.look()[0] != self.after:
            self.bench.do(self.step)
        found, damage, left = self.bench.look()
        assert not damage, damage
        assert found == self.after, _difference(found, self.after)
        assert not left or "ingest" not in self.name, left

    def _look_after_loss(self, state: dict[str, bytes | None], at: int, *, last: bool) -> None:
        shutil.rmtree(self.bench.disk)
        lay(state)
        try:
            found, damage, _ = self.bench.look()
            assert not damage, damage
            assert found in self.allowed[1 if last else 0 :], _difference(found, self.after)
            self._look_after_resuming()
        except Exception as problem:
            self._failed("power loss", at, "", problem)

    def _expected(self) -> Contents:
        found, damage, left = self.bench.look()
        assert not damage, damage
        assert not left, left
        return found

    def _failed(self, kind: str, at: int, said: str, problem: Exception, when: str = "") -> None:
        operation = self.operations[max(0, at - 1)]
        where = operation.path.removeprefix(str(self.bench.home))
        trace = [f"{f.name}:{f.lineno}" for f in traceback.extract_tb(problem.__traceback__)]
        self.failures.append(
            f"{self.name}: {kind} at {at} ({operation.op.name} {where}),"
            f" said {said!r}:{when}"
            f" {type(problem).__name__}: {problem} {' '.join(trace[-3:])}"
        )


def _kinds(op: Op, at: int, *, every: bool) -> Sequence[Kind]:
    possible = [kind for kind in Kind if op is Op.WRITE or kind is not Kind.TEAR]
    return possible if every or op is not Op.WRITE else [possible[at % len(possible)]]


def _difference(found: Contents, expected: Contents, at: str = "") -> str:
    """Say where two contents first differ."""
    for key in sorted(found.keys() | expected.keys(), key=str):
        one, other = found.get(key), expected.get(key)
        if isinstance(one, dict) and isinstance(other, dict) and one != other:
            return _difference(one, other, f"{at}/{key}")
        if one != other:
            return f"{at}/{key}: {str(one)[:300]} is not {str(other)[:300]}"
    return "no difference"


def main(base: str, name: str, *options: str) -> None:
    """Try a step and print what came of it."""
    began = time.monotonic()
    folder = Path(base).resolve()
    lay_out(folder)
    trials = Trials(Bench(folder, Shim()), name)
    if "--power" in options:
        trials.lose_power()
    else:
        trials.run(every="--all" in options)
    result = {
        "step": name,
        "points": len(trials.operations),
        "trials": trials.trials,
        "losses": trials.losses,
        "seconds": round(time.monotonic() - began, 1),
        "said": trials.said,
        "failures": trials.failures,
    }
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
