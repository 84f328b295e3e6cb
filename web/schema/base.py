"""What all requests have in common, and the problem that a refusal is."""

from datetime import date
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    StringConstraints,
    ValidationError,
    WithJsonSchema,
)

from web.problems import InvalidRequest


def _day(text: str) -> str:
    """Return a day in ISO 8601; ValueError if it is none."""
    try:
        if date.fromisoformat(text).isoformat() == text:
            return text
    except ValueError:
        pass
    raise ValueError(f"“{text}” is no day; write it as in 2026-03-31")


class Request(BaseModel):
    """A JSON body; names that are not known are refused."""

    model_config = ConfigDict(extra="forbid", strict=True)

    @classmethod
    def parse(cls, body: Any) -> Self:
        """Return the request, or raise InvalidRequest naming each field that is wrong."""
        if not isinstance(body, dict):
            raise InvalidRequest("The body must be a JSON object.")
        try:
            return cls(**body)
        except ValidationError as problem:
            raise InvalidRequest(" ".join(_explain(e) for e in problem.errors())) from problem
        except TypeError as problem:
            raise InvalidRequest(f"The body has a name that cannot be: {problem}.") from problem


Short = Annotated[str, StringConstraints(max_length=1000)]
"""A text that is looked at by the library; the limit also refuses half a character."""
Named = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1000)]
Day = Annotated[Short, AfterValidator(_day), WithJsonSchema({"type": "string", "format": "date"})]


class Problem(BaseModel):
    """An error (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str


def _explain(error: Any) -> str:
    name = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        return f"“{name}” is not known here."
    message = str(error["msg"]).removeprefix("Value error, ")
    if not name:
        return f"{message}."
    return f"“{name}”: {message[:1].lower()}{message[1:]}."
