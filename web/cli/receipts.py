"""`footnote receipts`: what was answered, and whether it still holds."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

from answer.receipts import Check, Receipt, Receipts, State, Stored
from web import wiring
from web.cli.asking import print_answer
from web.cli.shared import print_json, printable, settings, shared
from web.problems import InvalidRequest
from web.receipts import id_of
from web.schema.receipts import CheckReply, StoredAnswerReply

UNREADABLE = "(cannot be read)"


@click.group()
def receipts() -> None:
    """Look up what was answered, and check whether it still holds."""


@receipts.command("list")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1), help="How many.")
@shared
def list_receipts(limit: int, home: Path | None, as_json: bool) -> None:
    """List the newest receipts, newest first."""
    with _opened(home) as kept:
        listed = [_summary(stored) for stored in kept.newest(limit)]
    if as_json:
        print_json({"receipts": listed})
    else:
        for one in listed:
            said = _question(one["question"])
            click.echo(f"{one['id']}  {one['answered_at']}  {one['status']:<9}  {said}")


@receipts.command()
@click.argument("answer_id", metavar="ID")
@shared
def show(answer_id: str, home: Path | None, as_json: bool) -> None:
    """Show an answer as it was given, how it was made, and what became of its sources."""
    with _opened(home) as kept:
        stored = kept.find(_id(answer_id))
        check = kept.verify(stored)
    try:
        receipt = Receipt.read(stored.content)
    except ValueError:
        if as_json:
            print_json(CheckReply.of(check).model_dump())
        else:
            click.echo(_line(check))
        sys.exit(1)
    if as_json:
        print_json(StoredAnswerReply.whole(receipt, stored.sha256, check).model_dump())
    else:
        _print(receipt, stored, check)


@receipts.command()
@click.argument("ids", metavar="[ID]...", nargs=-1)
@shared
def verify(ids: Sequence[str], home: Path | None, as_json: bool) -> None:
    """Check receipts against the library, all of them if none is named.

    Is each what was written, and its quotes what the document says? Was the source replaced,
    withdrawn or erased since? Prints those that are not as they were. The exit status is 1 if
    one is broken; that a source has changed since breaks none.
    """
    counts = dict.fromkeys(State, 0)
    told = []
    with _opened(home) as kept:
        named = [kept.find(_id(one)) for one in ids]
        checks = map(kept.verify, named) if named else kept.verify_all()
        length = len(named) or kept.count()
        with click.progressbar(checks, length, "Checking", file=sys.stderr) as bar:
            for check in bar:
                counts[check.state] += 1
                if check.state is not State.AS_IT_WAS:
                    told.append(check)
    if as_json:
        listed = [CheckReply.of(check).model_dump() for check in told]
        print_json({"checked": sum(counts.values()), **counts, "receipts": listed})
    else:
        for check in told:
            click.echo(_line(check))
        click.echo(_total(counts))
    if counts[State.BROKEN]:
        sys.exit(1)


@receipts.command()
@click.argument("ids", metavar="[ID]...", nargs=-1)
@click.option(
    "--days", type=click.IntRange(0, 36500), help="Remove what is older.  [default: as set]"
)
@shared
def prune(ids: Sequence[str], days: int | None, home: Path | None, as_json: bool) -> None:
    """Remove receipts for good: those that are named, else those that are too old.

    A running service does the latter by itself.
    """
    if ids and days is not None:
        raise click.UsageError("Name receipts, or say how old they may be with --days.")
    with _opened(home) as kept:
        removed = kept.remove([_id(one) for one in ids]) if ids else kept.prune(days)
        left = kept.count()
    if as_json:
        print_json({"removed": removed, "kept": left})
    else:
        click.echo(f"Removed {removed} receipts; {left} are kept")


@contextmanager
def _opened(home: Path | None) -> Iterator[Receipts]:
    """Open the receipts of a library."""
    chosen = settings(home=home)
    library, _ = wiring.open_library(chosen)
    kept = wiring.open_receipts(chosen, library)
    try:
        yield kept
    finally:
        kept.close()
        library.close()


def _id(text: str) -> str:
    try:
        return id_of(text)
    except InvalidRequest as problem:
        raise click.UsageError(str(problem)) from problem


def _question(text: str | None) -> str:
    """Return a question on one line, without what a terminal would obey: anyone may have asked."""
    if not text:
        return "(the question is not kept)"
    return printable(text).replace("\n", " ")


def _summary(stored: Stored) -> dict[str, str | None]:
    at = {"id": stored.id, "answered_at": stored.answered_at}
    try:
        answer = Receipt.read(stored.content).answer
    except ValueError:
        return {**at, "status": "broken", "question": UNREADABLE}
    return {**at, "status": answer.status, "question": answer.question or None}


def _line(check: Check) -> str:
    return f"{check.id}  {check.answered_at}  {check.state}: {'; '.join(check.notes)}"


def _total(counts: dict[State, int]) -> str:
    checked = sum(counts.values())
    return (
        f"{checked} receipts: {counts[State.AS_IT_WAS]} as they were, {counts[State.CHANGED]} whose"
        f" sources have changed since, {counts[State.BROKEN]} broken"
    )


def _print(receipt: Receipt, stored: Stored, check: Check) -> None:
    click.echo(f"{_question(receipt.answer.question)}\n")
    print_answer(receipt.answer)
    method, model = receipt.method, receipt.answer.model
    lines = {
        "answered": receipt.answered_at,
        "generation": receipt.answer.generation,
        "model": ", sha256 ".join(filter(None, (model.name, model.sha256))) if model else "none",
        "prompt": method.prompt,
        "judge": method.judge,
        "embedder": method.embedder,
        "threshold": f"{method.threshold:g}{', calibrated' if method.calibrated else ''}",
        "passages": method.passages,
        "footnote": method.footnote,
        "sha256": stored.sha256,
        "state": "; ".join(check.notes) or "as it was",
    }
    click.echo()
    for name, value in lines.items():
        click.echo(f"{name:>12}  {value}")
