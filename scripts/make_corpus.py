"""Build the sample documents in corpus/ from their Markdown sources, the same bytes each run."""

import argparse
from collections.abc import Callable
from pathlib import Path

from scripts.corpus import pdf, text, web, word
from scripts.corpus.source import Source, SourceError, read_source

SOURCES = Path(__file__).parent / "corpus_sources"


def _render_markdown(source: Source) -> bytes:
    """Return the body as it stands."""
    return source.body.encode()


RENDERERS: dict[str, Callable[[Source], bytes]] = {
    ".pdf": pdf.render,
    ".docx": word.render,
    ".html": web.render,
    ".md": _render_markdown,
    ".txt": text.render,
}


def build(sources: Path, out: Path) -> list[Path]:
    """Build every source in the folder into out, and return the files written, in name order."""
    out.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    for path in sorted(sources.glob("*.md")):
        source = read_source(path)
        target = out / source.output
        if target in written:
            raise SourceError(f"{path.name}: another source also makes {source.output}")
        target.write_bytes(_rendered(path, source))
        written.append(target)
    return sorted(written)


def _rendered(path: Path, source: Source) -> bytes:
    """Return the document's bytes; a fault names the source file."""
    render = RENDERERS.get(source.suffix)
    if render is None:
        raise SourceError(f"{path.name}: no format for {source.output}")
    try:
        return render(source)
    except SourceError as fault:
        raise SourceError(f"{path.name}: {fault}") from fault


def main() -> None:
    """Build the documents and list them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("corpus"), help="folder to build into")
    for path in build(SOURCES, parser.parse_args().out):
        print(path)


if __name__ == "__main__":
    main()
