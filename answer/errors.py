"""What can go wrong while answering.

AnswerError
├── ModelUnavailable   the model cannot be found, or is not one we can run
├── JudgeUnavailable   the judge or cross-encoder cannot be found, or is not one we can use
├── CalibrationImpossible   there is too little to fit, or the file is damaged
├── ReceiptNotFound    no receipt of that answer is kept
├── ReceiptsUnavailable   the file of receipts is damaged, held by another, or the disk refuses it
├── QuestionTooLong    the question and its evidence do not fit the context window
├── ModelBusy          the queue for the model is full, or took too long
└── ModelFailed        the model's process died, hung, or refused the prompt
"""


class AnswerError(Exception):
    """The base of everything answering raises on purpose."""


class ModelUnavailable(AnswerError):
    """The model cannot be found, or is not one we can run: what is wrong, what to do."""


class JudgeUnavailable(AnswerError):
    """What judges evidence cannot be found, or is not one we can use: which, and what to do."""


class CalibrationImpossible(AnswerError):
    """There is too little to fit a decision to, or what was fitted cannot be read."""


class QuestionTooLong(AnswerError):
    """The question and its evidence do not fit the model's context window."""


class ModelBusy(AnswerError):
    """The queue for the model is full, or took the whole queue time; `retry_s` is when to try."""

    def __init__(self, message: str, *, retry_s: float = 10.0) -> None:
        super().__init__(message)
        self.retry_s = retry_s


class ModelFailed(AnswerError):
    """The model's process died, hung, or refused the prompt."""


class ReceiptNotFound(AnswerError):
    """No receipt of that answer is kept: it never was, is too old, or was removed."""


class ReceiptsUnavailable(AnswerError):
    """The file of receipts cannot be used: why, and what to do."""
