"""Files become passages in the library."""

from ingest.errors import IngestError
from ingest.job import Job, Outcome, Report
from ingest.sandbox import Sandbox

__all__ = ["IngestError", "Job", "Outcome", "Report", "Sandbox"]
