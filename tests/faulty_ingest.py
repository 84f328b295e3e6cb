"""Runs what changes a library once for each thing that can go wrong on the disk, and looks.

    echo "first ingest" | LD_PRELOAD=faults.so python -m tests.faulty_ingest FOLDER [--all]

A process that is to be killed is forked from this one: a thousand that start from nothing would
take an hour. It reads the names of steps and answers each with a line of JSON. FOLDER is empty.
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
from tests.power_loss import Disk, State, lay
from tests.stand_ins import InlineSandbox, WordEmbedder

ingest.job.STAGE_AT_ONCE = 3  # several stages to consolidate,
retrieval.segments.FEW_SEGMENTS = 1  # a merge as soon as there are two segments,
ingest.job.AHEAD = 1  # and each run does the same things in the same order,
ingest.job.RECORD_EVERY_S = 3600  # however long it takes

PATIENCE_S = 60
SOME = 5


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
    base.mkdir(exist_ok=True)
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
    shown: str = "docs"
    before: Path = field(init=False)
    log: Path = field(init=False)

    def __post_init__(self) -> None:
        self.disk, self.before = self.base / "disk", self.base / "before"
        self.home = self.disk / "library"
        self.log = self.base / "log"

    def arrive_at(self, name: str) -> Step:
        """Do all steps before, and keep what the folder then holds."""
        shutil.rmtree(self.disk, ignore_errors=True)
        shutil.rmtree(self.before, ignore_errors=True)
        self.disk.mkdir()
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

    def record(self, step: Step) -> tuple[Disk, list[Operation], int]:
        """Take a step undisturbed.

        Returns the disk as it was, what was done to files, and how much of that when the step
        was said to be done, before the library was closed.
        """
        self.reset()
        disk = Disk(self.disk)
        descriptor = os.open(self.log, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        self.shim.arm(self.disk, log=descriptor)
        library = Library(self.home, WordEmbedder())
        step.act(library, self.base)
        done = self.shim.done()
        library.close()
        self.shim.disarm()
        os.close(descriptor)
        return disk, list(self.shim.read(self.log)), done

    def _show(self, docs: str) -> None:
        """Put a version of the documents where they are read from."""
        if docs != self.shown:
            if self.shown != "docs":
                (self.base / "docs").rename(self.base / self.shown)
            (self.base / docs).rename(self.base / "docs")
            self.shown = docs


class Attempt:
    """A step taken while something goes wrong, and taken again in the same library."""

    def __init__(self, bench: Bench, step: Step) -> None:
        self._bench = bench
        self._step = step
        self._library: Library | None = None

    def suffer(self, kind: Kind, at: int) -> str:
        """Take the step with a fault; return `done` or the error.

        If the fault lasts, the library is closed with it, as when a program ends.
        """
        self._bench.shim.arm(self._bench.disk, kind, at)
        try:
            said = self.try_it()
            if kind in LASTING:
                self.close()
            return said
        finally:
            self._bench.shim.disarm()

    def try_it(self) -> str:
        """Take the step in the library as it is; what ends well is closed."""
        try:
            self._library = self._library or Library(self._bench.home, WordEmbedder())
            self._step.act(self._library, self._bench.base)
            self.close()
        except (RetrievalError, IngestError) as problem:
            return f"{type(problem).__name__}: {problem}"
        except Exception as problem:
            return f"BUG {problem!r} in {_trace(problem)}"
        return "done"

    def close(self) -> None:
        """Let go of the library."""
        if self._library:
            self._library.close()
            self._library = None


class Trials:
    """Every fault of one step."""

    def __init__(self, bench: Bench, name: str) -> None:
        self.bench, self.name = bench, name
        self.step = bench.arrive_at(name)
        self.before = self._expected()
        self.disk, self.operations, self.done = bench.record(self.step)
        self.disk_after = Disk(bench.disk).seen()
        self.after = self._expected()
        self.allowed = [self.before, self.after]
        if name == "erase":
            bench.reset()
            bench.do(STEPS["withdraw"])
            self.allowed.append({**self._expected(), "ledger": self.after["ledger"]})
        self.failures: list[str] = []
        self.said: dict[str, int] = {}
        self.trials = self.losses = 0

    def lose_power(self, *, every: bool) -> None:
        """Look at what may be on disk after each operation, if the power fails then.

        Unless `every`, only some of those states are gone on from.
        """
        dice, met = random.Random(0), set[int]()
        for at, operation in enumerate(self.operations, start=1):
            self.disk.apply(operation)
            done = at >= self.done
            for state in self.disk.losses(dice):
                if done or hash(tuple(state.items())) not in met:
                    met.add(hash(tuple(state.items())))
                    resume = every or len(met) % SOME == 0
                    self._look_after_loss(state, at, done=done, resume=resume)
        assert self.disk.seen() == self.disk_after, "the log does not tell all that was done"
        self.losses = len(met)

    def run(self, *, every: bool) -> None:
        """Try what can go wrong at each operation; at a write one kind in turn, unless `every`."""
        for at, operation in enumerate(self.operations, start=1):
            for kind in _kinds(operation.op, at, every=every):
                self._try(kind, at)

    def _try(self, kind: Kind, at: int) -> None:
        self.trials += 1
        self.bench.reset()
        signal.alarm(PATIENCE_S)  # ends this process
        try:
            if kind in DEADLY:
                self._kill(kind, at)
            else:
                self._let_fail(kind, at)
        except Exception as problem:
            self._failed(kind.name, at, problem)
        signal.alarm(0)

    def _kill(self, kind: Kind, at: int) -> None:
        """Have a process killed in the middle of the step, and go on from there."""
        child = os.fork()
        if not child:
            signal.alarm(PATIENCE_S)
            Attempt(self.bench, self.step).suffer(kind, at)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == signal.SIGKILL, "not killed"
        self._look_at_once()
        self._look_after_resuming()

    def _let_fail(self, kind: Kind, at: int) -> None:
        attempt = Attempt(self.bench, self.step)
        said = attempt.suffer(kind, at)
        self.said[said.split(":")[0]] = self.said.get(said.split(":")[0], 0) + 1
        try:
            assert not said.startswith("BUG"), said
            assert self._look_at_once() or said != "done", "said to be done"
            if said != "done" and kind not in LASTING:
                self._look_after_second_try(attempt)
            else:
                self._look_after_resuming()
        finally:
            attempt.close()

    def _look_at_once(self) -> bool:
        """Look for the state before or after, whole; whether it is the one after."""
        found, damage, _ = self.bench.look()
        assert not damage, damage
        assert found in self.allowed, _difference(found, self.after)
        return found == self.after

    def _look_after_second_try(self, attempt: Attempt) -> None:
        if self.step.again or self.bench.look()[0] != self.after:
            said = attempt.try_it()
            assert said == "done", f"second try in the same library: {said}"
        self._look_at_the_end()

    def _look_after_resuming(self) -> None:
        if self.step.again or self.bench.look()[0] != self.after:
            self.bench.do(self.step)
        self._look_at_the_end()

    def _look_at_the_end(self) -> None:
        found, damage, left = self.bench.look()
        assert not damage, damage
        assert found == self.after, _difference(found, self.after)
        assert not left or "ingest" not in self.name, left

    def _look_after_loss(self, state: State, at: int, *, done: bool, resume: bool) -> None:
        shutil.rmtree(self.bench.disk)
        lay(state)
        try:
            found, damage, _ = self.bench.look()
            assert not damage, damage
            assert found in self.allowed[1 if done else 0 :], _difference(found, self.after)
            if resume:
                self._look_after_resuming()
        except Exception as problem:
            self._failed("power loss", at, problem)

    def _expected(self) -> Contents:
        found, damage, left = self.bench.look()
        assert not damage, damage
        assert not left, left
        return found

    def _failed(self, kind: str, at: int, problem: Exception) -> None:
        operation = self.operations[at - 1]
        where = operation.path.removeprefix(str(self.bench.home))
        self.failures.append(
            f"{self.name}: {kind} at {at} ({operation.op.name} {where}): {problem!r}"
            f" in {_trace(problem)}"
        )


def _trace(problem: Exception) -> str:
    frames = traceback.extract_tb(problem.__traceback__)[-4:]
    return " ".join(f"{frame.name}:{frame.lineno}" for frame in frames)


def _kinds(op: Op, at: int, *, every: bool) -> Sequence[Kind]:
    """Return what is to go wrong at an operation; where less is at stake, one kind in turn."""
    possible = [kind for kind in Kind if op is Op.WRITE or kind is not Kind.TEAR]
    if every:
        return possible
    if op in (Op.SYNC, Op.RENAME, Op.UNLINK):
        return [Kind.KILL, Kind.BROKEN, LASTING[at % 2]]
    return [possible[at % len(possible)]]


def _difference(found: Contents, expected: Contents, at: str = "") -> str:
    """Say where two contents first differ."""
    for key in sorted(found.keys() | expected.keys(), key=str):
        one, other = found.get(key), expected.get(key)
        if isinstance(one, dict) and isinstance(other, dict) and one != other:
            return _difference(one, other, f"{at}/{key}")
        if one != other:
            return f"{at}/{key}: {str(one)[:300]} is not {str(other)[:300]}"
    return "no difference"


def main(base: str, *options: str) -> None:
    """Try the steps that are asked for, and say what came of each."""
    folder, every = Path(base).resolve(), "--all" in options
    lay_out(folder)
    bench = Bench(folder, Shim())
    for line in sys.stdin:
        began = time.monotonic()
        trials = Trials(bench, line.strip())
        trials.run(every=every)
        trials.lose_power(every=every)
        result = {
            "points": len(trials.operations),
            "trials": trials.trials,
            "losses": trials.losses,
            "seconds": round(time.monotonic() - began, 1),
            "said": trials.said,
            "failures": trials.failures,
        }
        sys.stdout.write(json.dumps(result) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
