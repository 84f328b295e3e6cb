"""Is everything in the library what it was when it was written, and if not, making it so."""

from dataclasses import dataclass
from enum import StrEnum


class Part(StrEnum):
    """What can be damaged."""

    DATABASE = "database"
    INDEX = "index of words"
    GENERATION = "generation"
    LEDGER = "ledger entry"
    DOCUMENT = "document"
    SEGMENT = "segment"
    ORIGINAL = "original"


@dataclass(frozen=True, slots=True)
class Damage:
    """One thing that is wrong: where, what, and whether it can be made good from the rest."""

    part: Part
    name: str
    problem: str
    mendable: bool
