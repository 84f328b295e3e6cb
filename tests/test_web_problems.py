"""Every error a request can raise has a problem."""

import pytest
from flask import Flask

from answer import errors as answering
from retrieval import errors as retrieving
from web import ingestions, problems
from web.problems import PROBLEMS, describe

# The base classes are never raised themselves.
BASES = {answering.AnswerError, retrieving.RetrievalError}
ERRORS = [
    error
    for module in (answering, retrieving, ingestions, problems)
    for error in vars(module).values()
    if isinstance(error, type) and issubclass(error, Exception) and error not in BASES
    if error.__module__ == module.__name__
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda e: e.__name__)
def test_every_error_has_a_problem(error: type[Exception]) -> None:
    assert error in PROBLEMS


@pytest.mark.parametrize("module", [answering, retrieving], ids=lambda m: m.__name__)
def test_the_tree_in_the_docstring_names_every_error(module: object) -> None:
    assert module.__doc__ is not None
    for error in ERRORS:
        if error.__module__ == getattr(module, "__name__", ""):
            assert error.__name__ in module.__doc__


def test_an_error_nobody_foresaw_gives_nothing_away() -> None:
    status, _, detail = describe(ZeroDivisionError("secret"))

    assert status == 500
    assert "secret" not in detail


@pytest.mark.parametrize(
    ("error", "status", "wait_s"),
    [(answering.ModelBusy("", retry_s=2.4), 429, "3"), (answering.ModelFailed(""), 503, "10")],
    ids=lambda value: type(value).__name__,
)
def test_who_is_turned_away_from_the_model_is_told_when_to_come_back(
    error: Exception, status: int, wait_s: str
) -> None:
    app = Flask(__name__)
    problems.register(app)

    @app.get("/")
    def fail() -> str:
        raise error

    reply = app.test_client().get("/")

    assert reply.status_code == status
    assert reply.headers["Retry-After"] == wait_s
