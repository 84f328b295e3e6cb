"""Files become passages in the library."""

from typing import TYPE_CHECKING, Any

from ingest.errors import IngestError

if TYPE_CHECKING:
    from ingest.job import Job, Outcome, Report
    from ingest.sandbox import Sandbox

__all__ = ["IngestError", "Job", "Outcome", "Report", "Sandbox"]


def __getattr__(name: str) -> Any:
    """Import the rest when it is asked for: the child that reads files must start without."""
    from ingest import job, sandbox

    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(sandbox if name == "Sandbox" else job, name)
