"""Letting go of a service that keeps failing, so that nobody waits for it."""

import threading
import time


class Breaker:
    """Admits calls until several failed in a row; after a rest one at a time, until one works.

    Whoever was admitted says how it went: exactly one of `worked`, `failed` and `left`.
    """

    def __init__(self, failures: int, rest_s: float) -> None:
        self._most = failures
        self._rest_s = rest_s
        self._lock = threading.Lock()
        self._failures = 0
        self._trying = False
        self._rested_at = 0.0

    @property
    def closed(self) -> bool:
        """Whether calls are let through without further ado."""
        return self._failures < self._most

    def admits(self) -> bool:
        """Whether a call may be made now."""
        with self._lock:
            if self.closed:
                return True
            if self._trying or time.monotonic() < self._rested_at:
                return False
            self._trying = True
            return True

    def worked(self) -> None:
        """Note that the service did what it is there for."""
        with self._lock:
            self._failures, self._trying = 0, False

    def failed(self, *, for_good: bool = False) -> None:
        """Note that it did not; `for_good` spares the others finding out for themselves."""
        with self._lock:
            self._failures = self._most if for_good else self._failures + 1
            self._trying = False
            if not self.closed:
                self._rested_at = time.monotonic() + self._rest_s

    def left(self) -> None:
        """Note that nothing was learnt about the service."""
        with self._lock:
            self._trying = False
