"""Figures for Prometheus: what was answered, and how the model is doing."""

import threading
from collections import Counter
from collections.abc import Iterator

from flask import Blueprint, Response, current_app
from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from answer import Answer, Status
from answer.engine import LlamaProcess
from answer.model import LanguageModel

bp = Blueprint("metrics", __name__)


class Metrics(Collector):
    """Counts answers, and looks at the model when it is asked.

    The registry is its own, without what prometheus_client adds by itself: that differs from
    system to system.
    """

    def __init__(self, model: LanguageModel | None) -> None:
        self._model = model
        self._lock = threading.Lock()
        self._answers: Counter[Status] = Counter()
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def count(self, answer: Answer) -> None:
        """Count an answer that was given."""
        with self._lock:
            self._answers[answer.status] += 1

    def text(self) -> bytes:
        """Return all figures as Prometheus reads them."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """Yield all figures."""
        answers = CounterMetricFamily("footnote_answers", "Answers given.", labels=["status"])
        with self._lock:
            for status in Status:
                answers.add_metric([status], self._answers[status])
        yield answers
        ready = self._model is not None and self._model.ready
        yield _gauge("ready", "Whether the model would take a prompt now.", ready)
        if isinstance(self._model, LlamaProcess):
            yield from _engine(self._model)


@bp.get("/metrics")
def metrics() -> Response:
    """Give the figures in Prometheus' text format."""
    return Response(of_this_app().text(), content_type=CONTENT_TYPE_LATEST)


def of_this_app() -> Metrics:
    """Return the figures of the application."""
    found: Metrics = current_app.extensions["footnote.metrics"]
    return found


def _engine(model: LlamaProcess) -> Iterator[Metric]:
    figures, queue, waits = model.figures, model.queue, model.waits
    reading, writing = model.speed
    yield _counter("prompt_tokens_read", "Tokens of prompts that were read.", figures.read)
    yield _counter("prompt_tokens_cached", "Tokens of prompts known already.", figures.cached)
    yield _counter("generated_tokens", "Tokens written.", figures.written)
    yield _counter("guessed_tokens", "Tokens of answers that were guessed.", figures.guessed)
    yield _counter("guessed_tokens_right", "Guesses that were written.", figures.right)
    per_second = "tokens a second of work, over the last minute."
    yield _gauge("prompt_tokens_per_second", f"Read {per_second}", reading)
    yield _gauge("generated_tokens_per_second", f"Written {per_second}", writing)
    yield _counter("busy_seconds", "Time at work.", figures.busy_s)
    yield _counter("steps", "Calls of llama.cpp.", figures.steps)
    yield _counter("step_requests", "Requests in all steps: over steps, the batch.", figures.joined)
    yield _gauge("requests", "Requests in the batch now.", queue.writing)
    yield _gauge("queue_length", "Requests that wait now.", queue.waiting)
    yield _gauge("queue_estimate_seconds", "How long one more would likely wait.", queue.wait_s)
    yield SummaryMetricFamily(
        "footnote_model_queue_seconds", "Waits of those let in.", waits.count, waits.total_s
    )
    yield _counter("refused", "Requests that the queue had no room or time for.", waits.refused)
    yield _counter("restarts", "How often the worker was lost and replaced.", model.restarts)


def _counter(name: str, help_text: str, value: float) -> Metric:
    return CounterMetricFamily(f"footnote_model_{name}", help_text, value)


def _gauge(name: str, help_text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"footnote_model_{name}", help_text, value)
