"""HTML: the main content, without navigation, scripts and what does not show."""

import re
from bisect import bisect
from collections.abc import Callable, Iterator, Mapping
from itertools import takewhile

from ingest.errors import Unreadable
from ingest.readers import encoding
from ingest.readers.markup import HEADINGS, Markup, Tag, Writer, parse
from ingest.readers.stated import stated
from ingest.types import Draft, Extract, File, Range, Stated

NEVER_SHOWN = frozenset(
    """annotation annotation-xml applet audio button canvas datalist embed iframe input
    noscript object progress script select style svg template textarea title video""".split()
)
AROUND = frozenset("aside footer header".split())
"""What stands around the content, if it does not stand in it."""
AROUND_ROLES = frozenset("banner complementary contentinfo".split())
NAVIGATION_ROLES = frozenset("navigation search menu menubar".split())
MAIN_SHARE = 0.5
"""The main part is all that is read of a page if it holds this share of the text."""

CHARSET = re.compile(
    rb"""<meta\s[^>]{0,500}charset\s*=\s*["']?\s*([\w:.-]+)
    |^\s*<\?xml\s[^>]{0,200}encoding\s*=\s*["']([\w:.-]+)""",
    re.IGNORECASE | re.VERBOSE,
)
XML = re.compile(r"\s*<\?xml\s", re.IGNORECASE)
UNSEEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0(?![\d.])", re.I)

DATES = (
    *("dcterms.modified", "dc.date.modified", "article:modified_time", "last-modified"),
    *("date", "dc.date", "dcterms.date", "dcterms.created", "dc.date.created"),
    *("article:published_time", "citation_publication_date"),
)
"""What pages call the day they are of, the likeliest to be right first."""
TAGS = ("keywords", "article:tag", "dc.subject", "dcterms.subject")

LeftOut = Callable[[Tag, bool], bool]
"""Whether a tag is left out, and all in it; the second says if it stands in the main part."""


def read(file: File) -> Extract:
    """Read HTML: a block for each heading, paragraph, list item and table row.

    Unreadable if nothing in it shows, as in pages that only scripts or frames fill.
    """
    text = decode(file.data)
    page = parse(text, xml=bool(XML.match(text)))
    draft = Draft()
    if not add(page, draft):
        raise Unreadable(_nothing(page))
    return draft.finish(title(page), stated=said(page))


def decode(data: bytes, stated: str = "") -> str:
    """Return the text of a page in the encoding that was stated, or that it names."""
    found = CHARSET.search(data[:4096])
    named = (found[1] or found[2]).decode("ascii", "replace") if found else ""
    return encoding.decode(data, stated if encoding.known(stated) else named)


def title(page: Markup) -> str:
    """Return what a page calls itself."""
    for at, event in enumerate(page.events):
        if isinstance(event, tuple) and event[0] == "title":
            return page.text(at + 1, page.ends[at])
    return ""


def said(page: Markup) -> Stated:
    """Return what a page says of itself in its tags `meta`."""
    metas = [event[1] for event in page.events if isinstance(event, tuple) and event[0] == "meta"]
    named = [(_name(meta), meta.get("content") or "") for meta in metas]
    dates = (content for wanted in DATES for name, content in named if name == wanted)
    return stated(dates, (content for name, content in named if name in TAGS))


def _name(meta: Mapping[str, str]) -> str:
    return (meta.get("name") or meta.get("property") or "").strip().lower()


def add(page: Markup, draft: Draft) -> bool:
    """Add the content of a page to a draft; False if there is none.

    A page that has no text but in its navigation, or hidden, is read with these.
    """
    choices = [_skipped(page, left_out) for left_out in (_not_content, _not_seen, _never_shown)]
    for skipped in choices:
        if _has_text(page, skipped | _headings(page)):
            break
    else:
        skipped = choices[0]
    writer = Writer(page, draft, skipped)
    spans = _main(page, skipped) if skipped is choices[0] else [(0, len(page.events))]
    for start, stop in spans:
        writer.write(start, stop)
    return writer.added > 0


def _never_shown(tag: Tag, in_main: bool) -> bool:  # noqa: ARG001
    return tag[0] in NEVER_SHOWN


def _not_seen(tag: Tag, in_main: bool) -> bool:
    attributes = tag[1]
    return (
        _never_shown(tag, in_main)
        or "hidden" in attributes
        or attributes.get("aria-hidden") == "true"
        or bool(UNSEEN.search(attributes.get("style", "")[:1000]))
    )


def _not_content(tag: Tag, in_main: bool) -> bool:
    role = tag[1].get("role", "")
    around = tag[0] in AROUND or role in AROUND_ROLES
    navigates = tag[0] == "nav" or role in NAVIGATION_ROLES
    return _not_seen(tag, in_main) or navigates or (around and not in_main)


def _skipped(page: Markup, left_out: LeftOut) -> set[int]:
    """Return where the tags open that are left out, none inside another.

    A header with a heading is the page's own title and stays.
    """
    skipped: set[int] = set()
    titles = _titles(page) if left_out is _not_content else set()
    main_ends, at = 0, 0
    while at < len(page.events):
        event = page.events[at]
        if isinstance(event, tuple):
            if (_not_seen if at in titles else left_out)(event, at < main_ends):
                skipped.add(at)
                at = page.ends[at]
            elif _is_main(event) or event[0] == "article":
                main_ends = max(main_ends, page.ends[at])
        at += 1
    return skipped


def _titles(page: Markup) -> set[int]:
    """Return where the headers open that hold a first heading."""
    titles: set[int] = set()
    around: list[int] = []
    for at, event in enumerate(page.events):
        while around and page.ends[around[-1]] < at:
            around.pop()
        if isinstance(event, tuple) and event[0] == "header":
            around.append(at)
        elif isinstance(event, tuple) and event[0] == "h1":
            titles.update(takewhile(lambda header: header not in titles, reversed(around)))
    return titles


def _headings(page: Markup) -> set[int]:
    events = enumerate(page.events)
    return {at for at, event in events if isinstance(event, tuple) and event[0] in HEADINGS}


def _has_text(page: Markup, skipped: set[int]) -> bool:
    return any(not text.isspace() for _, text in _texts(page, skipped))


def _texts(page: Markup, skipped: set[int]) -> Iterator[tuple[int, str]]:
    """Return the pieces of text of a page and where they stand."""
    at = 0
    while at < len(page.events):
        event = page.events[at]
        if isinstance(event, str):
            yield at, event
        elif at in skipped:
            at = page.ends[at]
        at += 1


def _main(page: Markup, skipped: set[int]) -> list[tuple[int, int]]:
    """Return where the main content stands: what says it is, if it is most of the text."""
    whole = [(0, len(page.events))]
    spans = _outermost(page, skipped, _is_main)
    spans = spans or _outermost(page, skipped, lambda event: event[0] == "article")
    sizes = [(at, len(text.strip())) for at, text in _texts(page, skipped)]
    starts = [0, *(start for start, _ in spans)]
    stops = [0, *(stop for _, stop in spans)]
    inside = sum(size for at, size in sizes if at < stops[bisect(starts, at) - 1])
    return spans if inside > MAIN_SHARE * sum(size for _, size in sizes) else whole


def _is_main(event: Tag) -> bool:
    return event[0] == "main" or event[1].get("role") == "main"


def _outermost(page: Markup, skipped: set[int], wanted: Callable[[Tag], bool]) -> list[Range]:
    spans: list[Range] = []
    at = 0
    while at < len(page.events):
        event = page.events[at]
        if isinstance(event, tuple) and at in skipped:
            at = page.ends[at]
        elif isinstance(event, tuple) and wanted(event):
            spans.append((at, page.ends[at]))
            at = page.ends[at]
        at += 1
    return spans


def _nothing(page: Markup) -> str:
    """Return why a page has no text."""
    if any(isinstance(event, tuple) and event[0] == "frame" for event in page.events):
        return "It only sets frames around other pages. Add those pages."
    return "It holds no text that shows. If scripts fill it, save it from a browser as PDF."
