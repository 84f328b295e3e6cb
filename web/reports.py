"""What an ingest did, for machines and for people to keep."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader

from ingest import FileReport, Outcome, Report
from retrieval import Reading


def notes(file: FileReport) -> Iterator[tuple[str, str]]:
    """Return what there is to say of a file: a label, and the note."""
    if file.reason:
        failed = file.outcome is Outcome.FAILED
        yield ("not read" if failed else str(file.outcome)), file.reason
    for what in file.reading.unread:
        yield "not read", what
    for warning in file.reading.warnings:
        yield "note", warning


def as_json(report: Report) -> dict[str, Any]:
    """Return a report as plain data."""
    return {
        "generation": report.generation,
        "seconds": report.seconds,
        "dry_run": report.dry,
        "complete": report.complete,
        "partly_read": report.partly_read,
        "counts": {outcome: report.count(outcome) for outcome in Outcome},
        "files": [_file(file) for file in report.files],
    }


def reading_json(reading: Reading) -> dict[str, Any]:
    """Return what reading a file came to as plain data."""
    return {
        "seconds": reading.seconds,
        "tables": reading.tables,
        "warnings": list(reading.warnings),
        "unread": list(reading.unread),
        "uncovered": reading.uncovered,
        "pages": [
            {
                "page": number,
                "label": page.label or None,
                "state": page.state,
                "tables": page.tables,
                "characters": page.characters,
            }
            for number, page in enumerate(reading.pages, start=1)
        ],
    }


def write(report: Report, file: Path) -> None:
    """Write a report as .json, or as a page that stands by itself."""
    if file.suffix == ".json":
        text = json.dumps(as_json(report), ensure_ascii=False, indent=2) + "\n"
    else:
        text = PAGES.get_template("report.html").render(report=report, Outcome=Outcome, notes=notes)
    file.write_text(text, encoding="utf-8")


PAGES = Environment(loader=PackageLoader("web"), autoescape=True, trim_blocks=True)


def _file(file: FileReport) -> dict[str, Any]:
    return {
        "path": file.path,
        "outcome": file.outcome,
        "reason": file.reason or None,
        "document_id": file.document_id,
        "reader": file.reader or None,
        "characters": file.characters,
        "passages": file.passages,
        **reading_json(file.reading),
    }
