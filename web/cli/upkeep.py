"""`footnote rollback` and `doctor`."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import asdict
from pathlib import Path

import click

from answer.errors import AnswerError, ReceiptsUnavailable
from answer.receipts import FILE, Receipts
from ingest import IngestError, Sandbox, ocr
from ingest.mending import mend
from retrieval import Embedder, Library, RetrievalError, SentenceTransformerEmbedder
from retrieval.doctor import Damage, Part
from web import models, wiring
from web.cli.shared import print_json, settings, shared
from web.settings import Settings


@click.command()
@click.option("--to", type=click.IntRange(1), help="Which generation.  [default: the one before]")
@click.option("--list", "listing", is_flag=True, help="Only list the generations there are.")
@shared
def rollback(to: int | None, listing: bool, home: Path | None, as_json: bool) -> None:
    """Answer from an older generation of the library again.

    The next ingest brings what its folders hold then: mend those first.
    """
    library, _ = wiring.open_library(settings(home=home))
    if listing:
        found = library.generations()
        if as_json:
            print_json([asdict(generation) for generation in found])
        for g in () if as_json else found:
            back = f" to {g.restores}" if g.restores is not None else ""
            click.echo(f"{g.number:>6}  {g.published_at}  {g.documents} documents  {g.cause}{back}")
    else:
        restored = library.rollback(to)
        data = {"generation": library.generation, "restores": restored}
        if as_json:
            print_json(data)
        else:
            click.echo(f"Answers come from generation {restored} again, now {data['generation']}")
    library.close()


@click.command()
@click.option("--repair", is_flag=True, help="Make again what can be made from the rest.")
@shared
def doctor(repair: bool, home: Path | None, as_json: bool) -> None:
    """Check that all of the library is what was written, and say what this machine can do."""
    chosen = settings(home=home)
    library, embedder = wiring.open_library(chosen)
    with Sandbox() as sandbox:
        machine = _machine(embedder, sandbox, chosen)
        machine["vectors"] = _vectors(library)
        unusable = _judge(chosen, embedder, machine)
        found = list(library.doctor().examine(_looking_at))
        _looking_at("")
        left = found
        if repair and found:
            with library.writing():
                left = [d for d in found if not _repaired(library, embedder, sandbox, d, chosen)]
                library.tidy()
            _looking_at("")
    unkept, unmended = _receipts(chosen, library, repair=repair)
    found, left = [*found, *unkept], [*left, *unmended]
    library.close()
    if as_json:
        print_json({"machine": machine, "damage": [asdict(d) for d in found], "left": len(left)})
    else:
        _print(machine, found, left if repair else found)
    if left or unusable:
        sys.exit(1)


def _judge(
    chosen: Settings, embedder: SentenceTransformerEmbedder, machine: dict[str, str]
) -> bool:
    """Say of the machine what judges evidence; return whether that cannot be used, when nothing is
    answered."""
    try:
        machine["judge"] = wiring.describe_scorer(chosen, embedder)
    except AnswerError as problem:
        machine["judge"] = str(problem)
        return True
    return False


def _looking_at(what: str) -> None:
    """Say on a terminal what goes on, in a line that is written over; "" takes it away."""
    if sys.stderr.isatty():
        click.echo(f"\r\x1b[K{what and f'Looking at {what} …'}", nl=False, err=True)


def _repaired(
    library: Library, embedder: Embedder, sandbox: Sandbox, damage: Damage, chosen: Settings
) -> bool:
    _looking_at(f"{damage.part} {damage.name}, to repair it,")
    if damage.part is not Part.DOCUMENT:
        return library.doctor().repair(damage)
    try:
        mend(library, embedder, sandbox, damage.name, chunk_tokens=chosen.chunk_tokens)
    except IngestError as problem:
        click.echo(f"not repaired: {damage.name}: {problem}", err=True)
        return False
    return True


def _receipts(
    chosen: Settings, library: Library, *, repair: bool
) -> tuple[list[Damage], list[Damage]]:
    """Return what is wrong with the receipts of answers, and what of it is left."""
    with closing(wiring.open_receipts(chosen, library)) as receipts:
        found = _faults(receipts)
        if not (repair and found):
            return found, found
        with suppress(ReceiptsUnavailable):  # which is told as a fault
            receipts.forget_erased()
        return found, _faults(receipts)


def _faults(receipts: Receipts) -> list[Damage]:
    faults = receipts.faults()
    return [Damage(Part.RECEIPTS, FILE, fault.problem, fault.remedy) for fault in faults]


def _machine(
    embedder: SentenceTransformerEmbedder, sandbox: Sandbox, chosen: Settings
) -> dict[str, str]:
    """Return what this machine can do for the library, in words."""
    return {
        "embedder": f"{embedder.name}, by {embedder.backend}",
        "model": models.describe_model(chosen),
        "GPU": models.describe_acceleration(),
        "text on images": "read by Tesseract" if ocr.available() else "not read: no Tesseract",
        "readers": _confined(sandbox.protections().missing),
        "cores": str(os.cpu_count()),
    }


def _vectors(library: Library) -> str:
    try:
        recall = library.snapshot().recall
    except RetrievalError:  # which is told as damage
        return "cannot be read"
    return "all compared" if recall is None else f"found by an index, recall at 10 {recall:.3f}"


def _confined(missing: Sequence[str]) -> str:
    if not missing:
        return "confined: no network, no other files, no programs, bounded memory"
    return f"confined, but this system does not limit: {', '.join(missing)}"


def _print(machine: dict[str, str], found: list[Damage], left: list[Damage]) -> None:
    for name, value in machine.items():
        click.echo(f"{name:>16}  {value}")
    for line in _lines(found, left):
        click.echo(line)


def _lines(found: list[Damage], left: list[Damage]) -> Iterator[str]:
    if not found:
        yield "All of the library is what was written."
    for damage in found:
        mended = "repaired" if damage not in left else damage.remedy
        yield f"{damage.part}: {damage.name}: {damage.problem} {mended}"
