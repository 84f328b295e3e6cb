"""Files become passages in the library."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ingest.errors import IngestError

if TYPE_CHECKING:
    from ingest.job import Cancelled, Job, Options
    from ingest.ledger import FileReport, Outcome, Report
    from ingest.progress import Progress, Stage
    from ingest.sandbox import Sandbox

__all__ = [
    "Cancelled",
    "FileReport",
    "IngestError",
    "Job",
    "Options",
    "Outcome",
    "Progress",
    "Report",
    "Sandbox",
    "Stage",
]

MODULES = {
    "job": ("Cancelled", "Job", "Options"),
    "ledger": ("FileReport", "Outcome", "Report"),
    "progress": ("Progress", "Stage"),
    "sandbox": ("Sandbox",),
}
HOMES = {name: module for module, names in MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Import the job when it is asked for: the child that reads files starts without it."""
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"ingest.{HOMES[name]}"), name)
