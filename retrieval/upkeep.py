"""Keeping the folder in order: merging segments, and deleting what must go."""

from collections.abc import Sequence
from pathlib import Path

from retrieval.files import Originals, sweep
from retrieval.segments import merged
from retrieval.store import Store
from retrieval.types import SegmentRecord


class Upkeep:
    """What is done to the library's files beside questions and ingests.

    Its caller holds the right to write. Readers that hold a generation notice nothing: what
    they loaded stays loaded, and what they load next is named by the database.
    """

    def __init__(
        self, store: Store, segments: Path, originals: Originals, uploads: Originals
    ) -> None:
        self._store = store
        self._segments = segments
        self._originals = originals
        self._uploads = uploads

    def remove_leftovers(self) -> None:
        """Delete documents that were staged by a run which was given up."""
        leftovers = self._store.leftovers()
        if not leftovers:
            return
        with self._store.staging() as staging:
            for document_id in leftovers:
                staging.remove(document_id)

    def merge(self, records: Sequence[SegmentRecord]) -> None:
        """Make one segment of several neighbours, without vectors whose passages are gone."""
        if not records:
            return
        kept = self._store.passage_range(records[0].first, records[-1].last)
        new = merged(self._segments, records, kept)
        with self._store.staging() as staging:
            staging.replace_segments(records, new)

    def sweep(self) -> None:
        """Delete files that nothing refers to, such as a kill leaves behind."""
        sweep(self._segments, {record.name for record in self._store.all_segments()})
        self._originals.sweep(self._store.kept())
        self._uploads.sweep(self._awaited(), older_than_s=3600)

    def erase(self, sources: Sequence[str]) -> None:
        """Delete every revision of these files from the database, the segments and the disk."""
        doomed = [d for source in sources for d in self._store.revisions(source)]
        ids = set(self._store.passage_ids([d.id for d in doomed]).tolist())
        with self._store.staging() as staging:
            for document in doomed:
                staging.remove(document.id, trace=True)
        for record in self._store.all_segments():
            if any(record.first <= number <= record.last for number in ids):
                self.merge([record])
        self.sweep()
        for sha256 in {document.sha256 for document in doomed} - self._awaited():
            self._uploads.path(sha256).unlink(missing_ok=True)
        self._store.scrub()

    def _awaited(self) -> set[str]:
        """Return the SHA-256 of every upload that an ingest is yet to read."""
        return {f.sha256 for f in self._store.ledger.uploads()}
