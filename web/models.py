"""The model the settings name: in a process here, as fast as was measured, or on a server."""

import logging
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from answer import AnswerError
from answer.model import LanguageModel, find_model, is_address
from answer.prompt import Form, opening
from answer.types import ModelCard
from web.settings import Settings, SettingsError, read_key

if TYPE_CHECKING:
    from answer.engine import LlamaProcess
    from answer.engine.limits import EngineLimits
    from answer.engine.tuned import Applied
    from answer.engine.tuning import Follow, Tuner
    from answer.remote import RemoteModel

log = logging.getLogger("footnote")


def start_model(settings: Settings) -> LanguageModel:
    """Start the model's process and return when it is ready, or find the server that has it.

    Raises AnswerError or SettingsError.
    """
    model = _remote(settings) if is_address(settings.model) else _local(settings)
    try:
        model.start()
    except AnswerError:
        model.close()
        raise
    log_layers(model)
    return model


def log_layers(model: LanguageModel) -> None:
    """Say how many layers of the model a GPU has, where there may be one."""
    layers = getattr(model, "gpu_layers", None)
    if layers is not None:
        log.info("a GPU has %d layers of the model", layers)


def describe_model(settings: Settings) -> str:
    """Return what writes, where and how, or why it cannot."""
    from answer.engine.tuning import describe

    try:
        if is_address(settings.model):
            with closing(_remote(settings)) as model:
                model.start()
                name = model.card.name
            return f"{name}, on the server {settings.model}: questions and evidence go there"
        source = find_model(settings.model)
        applied = applied_to(settings, source)
    except (AnswerError, SettingsError) as problem:
        return str(problem)
    if applied.tuning is None or not applied.tuning.measured:
        return f"{source.stem}, not tuned: run `footnote tune`"
    return f"{source.stem}, {describe(applied.tuning.chosen)} (tuned)"


def describe_acceleration() -> str:
    """Return whether this build of llama.cpp can put layers of a model on a GPU."""
    import llama_cpp

    if llama_cpp.llama_supports_gpu_offload():
        return "llama.cpp can use one: as many layers as fit are put there"
    return (
        "llama.cpp was built without: set up with FOOTNOTE_CMAKE_ARGS=-DGGML_CUDA=on"
        " (README, “On a GPU”)"
    )


def tuner(settings: Settings, folder: Path, follow: "Follow") -> "Tuner":
    """Return what measures the model of the settings; SettingsError if it is on a server."""
    from answer.engine.tuning import Tuner

    if is_address(settings.model):
        raise SettingsError("The model is on a server, and how fast it is there cannot be tuned.")
    return Tuner(find_model(settings.model), folder, engine_limits(settings), follow)


def threads_are_set(settings: Settings) -> bool:
    """Whether the operator says how many threads the model has."""
    return "model_threads" in settings.model_fields_set


def models_folder(settings: Settings) -> Path:
    """Return where what is made from models is kept."""
    return settings.home / "models"


def _remote(settings: Settings) -> "RemoteModel":
    from answer.remote import Patience, RemoteModel, Server, parse_address

    server = Server(
        parse_address(settings.model or ""),
        settings.model_name,
        read_key(settings.model_key_file) if settings.model_key_file else None,
    )
    return RemoteModel(server, Patience(queue_s=settings.queue_s))


def _local(settings: Settings) -> "LlamaProcess":
    from answer.engine import LlamaProcess
    from answer.engine.tuning import describe

    source = find_model(settings.model)
    applied = applied_to(settings, source)
    if applied.tuning and applied.tuning.measured:
        log.info("the model runs as was measured: %s", describe(applied.tuning.chosen))
    elif applied.tuning:
        log.info("the model is not tuned, for want of time when that was tried: `footnote tune`")
    # What a receipt names is the file the operator chose, whatever was made from it.
    card = ModelCard(source.stem, applied.source_sha256) if applied.source_sha256 else None
    return LlamaProcess(
        applied.weights, applied.limits, lambda count: opening(Form.of(count)), card=card
    )


def applied_to(settings: Settings, source: Path) -> "Applied":
    """Return how the settings and what was measured have a model run."""
    from answer.engine.tuned import apply

    applied = apply(source, models_folder(settings), engine_limits(settings))
    if threads_are_set(settings):
        limits = replace(applied.limits, threads=settings.model_threads)
        applied = replace(applied, limits=limits)
    return applied


def engine_limits(settings: Settings) -> "EngineLimits":
    """Return what the settings let the model use."""
    from answer.engine.limits import EngineLimits

    return EngineLimits(
        context_tokens=settings.context_tokens,
        threads=settings.model_threads,
        cache_tokens=settings.cache_tokens,
        sequences=settings.answers_at_once,
        queue=settings.queue_length,
        queue_s=settings.queue_s,
    )
