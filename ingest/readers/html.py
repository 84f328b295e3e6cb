"""HTML: the main content, without navigation, scripts and what does not show."""

from bs4 import BeautifulSoup, NavigableString, Tag
from bs4.element import PreformattedString

from ingest.types import Draft, Extract, File

LEFT_OUT = ("script", "style", "noscript", "template", "nav", "aside", "form", "svg", "iframe")
HEADINGS = {f"h{level}": level for level in range(1, 7)}
BLOCKS = frozenset(
    """address article blockquote body caption dd details div dl dt fieldset figcaption figure
    footer header hr html li main ol p pre section summary table tbody tfoot thead tr ul h1 h2
    h3 h4 h5 h6""".split()
)


def read(file: File) -> Extract:
    """Read HTML: a block for each heading, paragraph, list item and table row."""
    page = BeautifulSoup(file.data, "lxml")
    title = page.title.get_text() if page.title else ""
    for tag in page.find_all(LEFT_OUT):
        tag.decompose()
    for tag in page.select("[hidden], [aria-hidden=true], body > header, body > footer"):
        tag.decompose()
    main = page.find(["main", "article"])
    draft = Draft()
    _walk(main if isinstance(main, Tag) else page.body or page, draft)
    return draft.finish(title)


def _walk(top: Tag, draft: Draft) -> None:
    """Add the blocks below a tag in reading order, without recursion: pages nest deeply."""
    line: list[str] = []
    stack: list[Tag | NavigableString | None] = [top]
    while stack:
        node = stack.pop()
        if node is None:
            _flush(line, draft)
        elif isinstance(node, Tag):
            _open(node, stack, line, draft)
        elif not isinstance(node, PreformattedString):
            line.append(str(node))
    _flush(line, draft)


def _open(
    tag: Tag, stack: list[Tag | NavigableString | None], line: list[str], draft: Draft
) -> None:
    if tag.name in HEADINGS or tag.name == "tr":
        _flush(line, draft)
        draft.add(_row(tag) if tag.name == "tr" else _folded(tag.get_text()), _level(tag))
        return
    if tag.name == "br":
        line.append(" ")
    children = [c for c in tag.children if isinstance(c, Tag | NavigableString)]
    if tag.name in BLOCKS:
        _flush(line, draft)
        stack.append(None)
    stack.extend(reversed(children))


def _row(tag: Tag) -> str:
    return " | ".join(_folded(cell.get_text(" ")) for cell in tag.find_all(["td", "th"]))


def _level(tag: Tag) -> int:
    return HEADINGS.get(tag.name, 0)


def _flush(line: list[str], draft: Draft) -> None:
    draft.add(_folded("".join(line)))
    line.clear()


def _folded(text: str) -> str:
    return " ".join(text.split())
