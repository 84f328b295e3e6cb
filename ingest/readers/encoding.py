"""Bytes to text, in whatever encoding: stated, marked, or told from the bytes."""

import codecs
import re

from charset_normalizer import from_bytes

from ingest.errors import Unreadable

BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
WIDER = {
    "ascii": "cp1252",
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "shift_jis": "cp932",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "euc_kr": "cp949",
    "tis-620": "cp874",
}
"""What is meant by encodings that are stated too narrowly, as browsers take it."""

LIKELY = """cp1252 cp1250 cp1251 cp1253 cp1254 cp1255 cp1256 cp1257 cp1258 cp874 koi8_r koi8_u
    cp866 cp850 iso8859_2 iso8859_5 iso8859_7 cp932 euc_jp gb18030 big5 cp949""".split()
CLOSE = 0.05
"""How much less like a language Western European text may look and still be taken for it."""
SAMPLE_BYTES = 64 * 1024
HIGH_LINE = re.compile(rb"[^\n]*[\x80-\xff][^\n]*\n?")
SEQUENCE = re.compile(
    rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}"
)
JAPANESE_SHIFT = re.compile(rb"\x1b\$[@B]")
CONTROL = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f-\x84\x86-\x9f\ufffd]")
MOST_CONTROLS = 0.3
FEW_NULS = 0.02
"""ASCII with this share of NULs has strayed ones; UTF-16 has one in each space."""


def decode(data: bytes, stated: str = "") -> str:
    """Return the text of a file, not yet cleaned; Unreadable if it is not text.

    `stated` is the encoding the file names, which may be wrong or unknown: it is tried first.
    Bytes that have no meaning become replacement characters.
    """
    text = _decoded(data, stated)
    if len(CONTROL.findall(text)) > MOST_CONTROLS * len(text):
        raise Unreadable("It is not text, whatever its name says: it holds binary data.")
    return text


def known(stated: str) -> str:
    """Return the codec for a stated encoding, an empty text if there is none."""
    try:
        codec = codecs.lookup(stated.strip(" \t\"'"))
        "".encode(codec.name)
    except (LookupError, ValueError):  # no such codec, or one for something else than text
        return ""
    return WIDER.get(codec.name, codec.name)


def _decoded(data: bytes, stated: str) -> str:
    for mark, codec in BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return data.decode(codec, "replace")
    codec = known(stated)
    if codec and not (codec.startswith(("utf-16", "utf-32")) and not _wide(data)):
        try:
            return data.decode(codec)
        except ValueError:
            pass
    if wide := _wide(data):
        return data.decode(wide, "replace")
    if JAPANESE_SHIFT.search(data[:SAMPLE_BYTES]):
        return data.decode("iso2022_jp_ext", "replace")
    if codec == "utf-8":
        codec = ""
    return _utf8(data) or data.decode(codec or _guess(data), "replace")


def _wide(data: bytes) -> str:
    """Return the codec of UTF-16 or UTF-32 without a mark, told by where its NULs stand."""
    start = data[: min(len(data), 4096) // 4 * 4]
    if 0 not in start or (start.isascii() and start.count(0) <= FEW_NULS * len(start)):
        return ""
    for codec in ("utf-32-le", "utf-32-be"):
        if _printable(start, codec):
            return codec
    even, odd = start[::2].count(0), start[1::2].count(0)
    codec = "utf-16-le" if odd > even else "utf-16-be"
    return codec if max(even, odd) > 3 * min(even, odd) and _printable(start, codec) else ""


def _printable(start: bytes, codec: str) -> bool:
    """Whether bytes taken for an encoding give nearly nothing but characters that show."""
    text = start.decode(codec, "replace")
    shown = sum(c.isprintable() or c.isspace() for c in text) - text.count("\ufffd")
    return shown > 0.9 * len(text)


def _utf8(data: bytes) -> str:
    """Return UTF-8 as text, even where a little of it is broken; nothing if it is not UTF-8."""
    try:
        return data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        text = data.decode("utf-8", "replace")
    return text if len(SEQUENCE.findall(data)) > text.count("\ufffd") else ""


def _guess(data: bytes) -> str:
    """Return the most likely of the old encodings; Unreadable if none makes sense."""
    found = from_bytes(_sample(data), cp_isolation=LIKELY) or from_bytes(data, cp_isolation=LIKELY)
    best = found.best()
    if best is None or (b"\x00" in data and data.count(0) > len(data) // 1000):
        raise Unreadable("It is not text, or its encoding cannot be told. Save it as UTF-8.")
    western = next((m for m in found if m.encoding == "cp1252"), best)
    as_likely = western.chaos <= best.chaos and western.coherence >= best.coherence - CLOSE
    return western.encoding if as_likely else best.encoding


def _sample(data: bytes) -> bytes:
    """Return lines with other bytes than ASCII, which are the ones that tell."""
    if len(data) <= SAMPLE_BYTES:
        return data
    lines: list[bytes] = []
    size = 0
    for line in HIGH_LINE.finditer(data):
        lines.append(line[0])
        size += len(line[0])
        if size > SAMPLE_BYTES:
            break
    return b"".join(lines)
