"""Numbers and names in a text, in a form that can be compared."""

import re

NUMBER = re.compile(r"(?<![\w.])\d+(?:[,\u202f\u00a0]\d{3})*(?:\.\d+)?(?:\s?%|\s?per ?cent\b)?")
NAME = re.compile(r"\b[A-Z][\w’'-]*(?:\s+[A-Z][\w’'-]*)*")
SPELT = {
    word: str(value)
    for value, word in enumerate(
        """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen
        fifteen sixteen seventeen eighteen nineteen twenty""".split()
    )
}
SPELT_WORD = re.compile(rf"\b(?:{'|'.join(SPELT)})\b", re.IGNORECASE)


def numbers_in(text: str) -> set[str]:
    """Return the numbers of a text: "1,200" as 1200, "15 per cent" as 15%, "three" as 3.

    A number is not its percentage: 15 and 15% are two values.
    """
    found = {_canonical(match[0]) for match in NUMBER.finditer(text)}
    return found | {SPELT[match[0].lower()] for match in SPELT_WORD.finditer(text)}


def names_in(text: str) -> list[str]:
    """Return the capitalised names of a text; a sentence's first word alone is not one."""
    names = []
    for match in NAME.finditer(text):
        name = match[0]
        before = text[: match.start()].rstrip()
        if not before or before[-1] in '.!?:“"':
            _, _, name = name.partition(" ")
        if name and not name.isdigit() and name != "I":
            names.append(name)
    return names


def _canonical(number: str) -> str:
    percent = "%" in number or "cent" in number
    digits = re.sub(r"[^\d.]", "", number)
    if "." in digits:
        digits = digits.rstrip("0").rstrip(".")
    return digits + ("%" if percent else "")
