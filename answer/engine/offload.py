"""How many layers of a model a GPU is asked to take: all, or as many as fit."""

import ctypes

import llama_cpp.llama_cpp as llama

EIGHTHS = 8


def uses_gpus() -> bool:
    """Whether this build of llama.cpp can put layers on a GPU."""
    return bool(llama.llama_supports_gpu_offload())


def offers(path: str) -> list[int]:
    """Return numbers of layers to try on the GPU, the most first; [0] if the build uses none.

    llama.cpp says whether a number fits only by trying. The last is 0: the processor alone.
    """
    if not uses_gpus():
        return [0]
    layers = _blocks(path) + 1  # and the one that turns states into words
    return sorted({layers * part // EIGHTHS for part in range(EIGHTHS + 1)}, reverse=True)


def _blocks(path: str) -> int:
    """Return how many blocks the model's file says it has."""
    params = llama.llama_model_default_params()
    params.vocab_only = True
    model = llama.llama_model_load_from_file(path.encode(), params)
    if not model:
        return 0
    try:
        kind = _text(model, b"general.architecture")
        return int(_text(model, kind + b".block_count") or 0)
    finally:
        llama.llama_model_free(model)


def _text(model: object, key: bytes) -> bytes:
    buffer = ctypes.create_string_buffer(256)
    size = llama.llama_model_meta_val_str(model, key, buffer, len(buffer))
    return buffer.value if size > 0 else b""
