"""What a PDF's fonts make of the bytes that are shown: characters and how wide they are."""

import re
from dataclasses import dataclass
from typing import Any

from pypdf.generic import IndirectObject

# pypdf's own table of encodings, character maps and widths is not public API. Asking for it
# once a font instead of once a page is what makes reading a long file fast; the version is
# pinned in scripts/constraints.txt, and the tests would show a change.
from pypdf.generic._font import Font

PADDING = re.compile(r" {3,}|\t+")
"""White space that is there to move what follows to a column, not to part two words."""
RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")
UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ufeff\ufffe\uffff\u200b]")


@dataclass(frozen=True, slots=True)
class Piece:
    """Characters without padding, and where they stand in what is shown.

    A space at either end says that there is some; the place is without it.
    `before` and `wide` are sums of glyph widths in thousandths of the font size; with them come
    the number of glyphs, and of one-byte spaces, that character and word spacing apply to.
    """

    text: str
    before: tuple[float, int, int]
    wide: tuple[float, int, int]


@dataclass(frozen=True, slots=True)
class Shown:
    """What one string shows: its pieces, and how far it moves the pen."""

    pieces: tuple[Piece, ...]
    wide: tuple[float, int, int]


class Typeface:
    """A font of the file, remembering what it made of each string."""

    def __init__(self, resource: Any) -> None:
        self._font = font = Font.from_font_resource(resource)
        encoding = str(resource.get("/Encoding", ""))
        self.vertical = font.sub_type == "Type0" and encoding.endswith("V")
        self.space = min(max(font.space_width / 1000, 0.22), 0.3)
        """The width of a space, as a share of the font size; more is a guess of pypdf's."""
        self.em = 1.0
        """The height of the type, as a share of the font size."""
        self.unsure = font.sub_type == "Type0" and not font.character_map
        """Whether the file does not say which characters the glyphs are."""
        self._scale = 1.0
        self._widths = font.character_widths
        self._default = float(self._widths["default"])
        if font.sub_type == "Type3":  # its glyphs have a unit of their own, and so has its size
            self._scale = 1000 * abs(float(resource["/FontMatrix"][0]))
            wide = [width for width in self._widths.values() if width] or [500.0]
            self.em, self.space = 2 * self._scale * sum(wide) / len(wide) / 1000, 0.25
        self._known: dict[bytes | str, Shown] = {}

    def show(self, data: bytes | str) -> Shown:
        """Return what a string shows."""
        shown = self._known.get(data)
        if shown is None:
            shown = self._shown(*self._decoded(data))
            if len(self._known) < 20_000:
                self._known[data] = shown
        return shown

    def _decoded(self, data: bytes | str) -> tuple[list[str], list[str]]:
        """Return codes and, for each, the characters it stands for."""
        font = self._font
        if isinstance(data, str):
            codes = read = list(data)
        elif isinstance(font.encoding, str):
            codes = read = list(_decode(data, font.encoding))
        else:
            codes = [chr(code) for code in data]
            read = [font.encoding.get(code, chr(code)) for code in data]
        named = font.character_map
        texts = ["".join([str(named.get(c, c)) for c in text]) for text in read]
        return codes, [text if len(text) < 2 else _as_seen(text) for text in texts]

    def _shown(self, codes: list[str], texts: list[str]) -> Shown:
        """Part the text where padding is, measuring each piece."""
        widths = [self._scale * float(self._widths.get(c, self._default)) for c in codes]
        text = UNSEEN.sub("", "".join(texts)).replace("\xa0", " ")
        if not PADDING.search(text) and text.strip() == text:
            wide = _measure(widths, codes)
            return Shown((Piece(text, (0.0, 0, 0), wide),) if text else (), wide)
        return Shown(tuple(_pieces(codes, texts, widths)), _measure(widths, codes))


def _as_seen(text: str) -> str:
    """Turn round a ligature that is read from right to left, for all else is as it is seen."""
    return text[::-1] if RIGHT_TO_LEFT.search(text) else text


def _decode(data: bytes, encoding: str) -> str:
    try:
        return data.decode(encoding, "surrogatepass")
    except UnicodeDecodeError:
        return data.decode(encoding, "replace")


def _measure(widths: list[float], codes: list[str]) -> tuple[float, int, int]:
    return sum(widths), len(widths), codes.count(" ")


def _pieces(codes: list[str], texts: list[str], widths: list[float]) -> list[Piece]:
    """Return what stands between padding, and between white space at either end."""
    found, at = [], 0
    blank = [not text.strip(" \xa0\t") for text in texts]
    while at < len(texts):
        if blank[at]:
            at += 1
            continue
        stop = at
        while stop < len(texts) and not all(blank[stop : stop + 3]):
            stop += 1
        end = stop
        while blank[end - 1]:
            end -= 1
        text = UNSEEN.sub("", "".join(texts[at:end])).replace("\xa0", " ")
        text = " " * (at > 0) + text + " " * (end < len(texts)) if text else ""
        before = _measure(widths[:at], codes[:at])
        if text:
            found.append(Piece(text, before, _measure(widths[at:end], codes[at:end])))
        at = stop
    return found


class Typefaces:
    """The fonts of a file, each made once."""

    def __init__(self) -> None:
        self._known: dict[object, Typeface | None] = {}
        self._kept: list[object] = []

    def get(self, fonts: Any, name: Any) -> Typeface | None:
        """Return a font by its name in a resource dictionary; None if it cannot be used."""
        raw = fonts.raw_get(name) if fonts is not None and name in fonts else None
        if raw is None:
            return None
        key: object = (raw.idnum, raw.generation) if isinstance(raw, IndirectObject) else id(raw)
        if key not in self._known:
            self._kept.append(raw)  # an id is only good while its object is
            self._known[key] = _made(raw.get_object())
        return self._known[key]


def _made(resource: Any) -> Typeface | None:
    try:
        return Typeface(resource)
    except MemoryError:
        raise
    except Exception:  # a font can be broken in any way; its text is then left to PDFium
        return None
