"""What the operator can set: `FOOTNOTE_<NAME>` variables, or the same names in footnote.toml.

A variable wins over the file. A name that is not known is refused, since a setting that is
misspelt and ignored is worse than none.
"""

import logging
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_core import PydanticCustomError

from answer.model import is_address

FILE = Path("footnote.toml")
PREFIX = "FOOTNOTE_"
NO_JUDGE = "none"
KEY = re.compile(r"[!-~]+")  # what may stand in a header of HTTP
LISTS = ("hosts", "folders")
"""What a variable holds several of, with commas between."""
# These belong to the set-up scripts, not to the program.
SCRIPT_NAMES = frozenset({"PYTHON", "CHROMIUM", "CMAKE_ARGS"})


log = logging.getLogger("footnote")


class SettingsError(Exception):
    """A setting is unknown or has a value that cannot be: which, and what may stand there."""


class Settings(BaseModel):
    """Everything that can be set, with what holds if it is not."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    home: Path = Field(Path("library"), description="The library's folder.")
    model: str | None = Field(
        None,
        description="A GGUF file or hub id, or the address of an OpenAI-compatible server up to"
        " /v1; none is the bundled one.",
    )
    model_name: str | None = Field(
        None, description="The model's name on that server; none is the first it lists."
    )
    model_key_file: Path | None = Field(None, description="A file with the key to that server.")
    embedder: str | None = Field(
        None, description="A sentence-transformers folder or hub id; none is the bundled one."
    )
    host: str = Field("127.0.0.1", description="The address to listen on.")
    port: int = Field(8000, ge=0, le=65535, description="The port; 0 takes a free one.")
    hosts: list[str] = Field([], description="Names the service may be called by, besides its own.")
    admin_token_file: Path | None = Field(
        None, description="A file with the token that changing documents over HTTP takes."
    )
    folders: list[Path] = Field([], description="What an ingest without paths reads.")
    passwords: Path | None = Field(
        None, description="A file of passwords to try on locked documents, one a line."
    )
    workers: int = Field(
        default_factory=lambda: min(os.cpu_count() or 2, 8),
        ge=1,
        le=64,
        description="Files an ingest reads at once.",
    )
    request_threads: int = Field(16, ge=2, le=256, description="Requests served at once.")
    model_threads: int = Field(
        default_factory=lambda: min(os.cpu_count() or 2, 8), ge=1, description="Model threads."
    )
    tune: bool = Field(
        True, description="Whether the first `serve` looks, for a few seconds, what is fastest."
    )
    context_tokens: int = Field(4096, ge=512, description="The model's context window.")
    cache_tokens: int = Field(
        8192,
        ge=512,
        description="Tokens of prompts that are remembered. Those being answered have half as many"
        " together, or `CONTEXT_TOKENS`.",
    )
    answers_at_once: int = Field(8, ge=1, le=32, description="Answers the model writes at once.")
    queue_length: int = Field(64, ge=0, description="How many more may wait for the model.")
    queue_s: float = Field(20.0, gt=0, description="Longest wait for the model, in seconds.")
    chunk_tokens: int = Field(240, ge=64, description="Longest passage, in the embedder's tokens.")
    passages: int = Field(10, ge=1, le=50, description="Passages an answer is drawn from.")
    judge: str | None = Field(
        None,
        description="What scores evidence: a sentence-transformers cross-encoder (a folder or hub"
        " id) in the place of the bundled judge; “none” leaves it to the features of sentences.",
    )
    threshold: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Least probability of an answer. None is what `footnote calibrate` chose, or"
        " one half, which is right if a wrong answer costs what a right one earns.",
    )
    receipts_days: int = Field(
        90, ge=0, le=36500, description="Days that the receipts of answers are kept; 0 keeps none."
    )
    receipts_questions: bool = Field(
        True, description="Whether receipts hold the question, and what repeats it."
    )

    @field_validator("home", "folders")
    @classmethod
    def _of_this_user(cls, named: Path | list[Path]) -> Path | list[Path]:
        return named.expanduser() if isinstance(named, Path) else [f.expanduser() for f in named]

    @field_validator("judge", mode="before")
    @classmethod
    def _none_in_any_letters(cls, named: object) -> object:
        if isinstance(named, str) and named.strip().lower() in ("", NO_JUDGE):
            return named.strip().lower() or None
        return named

    @model_validator(mode="after")
    def _only_for_servers(self) -> Self:
        for name in ("model_name", "model_key_file"):
            if getattr(self, name) is not None and not is_address(self.model):
                raise PydanticCustomError(
                    "only_for_servers",
                    "it is for a model on a server, and “model” (FOOTNOTE_MODEL) names none",
                    {"name": name},
                )
        return self


def load(environment: Mapping[str, str], file: Path = FILE, **given: Any) -> Settings:
    """Return the settings: what is given, over the environment, over the file.

    Raises SettingsError.
    """
    named = {
        name.removeprefix(PREFIX).lower(): value
        for name, value in environment.items()
        if name.startswith(PREFIX) and name.removeprefix(PREFIX) not in SCRIPT_NAMES
    }
    for name in LISTS:
        if isinstance(named.get(name), str):
            parts = [part.strip() for part in named[name].split(",")]
            named[name] = [part for part in parts if part]  # type: ignore[assignment]
    chosen = {name: value for name, value in given.items() if value is not None}
    try:
        return Settings(**{**_read(file), **named, **chosen})
    except ValidationError as problem:
        raise SettingsError(_explain(problem)) from problem


def read_key(file: Path) -> str:
    """Return the key to a model's server, the only word of a file; SettingsError if it is not."""
    try:
        key = file.expanduser().read_text(encoding="utf-8").strip()
        others = file.expanduser().stat().st_mode & 0o077
    except (OSError, UnicodeDecodeError) as problem:
        reason = getattr(problem, "strerror", None) or "it is not text"
        raise SettingsError(
            f"The key file {file} cannot be read: {reason}. Check FOOTNOTE_MODEL_KEY_FILE."
        ) from problem
    if not KEY.fullmatch(key):
        raise SettingsError(f"The key file {file} must hold one word, the key, and nothing else.")
    if others:
        log.warning("others on this machine can read the key file %s: chmod 600", file)
    return key


def read_passwords(file: Path | None) -> list[str]:
    """Return the passwords in a file, one a line; SettingsError if it cannot be read."""
    if file is None:
        return []
    try:
        lines = file.expanduser().read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as problem:
        reason = getattr(problem, "strerror", None) or "it is not UTF-8 text"
        raise SettingsError(
            f"The passwords in {file} cannot be read: {reason}. Check FOOTNOTE_PASSWORDS."
        ) from problem
    return [line for line in lines if line]


def _read(file: Path) -> dict[str, Any]:
    if not file.exists():
        return {}
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as problem:
        raise SettingsError(f"{file} cannot be read: {problem}") from problem


def _explain(problem: ValidationError) -> str:
    lines = []
    for error in problem.errors():
        name = str(error["loc"][0] if error["loc"] else error.get("ctx", {}).get("name"))
        if error["type"] == "extra_forbidden":
            known = ", ".join(Settings.model_fields)
            lines.append(f"There is no setting “{name}” ({PREFIX}{name.upper()}). Known: {known}.")
        else:
            lines.append(f"The setting “{name}” ({PREFIX}{name.upper()}): {error['msg']}.")
    return " ".join(lines)
