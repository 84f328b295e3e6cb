"""`footnote calibrate`."""

import json
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import click

from answer.calibration import Calibration, calibrate, point_at
from answer.errors import CalibrationImpossible
from answer.trials import Known, trials, written_questions
from retrieval import Library
from retrieval.types import Standing
from web import models, wiring
from web.cli.shared import document_named, print_json, settings, shared

MOST_COST = 1000.0


def _number(context: click.Context, option: click.Parameter, cost: float) -> float:
    if math.isnan(cost):  # which is in no range, and outside of none
        raise click.BadParameter("nan is no number.", context, option)
    return cost


@click.command("calibrate")
@click.option(
    "--questions",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Questions whose answer you know: JSON lines with “question” and “document”."
    "  [default: the model writes some]",
)
@click.option(
    "--count",
    default=150,
    show_default=True,
    type=click.IntRange(30, 5000),
    help="How many the model writes.",
)
@click.option(
    "--cost",
    default=1.0,
    show_default=True,
    type=click.FloatRange(0, MOST_COST, min_open=True),
    callback=_number,
    help="What a wrong answer costs, in what a right one earns.",
)
@click.option("--dry-run", is_flag=True, help="Only print; change nothing.")
@shared
def calibrate_command(
    questions: Path | None,
    count: int,
    cost: float,
    dry_run: bool,
    home: Path | None,
    as_json: bool,
) -> None:
    """Fit the decision to answer or refuse to this library.

    Each question is asked twice: as it is, and with the document that answers it, or only the
    passage, held out, when the right reply is a refusal. A service that runs takes it up when it is
    started again.
    """
    chosen = settings(home=home)
    library, embedder = wiring.open_library(chosen)
    judgement, _ = wiring.build_judgement(chosen, embedder)
    snapshot = library.snapshot()
    if questions:
        known = _read(questions, library)
    else:
        model = models.start_model(chosen)
        try:
            with _bar(count, "Writing questions") as follow:
                known = list(written_questions(snapshot, model, count, follow))
        finally:
            model.close()
    with _bar(len(known), "Asking them") as follow:
        found = trials(known, snapshot, judgement, chosen.passages, follow)
    fitted = calibrate(found, judgement.scorer, embedder.name, library.generation, cost)
    if not dry_run:
        fitted.save(library.home)
    library.close()
    if as_json:
        print_json({**asdict(fitted), "written": questions is None, "saved": not dry_run})
    else:
        _print(fitted, saved=not dry_run, threshold=chosen.threshold)


@contextmanager
def _bar(length: int, label: str) -> Iterator[Callable[[int], None]]:
    """Show a progress bar on a terminal; yields what to call with how many are done."""
    with click.progressbar(length=length, label=label, file=sys.stderr) as bar:
        yield lambda done: bar.update(done - bar.pos)


def _read(file: Path, library: Library) -> list[Known]:
    """Return the questions in a file of JSON lines; CalibrationImpossible names a bad line."""
    known = []
    try:
        lines = file.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError as problem:
        raise CalibrationImpossible(f"{file} is not UTF-8 text: {problem}.") from problem
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            question, document = str(row["question"]), str(row["document"])
        except (ValueError, KeyError, TypeError) as problem:
            raise CalibrationImpossible(
                f"Line {number} of {file} is not an object with “question” and “document”, such as"
                ' {"question": "What is the fee?", "document": "fees.pdf"}.'
            ) from problem
        if not any(c.isalnum() for c in question):
            raise CalibrationImpossible(f"Line {number} of {file} asks nothing.")
        document_id = document_named(library, document)
        if library.standing(document_id) is not Standing.CURRENT:
            raise CalibrationImpossible(
                f"Line {number} of {file}: nothing is answered from {document} any more. Name a"
                " document that is, or take the line out."
            )
        known.append(Known(question, document_id))
    return list(dict.fromkeys(known))


def _print(fitted: Calibration, *, saved: bool, threshold: float | None) -> None:
    click.echo("threshold  answers though it is not there  refuses though it is  wrong of those")
    for point in fitted.curve:
        bar = "█" * round(20 * point.false_answers)
        click.echo(
            f"{point.threshold:>9.2f}  {point.false_answers:>6.1%} {bar:<22}"
            f"  {point.false_refusals:>18.1%}  {point.wrong:>14.1%}"
        )
    there = point_at(fitted)
    click.echo(
        f"\nFrom {fitted.questions} questions, {fitted.held_out} of them asked again with the"
        f" answer held out. If a wrong answer costs {fitted.cost:g} times what a right one earns,"
        f" answer from a probability of {fitted.threshold:.2f} on:"
        f" {there.false_answers:.0%} of what is not there would be answered,"
        f" {there.false_refusals:.0%} of what is there refused."
    )
    for name, quality in (("before", fitted.before), ("now", fitted.after)):
        if quality:
            told = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in quality.items())
            click.echo(f"{name:>8}: {told}", err=True)
    if saved:
        click.echo("Kept with the library: start the service again to use it.", err=True)
    if saved and threshold is not None:
        click.echo(
            f"note: FOOTNOTE_THRESHOLD is set, so {threshold:g} counts and not"
            f" {fitted.threshold:g}. Take it away to use what was chosen.",
            err=True,
        )
