"""Keeping receipts: for as long as the operator wants, and never at the reader's cost."""

import logging
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from answer.errors import ReceiptNotFound, ReceiptsUnavailable
from answer.receipts.checking import Check, Checker
from answer.receipts.record import Method, Receipt, sha256
from answer.receipts.store import Store, Stored
from answer.types import Answer
from retrieval import Filters, Library, RetrievalError, Standing
from retrieval.types import now

FILE = "receipts.sqlite3"
DAYS = 90
NEVER = "9999"
"""Later than any receipt."""
MOST_WAITING = 1000
"""Receipts that are held in memory while they cannot be stored; the oldest are given up."""
PRUNE = "`footnote receipts prune` takes them out."
NAMED = (
    "`footnote receipts verify` names them. Restore the file from a backup, or remove them with"
    " `footnote receipts prune ID`."
)
AWAY = "Restore it from a backup, or move it away: receipts then begin anew."

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that is wrong with the receipts, and what is to be done about it."""

    problem: str
    remedy: str


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A receipt that is to be stored, the documents whose words it holds, and its generation."""

    stored: Stored
    documents: Sequence[str]
    generation: int


class Receipts:
    """The receipts of a library's answers, kept for some days; 0 keeps none.

    Without `questions` neither the question is stored nor what repeats it.
    """

    def __init__(
        self, home: Path, library: Library, *, days: int = DAYS, questions: bool = True
    ) -> None:
        self.days = days
        self._library = library
        self._questions = questions
        self._store = Store(home / FILE)
        self._waiting: deque[_Waiting] = deque(maxlen=MOST_WAITING)
        self._failing = False
        self._tidies = False

    def close(self) -> None:
        """Let go of the file."""
        with suppress(ReceiptsUnavailable, RetrievalError):  # which was logged
            self._write()
        self._store.close()

    def record(self, answer: Answer, method: Method, filters: Filters | None = None) -> None:
        """Keep the receipt of an answer; raises nothing, since the answer goes on without it.

        What cannot be written now waits for the next one, or the next look. The first of several
        failures is logged.
        """
        if not self.days:
            return
        receipt = Receipt(answer, now(), method, filters or Filters())
        try:
            self._await(receipt if self._questions else receipt.without_question())
            self._write()
        except Exception as problem:
            if not self._failing:
                told = isinstance(problem, ReceiptsUnavailable)
                log.error("receipts of answers are not stored: %s", problem, exc_info=not told)
            self._failing = True
        else:
            self._failing = False

    def find(self, answer_id: str) -> Stored:
        """Return the receipt of an answer, or raise ReceiptNotFound."""
        with suppress(ReceiptsUnavailable):  # it may be another one that waits
            self._write()
        found = self._store.find(answer_id, self._oldest())
        if found is None:
            kept = (
                f"for {self.days} days" if self.days else "for no time: receipts are switched off"
            )
            raise ReceiptNotFound(
                f"There is no receipt of an answer {answer_id}. They are kept {kept}."
            )
        return found

    def newest(self, limit: int) -> list[Stored]:
        """Return the newest receipts, newest first."""
        return self._store.newest(limit, self._oldest())

    def count(self) -> int:
        """Return how many receipts are kept."""
        return self._store.count(self._oldest())

    def verify(self, stored: Stored) -> Check:
        """Compare a receipt with what the library holds now."""
        return Checker(self._library).check(stored)

    def verify_all(self) -> Iterator[Check]:
        """Compare every receipt, oldest first, with what the library holds now."""
        checker = Checker(self._library)
        return (checker.check(stored) for stored in self._store.all(self._oldest()))

    def remove(self, ids: Sequence[str]) -> int:
        """Remove the receipts of these answers for good; return how many there were."""
        for answer_id in ids:
            self.find(answer_id)
        count = self._store.remove(ids)
        self._store.scrub()
        return count

    def prune(self, days: int | None = None) -> int:
        """Remove for good what is older than so many days, those it is kept for if not given.

        Returns how many there were. Words of erased documents go, too.
        """
        count = self._store.expire(_days_ago(self.days if days is None else days))
        self.forget_erased()
        self._store.scrub()
        return count

    def forget_erased(self, among: Sequence[str] | None = None) -> int:
        """Take the words of erased documents out of all receipts for good; return of how many.

        `among` are the documents that may have been erased, all if not given.
        """
        try:
            erased = self._erased(among)
            count = sum(self._store.rewrite(name, partial(_without, name)) for name in erased)
        except ReceiptsUnavailable as problem:
            raise ReceiptsUnavailable(
                f"Words of erased documents may still stand in receipts. {problem} When that is"
                " done, run `footnote receipts prune`."
            ) from problem
        if count:
            self._store.scrub()
        return count

    def tidy(self) -> None:
        """Prune, and go on doing so with each receipt; whatever is in the way is logged.

        This is for a service. A command that was given other settings must remove nothing by
        itself.
        """
        self._tidies = True
        try:
            self.prune()
        except (ReceiptsUnavailable, RetrievalError) as problem:
            log.warning("receipts were not pruned: %s", problem)

    def faults(self) -> Iterator[Fault]:
        """Say what is wrong with the file and with what is in it."""
        try:
            for fault in self._store.faults(create=self.days > 0):
                yield Fault(f"{fault}.", AWAY)
            broken = sum(not stored.intact for stored in self._store.all(self._oldest()))
            if broken:
                yield Fault(f"{broken} receipts are not what was written.", NAMED)
            if erased := self._erased(None):
                yield Fault(f"Words of {len(erased)} erased documents stand in receipts.", PRUNE)
        except ReceiptsUnavailable as problem:
            yield Fault(str(problem), "")

    def _await(self, receipt: Receipt) -> None:
        content = receipt.written()
        stored = Stored(receipt.answer.id, receipt.answered_at, content, sha256(content))
        waiting = _Waiting(stored, sorted(receipt.documents), receipt.answer.generation)
        self._waiting.append(waiting)

    def _write(self) -> None:
        """Store the receipts that wait, or raise ReceiptsUnavailable."""
        expired = self._oldest() if self._tidies else ""
        while self._waiting:
            try:
                one = self._waiting.popleft()
            except IndexError:  # another thread had it
                return
            try:
                self._store.add(one.stored, one.documents, expired=expired)
            except ReceiptsUnavailable:
                self._waiting.appendleft(one)
                raise
            # A document may have been erased while it was being answered from. Whoever erased it
            # either found this receipt or had published before, which shows here.
            if self._library.generation != one.generation:
                self.forget_erased(one.documents)

    def _erased(self, among: Sequence[str] | None) -> list[str]:
        names = self._store.documents() if among is None else among
        return [
            name
            for name in names
            if self._library.stored(name) and self._library.standing(name) is Standing.ERASED
        ]

    def _oldest(self) -> str:
        return _days_ago(self.days)


def _days_ago(days: int) -> str:
    """Return the time so many days ago as receipts note it; none is as young as 0 days."""
    then = datetime.now(UTC) - timedelta(days=days)
    return then.isoformat(timespec="seconds") if days else NEVER


def _without(document_id: str, stored: Stored) -> Stored | None:
    """Take a document's words out of a receipt; None if it was damaged, and must go as a whole."""
    try:
        receipt = Receipt.read(stored.content)
    except ValueError:
        receipt = None
    if receipt is None or not stored.intact:
        log.warning("the receipt of answer %s was damaged, and is removed", stored.id)
        return None
    content = receipt.without(document_id).written()
    return replace(stored, content=content, sha256=sha256(content))
