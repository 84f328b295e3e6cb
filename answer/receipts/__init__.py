"""Receipts: what was answered, from which words, and how; kept for a while, and checked again.

They lie in a database of their own beside the library's, so that an answer never waits for an
ingest, and nothing of the library changes when a question is asked.
"""

from answer.receipts.checking import Check, State
from answer.receipts.keeping import FILE, Fault, Receipts
from answer.receipts.record import Method, Receipt
from answer.receipts.store import Stored

__all__ = ["FILE", "Check", "Fault", "Method", "Receipt", "Receipts", "State", "Stored"]
