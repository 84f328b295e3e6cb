"""`footnote ask`, `search` and `serve`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from answer import Answer, Ask
from retrieval import Hit
from web import wiring
from web.cli.shared import filtering, filters_of, print_json, say, settings, shared, telling
from web.schema.asking import AnswerReply, SearchReply


@click.command()
@click.argument("question")
@filtering
@shared
def ask(question: str, home: Path | None, as_json: bool, **given: Any) -> None:
    """Ask a question and print the answer with its footnotes."""
    services = wiring.build(settings(home=home))
    try:
        filters = filters_of(services.library, given)
        answer = services.answerer.answer(Ask(telling(question), filters))
    finally:
        services.close()
    if as_json:
        print_json(AnswerReply.of(answer).model_dump())
    else:
        print_answer(answer)
        if services.settings.receipts_days:
            click.echo(f"(receipt: {answer.id})", err=True)


@click.command()
@click.argument("query")
@click.option("--limit", default=8, show_default=True, type=click.IntRange(1, 50))
@filtering
@shared
def search(query: str, limit: int, home: Path | None, as_json: bool, **given: Any) -> None:
    """Find the passages that bear most on a query."""
    library, _ = wiring.open_library(settings(home=home))
    filters = filters_of(library, given)
    snapshot = library.snapshot()
    asked = snapshot.ask(telling(query))
    hits = library.search(asked, limit=limit, filters=filters)
    found = SearchReply.of(asked.query, hits, documents=len(snapshot.allowed(filters)))
    if as_json:
        print_json(found.model_dump())
    else:
        if found.searched_for:
            say(f"(searched for: {found.searched_for})", err=True)
        if found.reason:
            click.echo(f"{found.reason.capitalize()}.", err=True)
        _print_hits(hits)
    library.close()


@click.command()
@click.option("--host", help="The address to listen on.  [default: 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65535), help="The port.  [default: 8000]")
@shared
def serve(host: str | None, port: int | None, home: Path | None, as_json: bool) -> None:
    """Serve the page and the JSON interface until interrupted."""
    from web.server import run

    run(settings(home=home, host=host, port=port), as_json=as_json)


def print_answer(answer: Answer) -> None:
    """Print an answer with its footnotes."""
    if answer.searched_for:
        say(f"(searched for: {answer.searched_for})", err=True)
    if not answer.sentences:
        say(f"Not found: {answer.reason}." + (f" {answer.hint}" if answer.hint else ""))
    else:
        say(answer.text)
    for question in answer.unanswered if answer.sentences else ():
        say(f"Not found: the documents do not answer “{question}”.")
    citations = answer.citations or answer.nearest
    if citations and not answer.citations:
        say("\nNearest, but not an answer:")
    for citation in citations:
        page = f", page {citation.page}" if citation.page else ""
        heading = f", “{citation.heading}”" if citation.heading else ""
        quote = " ".join(citation.quote.split())
        say(f"\n[{citation.number}] {citation.path}{page}{heading}\n    “{quote}”")
        if citation.warning:
            say(f"    Warning: {citation.warning}")
    if answer.reason and answer.sentences:
        say(f"(quoted: {answer.reason})", err=True)


def _print_hits(hits: Sequence[Hit]) -> None:
    for number, hit in enumerate(hits, start=1):
        page = f", page {hit.passage.page}" if hit.passage.page else ""
        text = " ".join(hit.passage.text.split())
        say(f"{number}. {hit.document.path}{page} · {hit.place}\n   {text}")
        if hit.also_in:
            say(f"   (also in {', '.join(other.path for other in hit.also_in)})")
        say()
