"""The model in a process of its own."""

from answer.engine.limits import EngineLimits
from answer.engine.options import Score, WriteOptions
from answer.engine.process import LlamaProcess

__all__ = ["EngineLimits", "LlamaProcess", "Score", "WriteOptions"]
