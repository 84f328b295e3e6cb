"""The model in a process of its own."""

from answer.engine.process import LlamaProcess

__all__ = ["LlamaProcess"]
