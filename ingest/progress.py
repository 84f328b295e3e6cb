"""How far an ingest is."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum


class Stage(StrEnum):
    """What an ingest is doing."""

    LOOKING = "looking"  # for files
    READING = "reading"  # and embedding what was read
    PUBLISHING = "publishing"
    DONE = "done"


@dataclass(slots=True)
class Progress:
    """How far an ingest is: files and bytes met, of all there are, and passages embedded.

    `reused` counts passages whose vector was known.
    """

    stage: Stage = Stage.LOOKING
    files_done: int = 0
    files: int = 0
    bytes_done: int = 0
    bytes: int = 0
    passages: int = 0
    reused: int = 0
    failed: int = 0
    file: str = ""
    began: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """How long it has been going on."""
        return time.monotonic() - self.began

    @property
    def seconds_left(self) -> float | None:
        """How long the rest will take if it goes on like this; None when it cannot be told."""
        if self.stage is not Stage.READING or not self.bytes_done or self.seconds < 2:
            return None
        return self.seconds * (self.bytes - self.bytes_done) / self.bytes_done

    def as_json(self) -> dict[str, object]:
        """Return what is shown to those who follow."""
        left = self.seconds_left
        return {
            "stage": self.stage,
            "files_done": self.files_done,
            "files": self.files,
            "bytes_done": self.bytes_done,
            "bytes": self.bytes,
            "passages": self.passages,
            "reused": self.reused,
            "failed": self.failed,
            "file": self.file,
            "seconds": round(self.seconds, 1),
            "seconds_left": None if left is None else round(left, 1),
            "passages_per_s": round(self.passages / max(self.seconds, 0.1), 1),
        }


Follow = Callable[[Progress], None]
"""Called as often as something changes; what it raises ends the ingest, losing nothing."""
