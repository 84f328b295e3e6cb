"""A look, once for each library, at which format of the model's weights is fastest here.

It takes both the model and a few seconds of the machine, so it waits until the service has started
and nobody asks anything; the model then goes on with what was found.
"""

import logging
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from answer import AnswerError
from answer.model import find_model, is_address
from web import models
from web.activity import Activity
from web.ingestions import Ingestions
from web.settings import Settings

if TYPE_CHECKING:
    from answer.engine import LlamaProcess
    from answer.engine.tuned import Tuning

LOOK_S = 20.0
QUIET_S = 3.0
"""How long nobody must have asked anything."""
POLL_S = 0.25
TRIES = 5
"""Looks that somebody's question came between; after so many the next start tries again."""

log = logging.getLogger("footnote")


def is_wanted(settings: Settings) -> bool:
    """Whether there is something to look for, and it may be looked for."""
    from answer.engine.tuned import FILE

    looked = (models.models_folder(settings) / FILE).exists()
    return settings.tune and not looked and not is_address(settings.model)


@dataclass
class FirstLook:
    """Looks in the background, and has the model go on with what was found."""

    settings: Settings
    model: "LlamaProcess"
    activity: Activity
    ingestions: Ingestions
    _over: threading.Event = field(default_factory=threading.Event)

    def begin(self, warm: threading.Thread) -> threading.Thread:
        """Start once `warm` has ended."""

        def look() -> None:
            warm.join()
            try:
                self._look()
            except (AnswerError, OSError) as problem:
                log.warning("which format of the weights is fastest is not known: %s", problem)

        thread = threading.Thread(target=look, daemon=True)
        thread.start()
        return thread

    def stop(self) -> None:
        """Begin nothing more. What a look has started ends with this process."""
        self._over.set()

    def _look(self) -> None:
        from answer.engine.tuning import glance
        from answer.engine.weights import sweep_drafts

        source, limits = find_model(self.settings.model), models.engine_limits(self.settings)
        folder = models.models_folder(self.settings)
        sweep_drafts(folder)  # of a look that the end of the service cut off
        log.info("looking, once, when nobody asks, which format of the weights is fastest here")
        for _ in range(TRIES):
            self._wait_for_quiet()
            if self._over.is_set():
                return
            asked = self.activity.count
            found = glance(source, folder, limits, LOOK_S)
            if found is None:
                return
            if self.activity.count == asked and not self._over.is_set():
                found.save(folder)
                self._go_on_with(found)
                return

    def _go_on_with(self, found: "Tuning") -> None:
        from answer.engine.tuned import Setup
        from answer.engine.tuning import describe

        if found.chosen == Setup.of(models.engine_limits(self.settings)):
            return
        applied = models.applied_to(self.settings, find_model(self.settings.model))
        self.model.change(applied.weights, applied.limits)
        log.info("the model goes on as was found fastest: %s", describe(found.chosen))
        models.log_layers(self.model)

    def _wait_for_quiet(self) -> None:
        while not self._over.wait(POLL_S):
            queue = self.model.queue
            busy = queue.waiting or queue.writing
            if not busy and self.activity.quiet_s >= QUIET_S and not self.ingestions.going():
                return
