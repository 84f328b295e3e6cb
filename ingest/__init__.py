"""Files become passages in the library."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ingest.errors import IngestError

if TYPE_CHECKING:
    from ingest.job import Job, Outcome, Report
    from ingest.sandbox import Sandbox

__all__ = ["IngestError", "Job", "Outcome", "Report", "Sandbox"]

HOMES = {"Job": "job", "Outcome": "job", "Report": "job", "Sandbox": "sandbox"}


def __getattr__(name: str) -> Any:
    """Import the job when it is asked for: the child that reads files starts without it."""
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"ingest.{HOMES[name]}"), name)
