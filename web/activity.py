"""Whether anybody is being served, for work that had better wait."""

import threading
import time


class Activity:
    """Counts what is asked of the service; looking at it, and watching over it, does not count."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._going = 0
        self._last = time.monotonic()
        self.count = 0
        """Requests so far."""

    def begin(self) -> None:
        """Note a request."""
        with self._lock:
            self._going += 1
            self.count += 1

    def end(self) -> None:
        """Note the end of a request."""
        with self._lock:
            self._going -= 1
            self._last = time.monotonic()

    @property
    def quiet_s(self) -> float:
        """For how long nothing has been asked; 0 while something is being done."""
        with self._lock:
            return 0.0 if self._going else time.monotonic() - self._last
