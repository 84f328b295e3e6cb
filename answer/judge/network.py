"""The judge's network: a small transformer under low-rank adapters, and a head for each judgement.

What is shipped is only what was trained: the adapters (Hu et al., "LoRA", 2021), the biases and
norms beside them, two marks, and the heads. The transformer is that of the bundled embedder.
"""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from answer.judge.reading import CLAIM_MARK, SENTENCE_MARK

HIDDEN = 192
SUPPORT = ("not", "partial", "supported")
MARKS = (SENTENCE_MARK, CLAIM_MARK)
ENCODER = "encoder."


class Adapter(nn.Module):
    """A linear map whose weight stays as it is, with a trained change of low rank beside it."""

    def __init__(self, base: nn.Linear, rank: int) -> None:
        super().__init__()
        self.base = base
        self.down = nn.Parameter(torch.randn(rank, base.in_features) / math.sqrt(base.in_features))
        self.up = nn.Parameter(torch.zeros(base.out_features, rank))

    def forward(self, states: Tensor) -> Tensor:
        """Return W x + b + B A x."""
        changed: Tensor = functional.linear(functional.linear(states, self.down), self.up)
        return cast(Tensor, self.base(states)) + changed


class Heads(nn.Module):
    """What is read off the states of a question and a passage."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.sentence = _two_layers(2 * size, 1)
        self.nothing = _two_layers(size, 1)
        self.span = nn.Linear(size, 2)
        self.support = _two_layers(size, len(SUPPORT))

    def sentences(self, marks: Tensor, means: Tensor) -> Tensor:
        """Return a logit a sentence that it answers, from the state of its mark and the mean
        of those of its tokens, both (sentences, size)."""
        return cast(Tensor, self.sentence(torch.cat([marks, means], dim=-1)))[:, 0]


class Network(nn.Module):
    """The transformer with adapters, for training."""

    def __init__(self, folder: Path, rank: int) -> None:
        super().__init__()
        self.encoder = transformer(folder)
        for parameter in self.encoder.parameters():
            parameter.requires_grad = parameter.dim() == 1  # biases and norms
        for parent, name, linear in list(_linears(self.encoder)):
            setattr(parent, name, Adapter(linear, rank))
        self.marks = nn.Parameter(torch.zeros(len(MARKS), self.encoder.config.hidden_size))
        self.heads = Heads(self.encoder.config.hidden_size)

    def forward(self, given: Mapping[str, Tensor]) -> Tensor:
        """Return the states of a batch of tokens, (readings, tokens, size)."""
        ids = given["input_ids"]
        embedded = self.encoder.embeddings.word_embeddings(ids)
        for number, mark in enumerate(MARKS):
            embedded = embedded + (ids == mark)[..., None] * self.marks[number]
        states: Tensor = self.encoder(
            inputs_embeds=embedded,
            attention_mask=given["attention_mask"],
            token_type_ids=given["token_type_ids"],
        ).last_hidden_state
        return states

    def trained(self) -> dict[str, Tensor]:
        """Return what differs from the bare transformer, in half precision."""
        mine = {name for name, parameter in self.named_parameters() if parameter.requires_grad}
        return {n: t.detach().half() for n, t in self.state_dict().items() if n in mine}


def merged(folder: Path, trained: Mapping[str, Tensor]) -> Any:
    """Return a plain transformer with the trained changes worked in.

    Raises KeyError or RuntimeError if they were not trained on such a transformer.
    """
    encoder = transformer(folder)
    state = encoder.state_dict()
    for name, tensor in trained.items():
        if not name.startswith(ENCODER):
            continue
        name = name.removeprefix(ENCODER)
        if name.endswith(".down"):
            path = name.removesuffix(".down")
            up = trained[f"{ENCODER}{path}.up"].float()
            state[f"{path}.weight"] += up @ tensor.float()
        elif not name.endswith(".up"):
            state[name.replace(".base.", ".")] = tensor.float()
    words = state["embeddings.word_embeddings.weight"]
    for mark, change in zip(MARKS, trained["marks"], strict=True):
        words[mark] += change.float()
    encoder.load_state_dict(state)
    return encoder.eval()


def transformer(folder: Path) -> Any:
    """Return the transformer in a sentence-transformers folder."""
    from transformers import BertModel
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # type: ignore[no-untyped-call]
    model = BertModel.from_pretrained(
        folder,
        attn_implementation="sdpa",
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    model.pooler = None  # loaded with the rest, since transformers prints what it leaves out
    return model


def _two_layers(size: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(size, HIDDEN), nn.GELU(), nn.Linear(HIDDEN, outputs))


def _linears(encoder: nn.Module) -> Iterator[tuple[nn.Module, str, nn.Linear]]:
    for parent in encoder.modules():
        for name, child in parent.named_children():
            if isinstance(child, nn.Linear):
                yield parent, name, child
