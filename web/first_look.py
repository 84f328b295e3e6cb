"""A look, once for each library, at which format of the model's weights is fastest here.

It takes both the model and a few seconds of the machine, so it waits until the service has started
and nobody asks anything; the model then goes on with what was found.
"""

import logging
import threading
import time
from typing import TYPE_CHECKING

from answer import AnswerError
from answer.model import find_model, is_address
from web import models
from web.ingestions import Ingestions
from web.settings import Settings

if TYPE_CHECKING:
    from answer.engine import LlamaProcess

LOOK_S = 8.0
QUIET_S = 3.0
"""How long nobody must have asked anything."""
POLL_S = 0.25

log = logging.getLogger("footnote")


def begin(
    settings: Settings, model: object, ingestions: Ingestions, warm: threading.Thread
) -> threading.Thread | None:
    """Look in the background after `warm` has ended; None if there is nothing to look for."""
    from answer.engine import LlamaProcess
    from answer.engine.tuned import FILE

    looked = (models.models_folder(settings) / FILE).exists()
    if looked or not settings.tune or is_address(settings.model):
        return None
    if not isinstance(model, LlamaProcess):
        return None

    def look() -> None:
        warm.join()
        _wait_for_quiet(model, ingestions)
        try:
            _look(settings, model)
        except (AnswerError, OSError) as problem:
            log.warning("which format of the weights is fastest could not be told: %s", problem)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    return thread


def _wait_for_quiet(model: "LlamaProcess", ingestions: Ingestions) -> None:
    since, seen = time.monotonic(), model.waits.count
    while time.monotonic() - since < QUIET_S:
        time.sleep(POLL_S)
        queue = model.queue
        if model.waits.count != seen or queue.waiting or queue.writing or ingestions.going():
            since, seen = time.monotonic(), model.waits.count


def _look(settings: Settings, model: "LlamaProcess") -> None:
    from answer.engine.tuned import Setup
    from answer.engine.tuning import describe, glance

    log.info("looking, once, which format of the model's weights is fastest here")
    source, limits = find_model(settings.model), models.engine_limits(settings)
    found = glance(source, models.models_folder(settings), limits, LOOK_S)
    if not found:
        return
    found.save(models.models_folder(settings))
    if found.chosen != Setup.of(limits):
        applied = models.applied_to(settings, source)
        model.change(applied.weights, applied.limits)
        log.info("the model goes on as was found fastest: %s", describe(found.chosen))
