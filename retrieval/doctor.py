"""Is everything in the library what it was when it was written, and if not, making it so."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from retrieval.embedder import Embedder
from retrieval.errors import RetrievalError
from retrieval.files import Originals
from retrieval.library import Library
from retrieval.segments import Segment, write_segment
from retrieval.store import rows
from retrieval.types import SegmentRecord, Source, indexed_text


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
