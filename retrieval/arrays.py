"""Named arrays in one file, in the form of safetensors: read from the disk as they are needed.

A length, a header in JSON, then the arrays end to end. Nothing in such a file can run code, and
nothing in it is copied into memory: the system reads the pages that are looked at, and forgets
them when it wants the room.

https://huggingface.co/docs/safetensors/index#format
"""

import hashlib
import json
import mmap
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.files import Block, write_named

KINDS = {"I64": "<i8", "F32": "<f4", "I32": "<i4", "I8": "|i1", "U8": "|u1"}
LENGTH = struct.Struct("<Q")
NOTES = "__metadata__"


@dataclass(frozen=True, slots=True)
class Blocks:
    """An array that is written some rows at a time, so that it never has to be in memory."""

    kind: str
    shape: tuple[int, ...]
    blocks: Iterable[NDArray[Any]]

    @property
    def size(self) -> int:
        """How many bytes it takes."""
        return int(np.prod(self.shape)) * np.dtype(KINDS[self.kind]).itemsize


class ArraysChanged(Exception):
    """A file is not what it was when it was written."""


def write_arrays(
    folder: Path, stem: str, arrays: Mapping[str, Blocks], notes: Mapping[str, str]
) -> tuple[str, str]:
    """Write a file named `stem` and its SHA-256, on disk when this returns.

    Those of the widest numbers come first, so that each begins where its numbers may. Returns
    (name, SHA-256).
    """
    return write_named(
        folder, lambda sha256: f"{stem}-{sha256[:16]}.safetensors", _bytes(arrays, notes)
    )


def read_arrays(path: Path, sha256: str) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """Return the arrays of a file, which stay on disk, and its notes.

    The file is compared with its SHA-256 first: ArraysChanged if it differs. Raises OSError.
    """
    data = mapped(path, sha256)
    (length,) = LENGTH.unpack_from(data)
    start = LENGTH.size + length
    header = json.loads(data[LENGTH.size : start])
    notes = header.pop(NOTES, {})
    return {name: _array(data, start, **fields) for name, fields in header.items()}, notes


def mapped(path: Path, sha256: str) -> mmap.mmap:
    """Return a file as memory that is read from disk; ArraysChanged if it is another.

    It is read once for its SHA-256, in blocks, which takes no memory of ours.
    """
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
            raise ArraysChanged
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _array(
    data: mmap.mmap, start: int, dtype: str, shape: list[int], data_offsets: list[int]
) -> NDArray[Any]:
    count, offset = int(np.prod(shape)), start + data_offsets[0]
    if not count:
        return np.empty(shape, KINDS[dtype])
    return np.frombuffer(data, KINDS[dtype], count, offset).reshape(shape)


def _bytes(arrays: Mapping[str, Blocks], notes: Mapping[str, str]) -> Iterator[Block]:
    header: dict[str, Any] = {NOTES: dict(notes)}
    at = 0
    for name, array in arrays.items():
        places = [at, at := at + array.size]
        header[name] = {"dtype": array.kind, "shape": array.shape, "data_offsets": places}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-(LENGTH.size + len(text)) % 64)
    yield LENGTH.pack(len(text)) + text
    for array in arrays.values():
        for block in array.blocks:
            flat = np.ascontiguousarray(block, KINDS[array.kind]).reshape(-1)
            yield flat.data.cast("B") if flat.size else b""
