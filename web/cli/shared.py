"""What all commands have in common."""

import json
import os
import re
import sys
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any, NoReturn, ParamSpec

import click

from answer import AnswerError
from ingest import IngestError
from retrieval import Filters, Library, RetrievalError
from retrieval.errors import DocumentNotFound
from web import settings as configuration
from web.problems import InvalidRequest
from web.schema.asking import FilterFields
from web.settings import Settings, SettingsError

P = ParamSpec("P")


def shared(command: Callable[P, None]) -> Callable[P, None]:
    """Give a command the options all have, and one line for whatever stops it."""

    @click.option("--home", type=click.Path(path_type=Path), help="The library's folder.")
    @click.option("--json", "as_json", is_flag=True, help="Print JSON.")
    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except (AnswerError, IngestError, RetrievalError, SettingsError) as problem:
            fail(str(problem))
        except UnicodeDecodeError as problem:
            fail(f"A file is not UTF-8 text: {problem}. Save it as UTF-8.")
        except BrokenPipeError:
            raise
        except OSError as problem:
            where = f" ({problem.filename})" if problem.filename else ""
            fail(f"{problem.strerror or problem}{where}.")

    return run


def filtering(command: Callable[P, None]) -> Callable[P, None]:
    """Give a command the options that say which documents to look in, as `given`."""
    for option in reversed(FILTERS):
        command = option(command)
    return command


FILTERS = (
    click.option("--folder", help="Only this folder, and those below it."),
    click.option("--type", "media_types", multiple=True, help="Only this type, such as pdf."),
    click.option("--tag", "tags", multiple=True, help="Only what has this tag, or another given."),
    click.option("--group", "groups", multiple=True, help="Only this group, or another given."),
    click.option("--since", "date_from", metavar="DAY", help="Only from this day on: 2026-03-31."),
    click.option("--until", "date_to", metavar="DAY", help="Only up to this day, included."),
    click.option("--document", "document_ids", multiple=True, help="Only this one: id or path."),
)


OPTIONS = {
    "--since": "date_from",
    "--until": "date_to",
    "--type": "media_types",
    "--tag": "tags",
    "--group": "groups",
    "--document": "document_ids",
    "--folder": "folder",
}


def filters_of(library: Library, given: Mapping[str, Any]) -> Filters:
    """Return the filters that the options of `filtering` ask for."""
    named = {name: list(v) if isinstance(v, tuple) else v for name, v in given.items()}
    named["document_ids"] = [document_named(library, n) for n in given["document_ids"]]
    try:
        return FilterFields.parse(named).filters()
    except InvalidRequest as problem:
        said = str(problem)
        for option, name in OPTIONS.items():
            said = re.sub(rf"“{name}(?:\.\d+)?”", option, said)
        raise click.UsageError(said) from problem


def settings(**given: Any) -> Settings:
    """Return the settings; what is None was not given."""
    return configuration.load(os.environ, **given)


def fail(message: str) -> NoReturn:
    """Say in one line what stopped the command, and end it."""
    click.echo(f"footnote: {message}", err=True)
    sys.exit(1)


def print_json(data: Any) -> None:
    """Print data as it is."""
    click.echo(json.dumps(data, ensure_ascii=False, indent=2))


def printable(text: str) -> str:
    """Return a text without what a terminal would obey: anyone may have written it."""
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)


def say(text: str = "", *, err: bool = False) -> None:
    """Print what readers or documents have a part in."""
    click.echo(printable(text), err=err)


def telling(text: str) -> str:
    """Return a question or query that says something."""
    text = text.encode("utf-8", "replace").decode().strip()
    if not any(c.isalnum() for c in text):
        raise click.UsageError("Ask with at least one word.")
    return text


def document_named(library: Library, name: str) -> str:
    """Return the id of a document named by its id, its shown path or its file.

    A path means the newest revision of that file. Raises DocumentNotFound.
    """
    if library.stored(name):
        return name
    sources = {d.source for d in library.documents() if name in (d.path, d.source)}
    sources |= {f.source for f in library.ledger.files() if name in (f.path, f.source)}
    sources |= {str(Path(name).resolve())}
    found = [revision for source in sorted(sources) for revision in library.revisions(source)]
    if len({revision.source for revision in found}) > 1:
        choice = ", ".join(sorted({revision.source for revision in found}))
        raise DocumentNotFound(f"Several files are called {name}: {choice}. Name one of these.")
    if not found:
        raise DocumentNotFound(
            f"There is no document {name} in the library. `footnote documents list --all` shows"
            " what there is."
        )
    current = library.current(found[-1].source)
    return current.id if current else found[-1].id
