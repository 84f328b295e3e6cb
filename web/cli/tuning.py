"""`footnote tune`."""

import os
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from answer.engine.tuned import Tuning
from answer.engine.tuning import describe
from retrieval.files import make_folder
from web import models
from web.cli.shared import fail, print_json, settings, shared

if TYPE_CHECKING:
    from click._termui_impl import ProgressBar


@click.command("tune")
@click.option("--dry-run", is_flag=True, help="Only measure and print; change nothing.")
@shared
def tune(dry_run: bool, home: Path | None, as_json: bool) -> None:
    """Measure how the model runs fastest on this machine, and keep that with the library.

    Let nothing else run meanwhile. A service that runs takes it up when it is started again.
    """
    chosen = settings(home=home)
    folder = models.models_folder(chosen)
    with ExitStack() as stack:
        if dry_run:
            # Beside the library's: what is made there may be too large for where others go.
            near = folder if folder.is_dir() else None
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=near)))
        bar = stack.enter_context(_bar())
        tuner = models.tuner(chosen, folder, lambda tried: bar.update(1, tried))
        threads = not models.threads_are_set(chosen)
        choices = tuner.choices(os.cpu_count() or 1, threads=threads)
        bar.length = 2 + sum(len(values) for _, values in choices)
        found = tuner.run(choices)
        bar.update(bar.length - bar.pos)
        if not dry_run:
            _keep(found, folder)
    if as_json:
        print_json({**found.model_dump(), "saved": not dry_run})
    else:
        _print(found, saved=not dry_run)


def _bar() -> "ProgressBar[str]":
    """Return a progress bar, which shows on a terminal what is tried."""
    return click.progressbar(
        length=1, label="Measuring", file=sys.stderr, item_show_func=lambda tried: tried
    )


def _keep(found: Tuning, folder: Path) -> None:
    try:
        make_folder(folder)
        found.save(folder)
    except OSError as problem:
        fail(f"What was measured cannot be kept in {folder}: {problem.strerror}.")


def _print(found: Tuning, *, saved: bool) -> None:
    click.echo("tokens/s read  written  question  same text  set-up")
    for m in found.measured:
        click.echo(
            f"{m.read_per_s:>13.0f}  {m.written_per_s:>7.0f}  {m.answer_s:>6.2f} s"
            f"  {m.same:>4} of {m.texts}  {describe(m.setup)}"
            f"{'  ←' if m.setup == found.chosen else ''}"
        )
    for note in found.notes:
        click.echo(f"left out: {note}", err=True)
    click.echo(
        f"\nFastest for a question of 300 tokens and an answer of 40: {describe(found.chosen)}."
        f" {found.ratio:.2f} times as fast as without tuning."
    )
    if saved:
        click.echo("Kept with the library: start the service again to use it.", err=True)
