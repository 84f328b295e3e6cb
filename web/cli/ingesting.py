"""`footnote ingest`."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import click

from ingest import Cancelled, Job, Options, Outcome, Progress, Report, Sandbox, Stage
from ingest.errors import NothingToIngest
from retrieval import Relabel
from retrieval.errors import LibraryBusy
from web import reports, wiring
from web.cli.shared import fail, print_json, settings, shared
from web.settings import Settings, read_passwords

LOOK_EVERY_MS = 60_000


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option("--prune", is_flag=True, help="Withdraw documents whose files are gone.")
@click.option("--tag", "tags", multiple=True, help="Tag all that is there so.")
@click.option("--group", help="Put all that is there into this group.")
@click.option("--dry-run", is_flag=True, help="Only show what would happen.")
@click.option("--watch", is_flag=True, help="Go on, and ingest whatever changes, until Ctrl-C.")
@click.option(
    "--report",
    "report_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write what became of each file and page to a .html or .json file.",
)
@click.option(
    "--passwords",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A file with passwords to try on locked documents, one a line.",
)
@click.option(
    "--workers", type=click.IntRange(1, 64), help="Files read at once.  [default: cores, at most 8]"
)
@click.option("--quiet", is_flag=True, help="Show no progress.")
@click.option("--run", "run_id", default="", hidden=True, help="What the run is called.")
@shared
def ingest(
    paths: Sequence[Path],
    home: Path | None,
    as_json: bool,
    **given: Any,
) -> None:
    """Read files and folders into the library. What is unchanged costs only a look.

    Without PATHS the folders named in the settings are read, and what was uploaded. The exit
    status is 0 only if everything was read.
    """
    chosen = settings(home=home, passwords=given["passwords"], workers=given["workers"])
    report_file = given["report_file"]
    if report_file and report_file.suffix not in (".html", ".json"):
        raise click.UsageError("--report takes a file that ends in .html or .json.")
    wiring.step_back()
    options = Options(
        prune=given["prune"],
        dry=given["dry_run"],
        id=given["run_id"],
        relabel=Relabel(add=given["tags"], group=given["group"]),
    )
    with _job(chosen, quiet=given["quiet"]) as (job, bar):
        read = paths or chosen.folders
        report = _run(job, read, bar, options)
        if not read and not report.files and not options.id:
            fail("There is nothing to ingest: name a file or folder, or set FOOTNOTE_FOLDERS.")
        _show(report, chosen.home, as_json=as_json)
        if report_file:
            reports.write(report, report_file)
        if given["watch"]:
            _watch(job, read, bar, options, chosen.home, as_json=as_json)
    if not report.complete:
        sys.exit(1)


def _run(job: Job, paths: Sequence[Path], bar: "_Bar", options: Options) -> Report:
    with bar:
        try:
            return job.run(paths, bar.show, options)
        except (Cancelled, KeyboardInterrupt) as problem:
            bar.close()
            fail(str(problem) or "Stopped. The next ingest goes on from there.")


def _watch(
    job: Job,
    paths: Sequence[Path],
    bar: "_Bar",
    options: Options,
    home: Path,
    *,
    as_json: bool,
) -> None:
    """Ingest again whenever something below the paths changes.

    Once a minute it looks anyway: not every file system tells of changes.
    """
    from watchfiles import watch

    if not paths:
        raise NothingToIngest("There is nothing to watch: name a folder.")
    click.echo("Watching for changes (Ctrl-C ends it).", err=True)
    shown: tuple[int, bool] | None = None
    for _ in watch(
        *paths,
        raise_interrupt=False,
        debounce=2000,
        step=500,
        yield_on_timeout=True,
        rust_timeout=LOOK_EVERY_MS,
    ):
        try:
            report = _run(job, paths, bar, options)
        except (LibraryBusy, NothingToIngest) as problem:
            click.echo(f"footnote: {problem} Waiting for the next change.", err=True)
            continue
        if shown is None or (report.generation, report.complete) != shown:
            _show(report, home, as_json=as_json)
        shown = (report.generation, report.complete)


@contextmanager
def _job(chosen: Settings, *, quiet: bool) -> Iterator[tuple[Job, "_Bar"]]:
    library, embedder = wiring.open_library(chosen, create=True)
    passwords = read_passwords(chosen.passwords)
    with ExitStack() as stack:
        stack.callback(library.close)
        sandboxes = [
            stack.enter_context(Sandbox(passwords=passwords, folder=chosen.home))
            for _ in range(chosen.workers)
        ]
        yield (
            Job(library, embedder, sandboxes, chunk_tokens=chosen.chunk_tokens),
            _Bar(shown=not quiet and sys.stderr.isatty()),
        )


def _show(report: Report, home: Path, *, as_json: bool) -> None:
    if as_json:
        print_json(reports.as_json(report))
        return
    for file in report.files:
        for label, note in reports.notes(file):
            click.echo(f"{label}: {file.path}: {note}", err=True)
    counts = [f"{n} {name}" for outcome, name in NAMES.items() if (n := report.count(outcome))]
    if report.partly_read:
        counts.append(f"{report.partly_read} only partly read")
    would = "would be: " if report.dry else ""
    what = ", ".join(counts) or "nothing to read"
    click.echo(f"{would}{what}; generation {report.generation} in {home}")


NAMES = {
    Outcome.ADDED: "added",
    Outcome.CHANGED: "changed",
    Outcome.MOVED: "moved",
    Outcome.UNCHANGED: "unchanged",
    Outcome.GONE: "gone",
    Outcome.WITHDRAWN: "withdrawn",
    Outcome.FAILED: "not read",
}


class _Bar:
    """A progress bar with rate and time left, on a terminal only."""

    def __init__(self, *, shown: bool) -> None:
        self._shown = shown
        self._bar: Any = None

    def __enter__(self) -> "_Bar":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def show(self, progress: Progress) -> None:
        """Move the bar to where the ingest is."""
        if not self._shown:
            return
        if progress.stage is Stage.READING and self._bar is None:
            self._bar = click.progressbar(
                length=max(progress.bytes, 1),
                label="Reading",
                item_show_func=_rate,
                file=sys.stderr,
            )
            self._bar.__enter__()
        if self._bar is not None:
            self._bar.label = "Publishing" if progress.stage is Stage.PUBLISHING else "Reading"
            self._bar.update(progress.bytes_done - self._bar.pos, progress)

    def close(self) -> None:
        """End the bar's line."""
        if self._bar is not None:
            self._bar.__exit__(None, None, None)
            self._bar = None


def _rate(progress: Progress | None) -> str | None:
    if progress is None:
        return None
    rate = (progress.passages + progress.reused) / max(progress.seconds, 0.1)
    return f"{progress.files_done}/{progress.files} files, {rate:.0f} passages/s"
