"""Make a model of random weights in the shape of a larger one, to measure speed with.

    python -m scripts.random_model FILE [--type Q4_0]

The shape is that of a Llama of 1.5 billion parameters: 28 blocks of 2,048 dimensions, 16 heads that
share 4 of keys and values, 6,144 in the middle. Words and chat template are the bundled model's, so
that prompts are as long as they are with that. It writes nonsense. All blocks share their weights,
each in memory of its own when loaded. Prints one JSON line.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import gguf
import numpy as np
from gguf.quants import quantize

from answer.model import find_model

BLOCKS, WIDTH, HEADS, SHARED, MIDDLE = 28, 2048, 16, 4, 6144
CONTEXT = 8192
KEPT = ("tokenizer.", "general.name")
"""What is taken over from the bundled model."""


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--type", default="Q4_0", help="of the weights, as gguf calls it")
    given = parser.parse_args()
    kind = gguf.GGMLQuantizationType[given.type]
    source = gguf.GGUFReader(find_model(None))
    writer = gguf.GGUFWriter(given.file, "llama")
    _describe(writer)
    for name, value in source.fields.items():
        if name.startswith(KEPT):
            _copy(writer, name, value)
    words = len(source.fields["tokenizer.ggml.tokens"].data)
    count = 0
    for name, tensor in _tensors(words):
        count += tensor.size
        data = quantize(tensor, kind) if tensor.ndim > 1 else tensor
        writer.add_tensor(name, data, raw_dtype=kind if tensor.ndim > 1 else None)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    size = given.file.stat().st_size
    print(json.dumps({"random_model": given.file.name, "parameters": count, "bytes": size}))


def _describe(writer: gguf.GGUFWriter) -> None:
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(BLOCKS)
    writer.add_feed_forward_length(MIDDLE)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(SHARED)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    writer.add_rope_dimension_count(WIDTH // HEADS)


def _copy(writer: gguf.GGUFWriter, name: str, field: gguf.ReaderField) -> None:
    kind, *inner = field.types
    writer.add_key_value(name, field.contents(), kind, sub_type=inner[-1] if inner else None)


def _tensors(words: int) -> Iterator[tuple[str, np.ndarray]]:
    rng = np.random.default_rng(1)
    keys = WIDTH // HEADS * SHARED

    def some(rows: int, columns: int) -> np.ndarray:
        return rng.normal(0, 0.02, (rows, columns)).astype(np.float32)

    ones = np.ones(WIDTH, np.float32)
    block = {
        "attn_norm": ones,
        "attn_q": some(WIDTH, WIDTH),
        "attn_k": some(keys, WIDTH),
        "attn_v": some(keys, WIDTH),
        "attn_output": some(WIDTH, WIDTH),
        "ffn_norm": ones,
        "ffn_gate": some(MIDDLE, WIDTH),
        "ffn_up": some(MIDDLE, WIDTH),
        "ffn_down": some(WIDTH, MIDDLE),
    }
    yield "token_embd.weight", some(words, WIDTH)
    for number in range(BLOCKS):
        for name, tensor in block.items():
            yield f"blk.{number}.{name}.weight", tensor
    yield "output_norm.weight", ones


if __name__ == "__main__":
    main()
