"""`footnote documents`: what is in the library, labelling it, and taking it out."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from retrieval import Document, Library, Relabel, Standing
from retrieval.types import Dated
from web import wiring
from web.cli.shared import (
    document_named,
    fail,
    filtering,
    filters_of,
    print_json,
    settings,
    shared,
)
from web.reports import reading_json
from web.schema.documents import DocumentReply

DATED = {
    Dated.DOCUMENT: "as the document says",
    Dated.FILE: "when its file was last changed",
    Dated.ADDED: "when it was added",
}


@click.group()
def documents() -> None:
    """Look at what is in the library, label documents, and withdraw them."""


@documents.command("list")
@click.option("--all", "everything", is_flag=True, help="Also files that no answer comes from.")
@filtering
@shared
def list_documents(everything: bool, home: Path | None, as_json: bool, **given: Any) -> None:
    """List the documents answers come from."""
    library, _ = wiring.open_library(settings(home=home))
    filters = filters_of(library, given)
    live = {d.source for d in library.documents()}
    found = [d for d in library.documents() if filters.allow(d)]
    others = [f for f in library.ledger.files() if f.source not in live and f.state != "read"]
    if as_json:
        listed = [DocumentReply.of(d, Standing.CURRENT).model_dump() for d in found]
        rest = [{"path": f.path, "state": f.state, "reason": f.reason} for f in others]
        print_json({"documents": listed, **({"files": rest} if everything else {})})
    else:
        for document in found:
            click.echo(
                f"{document.id}  {document.path}  {document.title}  {_labels(document)}"
                f"{_gaps(library, document)}"
            )
        for file in others if everything else ():
            click.echo(f"{file.state:<16}  {file.path}  {file.reason}")
    library.close()


@documents.command()
@click.argument("name")
@shared
def show(name: str, home: Path | None, as_json: bool) -> None:
    """Show what was made of a document, page by page. NAME is its id or path."""
    library, _ = wiring.open_library(settings(home=home))
    document = library.document(document_named(library, name))
    standing, reading = library.standing(document.id), library.reading(document.id)
    if as_json:
        print_json({**DocumentReply.of(document, standing).model_dump(), **reading_json(reading)})
    else:
        _print_document(library, document, standing)
    library.close()


@documents.command()
@click.argument("names", nargs=-1, required=True)
@click.option("--add", multiple=True, metavar="TAG", help="Tag the documents so.")
@click.option("--remove", multiple=True, metavar="TAG", help="Take this tag off.")
@shared
def tag(
    names: Sequence[str],
    add: Sequence[str],
    remove: Sequence[str],
    home: Path | None,
    as_json: bool,
) -> None:
    """Tag documents, or take tags off, their files' own among them. NAMES are ids or paths.

    Tags stay with the file, whichever revision of it is read, and wherever it is moved to.
    """
    change = Relabel(add=tuple(add), remove=tuple(remove))
    if not change:
        raise click.UsageError("Say what to --add or to --remove.")
    _relabel(names, change, home, as_json=as_json)


@documents.command()
@click.argument("names", nargs=-1, required=True)
@click.argument("group")
@shared
def group(names: Sequence[str], group: str, home: Path | None, as_json: bool) -> None:
    """Put documents into a GROUP, out of the one they are in; "" for none. NAMES are ids or paths.

    It stays with the file, whichever revision of it is read, and wherever it is moved to.
    """
    _relabel(names, Relabel(group=group), home, as_json=as_json)


def _relabel(names: Sequence[str], change: Relabel, home: Path | None, *, as_json: bool) -> None:
    library, _ = wiring.open_library(settings(home=home))
    ids = [document_named(library, name) for name in names]
    generation = library.relabel(ids, change)
    found = [library.document(name) for name in ids]
    library.close()
    if as_json:
        labels = [{"id": d.id, "tags": d.tags, "group": d.group or None} for d in found]
        print_json({"generation": generation, "documents": labels})
    else:
        for document in found:
            click.echo(f"{document.path}  {_labels(document)}")


@documents.command()
@click.argument("names", nargs=-1, required=True)
@click.option("--erase", is_flag=True, help="Delete text and original for good, all revisions.")
@click.option("--yes", is_flag=True, help="Do not ask before erasing.")
@shared
def withdraw(
    names: Sequence[str], erase: bool, yes: bool, home: Path | None, as_json: bool
) -> None:
    """Let no answer come from documents, from the next question on. NAMES are ids or paths.

    They stay out, whatever their folder holds, until `footnote documents restore`.
    """
    chosen = settings(home=home)
    library, _ = wiring.open_library(chosen)
    ids = [document_named(library, name) for name in names]
    paths = [library.document(name).path for name in ids]
    if erase and not yes:
        click.confirm(f"Delete {', '.join(paths)} for good?", abort=True, err=True)
    copies = _copies(library, ids)
    generation = library.withdraw(ids, erase=erase)
    if erase:
        receipts = wiring.open_receipts(chosen, library)
        receipts.forget_erased()
        receipts.close()
    library.close()
    if as_json:
        print_json({"generation": generation, "withdrawn": ids, "copies": copies})
    else:
        click.echo(
            f"{'Erased' if erase else 'Withdrew'} {', '.join(paths)}; generation {generation}"
        )
    for path in copies:
        click.echo(f"note: the same content still answers as {path}", err=True)


@documents.command()
@click.argument("names", nargs=-1, required=True)
@shared
def restore(names: Sequence[str], home: Path | None, as_json: bool) -> None:
    """Answer again from documents that were withdrawn. NAMES are ids or paths."""
    library, _ = wiring.open_library(settings(home=home))
    ids = [document_named(library, name) for name in names]
    for document in map(library.document, ids):
        if library.standing(document.id) is Standing.SUPERSEDED:
            newer = library.current(document.source)
            named = newer.id if newer else "of the same file"
            fail(f"{document.path}: a newer revision is answered from. Withdraw {named} first.")
    erased = [d.path for d in map(library.document, ids) if _is_erased(library, d)]
    generation = library.restore(ids)
    library.close()
    if as_json:
        print_json({"generation": generation, "restored": ids, "erased": erased})
    else:
        click.echo(f"Restored {len(ids) - len(erased)}; generation {generation}")
    for path in erased:
        click.echo(f"note: {path} was erased: the next ingest reads its file again", err=True)


def _labels(document: Document) -> str:
    """Return the date, group and tags of a document in short."""
    parts = (document.date, document.group, *(f"#{tag}" for tag in document.tags))
    return f"[{', '.join(filter(None, parts))}]"


def _is_erased(library: Library, document: Document) -> bool:
    return library.standing(document.id) is Standing.ERASED


def _gaps(library: Library, document: Document) -> str:
    unread = library.reading(document.id).unread
    return f"  (not wholly read: {' '.join(unread)})" if unread else ""


def _copies(library: Library, ids: Sequence[str]) -> list[str]:
    """Return where else the content of these documents stands."""
    sources = {library.document(name).source for name in ids}
    found = [copy for name in ids for copy in library.copies(library.document(name).sha256)]
    return sorted({copy.path for copy in found if copy.source not in sources})


def _print_document(library: Library, document: Document, standing: Standing) -> None:
    reading = library.reading(document.id)
    lines = {
        "id": document.id,
        "title": document.title,
        "path": document.path,
        "source": document.source,
        "state": standing,
        "sha256": document.sha256,
        "read by": document.reader,
        "added": document.added_at,
        "date": f"{document.date}, {DATED[document.dated]}",
        "group": document.group or "none",
        "tags": ", ".join(document.tags) or "none",
        "characters": f"{document.characters}, {_covered(reading.uncovered)}",
        "tables": reading.tables,
        "seconds": reading.seconds,
    }
    for name, value in lines.items():
        click.echo(f"{name:>12}  {value}")
    for note in (*reading.unread, *reading.warnings):
        click.echo(f"{'note':>12}  {note}")
    for number, page in enumerate(reading.pages, start=1):
        label = f" ({page.label})" if page.label else ""
        tables = f", {page.tables} tables" if page.tables else ""
        click.echo(
            f"{'page':>12}  {number}{label}: {page.state}, {page.characters} characters{tables}"
        )


def _covered(uncovered: int) -> str:
    return "all in passages" if not uncovered else f"{uncovered} of them in no passage"
