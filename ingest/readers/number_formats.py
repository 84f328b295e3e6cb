"""Numbers as a spreadsheet shows them: “31,200”, “7.5 %”, “2024-05-01”."""

import re
from datetime import datetime, timedelta
from functools import lru_cache

from openpyxl.styles.numbers import BUILTIN_FORMATS, is_date_format

QUOTED = re.compile(r'"([^"]*)"|\\(.)|\[\$([^\]-]*)[^\]]*\]|\[[^\]]*\]|_.|\*.')
DIGITS = re.compile(r"[#0?](?:[#0?,. ]*[#0?])?")
EPOCHS = {False: datetime(1899, 12, 30), True: datetime(1904, 1, 1)}
LAST_DAY = 2_958_465  # 9999-12-31


def builtin(number_format: int) -> str:
    """Return the format code of one of the formats every spreadsheet has."""
    return str(BUILTIN_FORMATS.get(number_format, "General"))


def shown(number: float, code: str, *, from_1904: bool = False) -> str:
    """Return a number as its format code shows it; dates are written as ISO does."""
    if dated(code):
        return _date(number, code, from_1904=from_1904) or _general(number)
    section, negated = _section(number, code)
    before, pattern, after = _parsed(section)
    if not pattern:
        return _general(number) if not before or "general" in section.lower() else before
    magnitude = abs(number) if negated or number < 0 else number
    text = f"{before}{_digits(magnitude, section, pattern)}{after}".strip()
    return f"-{text}" if number < 0 and not negated else text


@lru_cache(maxsize=1024)
def dated(code: str) -> bool:
    """Return whether a format shows dates or times."""
    return bool(is_date_format(code))


def _general(number: float) -> str:
    """Return a number without a format, as long as a cell shows it."""
    if number == int(number) and abs(number) < 1e15:
        return str(int(number))
    return f"{number:.10g}" if abs(number) < 1e10 else f"{number:.15g}"


def _section(number: float, code: str) -> tuple[str, bool]:
    """Return the part of a code meant for a number, and whether it shows the sign itself."""
    parts = code.split(";")
    if number < 0 and len(parts) > 1 and parts[1]:
        return parts[1], True
    if number == 0 and len(parts) > 2 and parts[2]:
        return parts[2], False
    return parts[0], False


@lru_cache(maxsize=1024)
def _parsed(section: str) -> tuple[str, str, str]:
    """Return what stands before the digits, the digits' pattern, and what stands after."""
    literals: list[str] = []

    def keep(found: re.Match[str]) -> str:
        text = found[1] or found[2] or found[3] or (" " if found[0][0] == "_" else "")
        literals.extend(text)
        return "\x00" * len(text)

    masked = QUOTED.sub(keep, section)
    found = DIGITS.search(masked)
    if not found:
        return _filled(masked, literals).strip(), "", ""
    cut = masked[: found.start()].count("\x00")
    inside = masked[found.start() : found.end()].count("\x00")
    before = _filled(masked[: found.start()], literals[:cut])
    return before, found[0], _filled(masked[found.end() :], literals[cut + inside :])


def _filled(masked: str, literals: list[str]) -> str:
    rest = iter(literals)
    text = "".join(next(rest, "") if letter == "\x00" else letter for letter in masked)
    return re.sub(r"^,+|[Ee][+-]0+|@", "", text)


def _digits(number: float, section: str, pattern: str) -> str:
    """Return the digits; a comma after the last one divides by a thousand."""
    tail = section[section.find(pattern) + len(pattern) :] if pattern in section else ""
    places = len(re.sub(r"[^#0?]", "", pattern.partition(".")[2]))
    if re.match(r"[Ee][+-]", tail):
        return f"{number:.{places}E}"
    if "/" in tail:
        return _general(number)
    number /= 1000 ** (len(tail) - len(tail.lstrip(",")))
    if "%" in section:
        number *= 100
    grouped = "," if "," in pattern else ""
    text = f"{number:{grouped}.{places}f}"
    return _optional_places(text, pattern)


def _optional_places(text: str, pattern: str) -> str:
    """Drop zeros at the end where the pattern has # for them."""
    optional = len(pattern) - len(pattern.rstrip("#")) if "." in pattern else 0
    while optional and text.endswith("0"):
        text, optional = text[:-1], optional - 1
    whole = pattern.partition(".")[0].replace(",", "")
    return (
        text.removesuffix(".").rjust(len(whole), "0")
        if set(whole) == {"0"}
        else text.removesuffix(".")
    )


def _date(number: float, code: str, *, from_1904: bool) -> str:
    """Return a date, a time, or both, as the code shows; "" if the number is no date."""
    if not -1 < number < LAST_DAY:
        return ""
    if re.search(r"\[[hms]+\]", code.lower()):
        return _duration(number, code)
    plain = re.sub(r'"[^"]*"|\\.|\[[^\]]*\]', "", code.lower())
    if not from_1904 and number < 60:
        number += 1  # 1900 was no leap year, but spreadsheets think so
    moment = EPOCHS[from_1904] + timedelta(seconds=round(number * 86400))
    clock = moment.strftime("%H:%M:%S" if "s" in plain else "%H:%M") if "h" in plain else ""
    day = moment.strftime("%Y-%m-%d") if "y" in plain or "d" in plain else ""
    return " ".join(filter(None, (day, clock))) or moment.strftime("%Y-%m-%d")


def _duration(number: float, code: str) -> str:
    seconds = round(number * 86400)
    text = f"{seconds // 3600}:{seconds % 3600 // 60:02}"
    return f"{text}:{seconds % 60:02}" if "s" in code.lower() else text
