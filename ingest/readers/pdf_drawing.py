"""What is drawn on a PDF page: its text with positions, and how much of it is images.

pypdf parses the page; this walks its operators (ISO 32000-1, 8.4, 9.4) and keeps where each
stretch of text stands, which `extract_text` does not tell.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from pypdf.generic import ContentStream

from ingest.readers.pdf_fonts import Shown, Typeface, Typefaces
from ingest.readers.pdf_segments import Segment, Segments

Matrix: TypeAlias = tuple[float, float, float, float, float, float]
IDENTITY: Matrix = (1.0, 0.0, 0.0, 1.0, 0.0, 0.0)

TEXT_OR_IMAGE = re.compile(rb"T[jJ]|Do|BI|['\"]")
STROKES = re.compile(rb"[\s\d][lcvy]\s")
LETTER = 612.0 * 792.0
DEEPEST = 12
"""Forms inside forms; more are no page but an attack."""
MOST_FORMS = 2_000
"""Forms drawn on a page; each may draw others."""


@dataclass(slots=True)
class Drawing:
    """What a page shows.

    `images` is the share of the page that images cover, 0 to 1. `strokes` counts lines and
    curves. Of the strings that are `shown`, `unsure` many are in fonts that do not say what
    characters they show; `lost` many more are in fonts that cannot be used at all.
    """

    segments: Segments = field(default_factory=Segments)
    images: float = 0.0
    strokes: int = 0
    shown: int = 0
    unsure: int = 0
    lost: int = 0


def draw(page: Any, typefaces: Typefaces) -> Drawing:
    """Return what is on a page. It raises nearly anything on a broken one."""
    pen = _Pen(typefaces, _area(page))
    contents = page.get("/Contents")
    if contents is not None:
        pen.run(contents, page.pdf, page.get_inherited("/Resources"))
    return pen.finish()


def _area(page: Any) -> float:
    """Return a page's area in square points; a letter's where it is not said."""
    try:
        return abs(float(page.mediabox.width) * float(page.mediabox.height)) or LETTER
    except (ValueError, TypeError, AttributeError):
        return LETTER


def _times(m: Matrix, n: Matrix) -> Matrix:
    return (
        m[0] * n[0] + m[1] * n[2],
        m[0] * n[1] + m[1] * n[3],
        m[2] * n[0] + m[3] * n[2],
        m[2] * n[1] + m[3] * n[3],
        m[4] * n[0] + m[5] * n[2] + n[4],
        m[4] * n[1] + m[5] * n[3] + n[5],
    )


@dataclass(slots=True)
class _State:
    """The part of the graphics state that text depends on."""

    ctm: Matrix = IDENTITY
    font: Typeface | None = None
    size: float = 1.0
    character_space: float = 0.0
    word_space: float = 0.0
    stretch: float = 1.0
    leading: float = 0.0
    rise: float = 0.0


class _Pen:
    """Follows a content stream's operators."""

    def __init__(self, typefaces: Typefaces, area: float) -> None:
        self._typefaces = typefaces
        self._area = area
        self._drawing = Drawing()
        self._state = _State()
        self._saved: list[_State] = []
        self._line: Matrix = IDENTITY
        self._at: Matrix = IDENTITY
        self._resources: Any = None
        self._pdf: Any = None
        self._open: list[int] = []
        self._forms = 0
        self._parsed: dict[int, ContentStream] = {}
        self._blank = False  # a space was shown by itself
        self._handlers: dict[bytes, Callable[[Any], None]] = {
            b"q": self._save,
            b"Q": self._restore,
            b"cm": self._transform,
            b"BT": self._begin_text,
            b"Tf": self._set_font,
            b"Tc": lambda o: setattr(self._state, "character_space", float(o[0])),
            b"Tw": lambda o: setattr(self._state, "word_space", float(o[0])),
            b"Tz": lambda o: setattr(self._state, "stretch", float(o[0]) / 100),
            b"TL": lambda o: setattr(self._state, "leading", float(o[0])),
            b"Ts": lambda o: setattr(self._state, "rise", float(o[0])),
            b"Td": lambda o: self._move(float(o[0]), float(o[1])),
            b"TD": self._move_and_lead,
            b"Tm": self._place,
            b"T*": lambda _: self._move(0.0, -self._state.leading),
            b"Tj": lambda o: self._show(o[0]),
            b"TJ": self._show_spaced,
            b"'": self._show_next_line,
            b'"': self._show_next_line_spaced,
            b"Do": self._draw_object,
            b"INLINE IMAGE": lambda _: self._draw_image(),
            b"l": self._stroke,
            b"c": self._stroke,
            b"v": self._stroke,
            b"y": self._stroke,
        }

    def finish(self) -> Drawing:
        """Return what was drawn."""
        self._drawing.images = min(self._drawing.images / self._area, 1.0)
        return self._drawing

    def run(self, contents: Any, pdf: Any, resources: Any) -> None:
        """Follow one stream; an operator with the wrong operands is passed over."""
        self._pdf = pdf
        outer = self._resources
        self._resources = None if resources is None else resources.get_object()
        stream = self._stream(contents)
        handlers = self._handlers
        for operands, operator in stream.operations if stream is not None else ():
            handler = handlers.get(operator)
            if handler is None:
                continue
            try:
                handler(operands)
            except (TypeError, ValueError, IndexError, KeyError, AttributeError, OverflowError):
                continue
        self._resources = outer

    def _stream(self, contents: Any) -> ContentStream | None:
        """Parse a stream, unless it shows neither text nor images."""
        contents = contents.get_object()
        if contents is None:
            return None
        known = self._parsed.get(id(contents))
        if known is not None:
            return known
        stream = ContentStream(contents, self._pdf, "bytes")
        data = stream.get_data()
        if not TEXT_OR_IMAGE.search(data):
            self._drawing.strokes += len(STROKES.findall(data))
            return None
        self._parsed[id(contents)] = stream
        return stream

    def _save(self, _: Any) -> None:
        if len(self._saved) < 10_000:
            self._saved.append(replace(self._state))

    def _restore(self, _: Any) -> None:
        if self._saved:
            self._state = self._saved.pop()

    def _transform(self, operands: Any) -> None:
        self._state.ctm = _times(_matrix(operands), self._state.ctm)

    def _begin_text(self, _: Any) -> None:
        self._line = self._at = IDENTITY

    def _set_font(self, operands: Any) -> None:
        fonts = self._resources.get("/Font") if self._resources is not None else None
        fonts = fonts.get_object() if fonts is not None else None
        self._state.font = self._typefaces.get(fonts, operands[0])
        self._state.size = float(operands[1])

    def _place(self, operands: Any) -> None:
        self._line = self._at = _matrix(operands)

    def _move(self, x: float, y: float) -> None:
        a, b, c, d, e, f = self._line
        self._line = self._at = (a, b, c, d, e + x * a + y * c, f + x * b + y * d)

    def _move_and_lead(self, operands: Any) -> None:
        self._state.leading = -float(operands[1])
        self._move(float(operands[0]), float(operands[1]))

    def _show_next_line(self, operands: Any) -> None:
        self._move(0.0, -self._state.leading)
        self._show(operands[0])

    def _show_next_line_spaced(self, operands: Any) -> None:
        self._state.word_space = float(operands[0])
        self._state.character_space = float(operands[1])
        self._show_next_line(operands[2:])

    def _show_spaced(self, operands: Any) -> None:
        state = self._state
        for item in operands[0]:
            if isinstance(item, (bytes, str)):
                self._show(item)
            elif isinstance(item, (int, float)):
                self._advance(-float(item) / 1000 * state.size * state.stretch)

    def _advance(self, by: float) -> None:
        a, b, c, d, e, f = self._at
        if self._state.font is not None and self._state.font.vertical:
            self._at = (a, b, c, d, e + by * c, f + by * d)
        else:
            self._at = (a, b, c, d, e + by * a, f + by * b)

    def _show(self, data: Any) -> None:
        """Add a string where the pen is, and move on."""
        state = self._state
        if state.font is None:
            self._drawing.lost += 1
            return
        shown = state.font.show(data)
        self._drawing.unsure += state.font.unsure
        self._drawing.shown += 1
        if state.font.vertical:
            self._show_downwards(shown)
            return
        here = _times(self._at, state.ctm)
        size = state.size * state.font.em * math.hypot(here[2], here[3])
        if not shown.pieces and shown.wide[1] and self._drawing.segments:
            self._blank = True
        for piece in shown.pieces:
            start = self._length(piece.before)
            self._add(piece.text, here, start, start + self._length(piece.wide), size)
        self._advance(self._length(shown.wide))

    def _length(self, wide: tuple[float, int, int]) -> float:
        """Return how far glyphs reach, in text space (ISO 32000-1, 9.4.4)."""
        width, glyphs, spaces = wide
        state = self._state
        spacing = glyphs * state.character_space + spaces * state.word_space
        return (width / 1000 * state.size + spacing) * state.stretch

    def _show_downwards(self, shown: Shown) -> None:
        """Add a string that is set from top to bottom, as if its line were turned."""
        here = _times(self._at, self._state.ctm)
        a, b, c, d, e, f = here
        size = self._state.size
        glyphs = shown.wide[1]
        text = "".join(piece.text for piece in shown.pieces)
        if text:
            turned = (-c, -d, a, b, e, f)
            self._add(text, turned, 0.0, glyphs * size, size * math.hypot(a, b))
        self._advance(-glyphs * size)

    def _add(self, text: str, here: Matrix, start: float, stop: float, size: float) -> None:
        """Put text on the line it stands on: the last one, or a new one."""
        a, b, c, d, e, f = here
        e, f = e + self._state.rise * c, f + self._state.rise * d
        if self._state.size * self._state.stretch < 0:  # upside down
            a, b, c, d, start, stop = -a, -b, -c, -d, -start, -stop
        if abs(b) <= abs(a):
            sign, turn = (1.0, 0) if a >= 0 else (-1.0, 180)
            left, right, base = sign * (e + start * a), sign * (e + stop * a), sign * f
            if a < 0 < d:  # mirrored, not turned: it is read as it stands
                left, right, base, turn = -right, -left, f, 0
        else:
            sign, turn = (1.0, 90) if b > 0 else (-1.0, 270)
            left, right, base = sign * (f + start * b), sign * (f + stop * b), -sign * e
        if self._blank:
            text, self._blank = f" {text}", False
        space = self._state.font.space if self._state.font else 0.25
        segment = Segment(left, right, base, abs(size) or 1.0, turn, [text])
        self._drawing.segments.add(segment, space)

    def _draw_object(self, operands: Any) -> None:
        """Draw an image, or follow a form."""
        objects = self._resources.get("/XObject").get_object()
        form = objects[operands[0]].get_object()
        if form["/Subtype"] == "/Image":
            self._draw_image()
        if form["/Subtype"] != "/Form" or id(form) in self._open:
            return
        self._forms += 1
        if len(self._open) >= DEEPEST or self._forms > MOST_FORMS:
            return
        self._open.append(id(form))
        outer, pen = replace(self._state), (self._line, self._at, self._saved)
        self._saved = []
        if "/Matrix" in form:
            self._transform(form["/Matrix"])
        self.run(form, self._pdf, form.get("/Resources") or self._resources)
        self._state, (self._line, self._at, self._saved) = outer, pen
        self._open.pop()

    def _draw_image(self) -> None:
        """Count the part of the page that the unit square covers as it is transformed now."""
        a, b, c, d, _, _ = self._state.ctm
        self._drawing.images += min(abs(a * d - b * c), self._area)

    def _stroke(self, _: Any) -> None:
        self._drawing.strokes += 1


def _matrix(operands: Any) -> Matrix:
    a, b, c, d, e, f = (float(number) for number in operands)
    return a, b, c, d, e, f
