"""From bytes of tokens to text that can be shown."""

import codecs
from collections.abc import Sequence


class Text:
    """Puts together an answer: whole characters only, and nothing from a stop text on."""

    def __init__(self, stops: Sequence[str] = ()) -> None:
        self._stops = [stop for stop in stops if stop]
        # Bytes that belong to no character become U+FFFD; the start of one waits for its rest.
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""
        self.stopped = False

    def add(self, data: bytes) -> str:
        """Return what can be shown now; after a stop text nothing more."""
        if self.stopped:
            return ""
        self._held += self._decoder.decode(data)
        found = [at for stop in self._stops if (at := self._held.find(stop)) >= 0]
        if found:
            self.stopped = True
            return self._take(min(found))
        return self._take(len(self._held) - self._begun())

    def finish(self) -> str:
        """Return what was held back in case a stop text came; half a character is left out."""
        return "" if self.stopped else self._take(len(self._held))

    def _take(self, count: int) -> str:
        shown, self._held = self._held[:count], self._held[count:]
        return shown

    def _begun(self) -> int:
        """Return how many characters at the end may be the beginning of a stop text."""
        longest = max((len(stop) for stop in self._stops), default=1) - 1
        for size in range(min(longest, len(self._held)), 0, -1):
            if any(stop.startswith(self._held[-size:]) for stop in self._stops):
                return size
        return 0
