"""The tables and pictures of what scripts/bench_judge.py measured."""

from collections.abc import Mapping, Sequence
from typing import Any

from scripts.retrieval_report import DOCS, table

TEXT = """# The judge

A reader of the embedder's size that Footnote brings along: all-MiniLM-L6-v2 with trained low-rank
adapters and four heads ([its card](../answer/judge/CARD.md)). It reads a question together with a
passage, sentence by sentence, and says which sentence answers, whether any does, which words of it
do, and whether a passage bears out a claim. Printed by `python -m scripts.bench_judge KIT --write`
on 2 cores. Nothing below was trained on. Of what was, no question, article or paragraph is among
the public questions; the dev split's questions share no paragraph with it, though PolicyQA asks all
its policies the same questions, and one in twenty of CondaQA's and Natural Questions' paragraphs
has a sentence of another. Claims are left out whose words or evidence were trained on. The dev
split was looked at to choose: that the mean of two checkpoints is shipped, and what support is
weighed from.

## Asked as a reader asks

The questions of the end-to-end kit over its documents: eight candidates a question, best first.
"Without" is the same code with `FOOTNOTE_JUDGE=none`. Intervals are 95 %, by bootstrap.

{end_to_end}

The probability is fitted on other questions, with look-alikes and absent ones in shares of their
own (`scripts/fit_evidence.py`), not for the mix of this kit, which shows in its calibration.

![What was said to be likely, and how often it was so](judge-reliability.svg)

## Elsewhere

What was not trained on at all: questions to the sample documents in `corpus/` (right is a sentence
that holds the answer; what we wrote to train on is of their kind), the last questions of
MTRAG-UN's conversations over all of its passages, and questions to filings of two companies (right
is a sentence of a right passage, or of a right file). There is a row for each that was run.

{elsewhere}

Where "without" is the higher figure the judge does harm there.

## Given the right paragraph

The dev split of the training data, and public questions of the kit, by source: how often the best
sentence of the paragraph is one that people marked, the area under the ROC curve of questions that
the paragraph answers against those it does not, and how well the words that are pointed out meet
an accepted answer (F1 of words). "Cosine" is what the embedder alone says.

{sources}

## Is a claim borne out?

Area under the ROC curve of claims that their evidence supports, against the others ("partly" is
among them), on the dev split, by what the gate uses: the judge's head weighed with the words,
numbers and names that both share. "Words" is the share of the claim's words alone.

{claims}

## How it learnt

![Loss by step, and the dev split meanwhile](judge-learning.svg)

The curve ends with the later of the two checkpoints whose mean is shipped. Its line for WiCE is of
the few rows that fit into one reading.
"""
FIGURES = {
    "hit1": "the best sentence holds an accepted answer",
    "hit8": "one of the eight does",
    "adversarial_auc": "answerable against look-alikes, area",
    "absent_auc": "answerable against absent, area",
    "calibration_error": "expected calibration error",
}
MARKS = {
    "marked": "words are pointed out in the best sentence, where that is right",
    "marked_right": "and hold an accepted answer",
}

ELSEWHERE = (
    *("questions", "hit1", "hit1_without", "adversarial_auc", "adversarial_auc_without"),
    *("absent_auc", "absent_auc_without"),
)

Row = Mapping[str, Any]


def write_report(lines: Sequence[Row], last: Row, card: Row) -> None:
    """Write docs/judge.md and its pictures."""
    sources = [line for line in lines if "source" in line]
    (support,) = [line for line in lines if "support" in line]
    end = [
        (words, _likely(last, name, ""), _likely(last, name, "_without"))
        for name, words in FIGURES.items()
    ]
    end += [(words, f"{last[name]}", "–") for name, words in MARKS.items()]
    spent = last["ms"]
    end.append(
        (
            "judging, ms, p50 / p95",
            f"{spent['judged']['p50']:.0f} / {spent['judged']['p95']:.0f}",
            f"{spent['more_than_without']['p50']:.0f} less",
        )
    )
    names = (
        *("questions", "hit1", "hit1_between", "hit1_by_cosine", "answerable_auc"),
        *("answerable_between", "answerable_auc_by_cosine", "span_f1"),
    )
    heads = (
        *("source", "questions", "best", "between", "cosine", "area", "between", "cosine"),
        "words, F1",
    )
    text = TEXT.format(
        end_to_end=table(("", "with", "without"), end),
        sources=table(heads, [(s["source"], *(_cell(s[n]) for n in names)) for s in sources]),
        elsewhere=table(
            (
                "set",
                "questions",
                "best right",
                "without",
                "look-alikes, area",
                "without",
                "absent, area",
                "without",
            ),
            [(one["set"], *(_cell(one[n]) for n in ELSEWHERE)) for one in lines if "set" in one],
        ),
        claims=table(
            ("source", "claims", "rows", "area", "between", "words", "calibration error"),
            [
                (
                    name,
                    one["claims"],
                    one["rows"],
                    _cell(one["auc"]),
                    _cell(one["between"]),
                    _cell(one["without"]),
                    _cell(one["calibration_error"]),
                )
                for name, one in support.items()
                if isinstance(one, dict)
            ],
        ),
    )
    (DOCS / "judge.md").write_text(text, encoding="utf-8")
    _draw_reliability(last["reliability"])
    _draw_learning(card)


def _likely(last: Row, name: str, which: str) -> str:
    """Return a figure, and between what it lies where that was reckoned."""
    between = last.get(f"{name.removesuffix('_auc')}_between{which}")
    return f"{last[name + which]}" + (f" ({between[0]:.2f} to {between[1]:.2f})" if between else "")


def _draw_reliability(bins: Sequence[Row]) -> None:
    figure, axes = _figure((5, 4.4))
    axes.plot([0, 1], [0, 1], color="#bbb", linewidth=1)
    sizes = [12 + 2 * one["questions"] for one in bins]
    said, so = [one["said"] for one in bins], [one["so"] for one in bins]
    axes.plot(said, so, color="#0b6e4f")
    axes.scatter(said, so, s=sizes, color="#0b6e4f")
    axes.set_xlabel("probability that the best sentence is right")
    axes.set_ylabel("how often it was (dots by number of questions)")
    figure.savefig(DOCS / "judge-reliability.svg", metadata={"Date": None})


def _draw_learning(card: Row) -> None:
    figure, (left, right) = _figure((9, 3.8), columns=2)
    for name, means in card["losses"].items():
        steps = [card["steps"] * (at + 0.5) / len(means) for at in range(len(means))]
        left.plot(steps, means, label=name)
    left.set_xlabel("step")
    left.set_ylabel("loss, as weighed")
    left.legend(frameon=False)
    curve = card["curve"]
    steps = [look["step"] for look in curve]
    for name in ("squad2_train_pairs", "nq_open_gold", "selqa", "workplace"):
        right.plot(steps, [look["hit1"][name] for look in curve], label=f"{name}: best is right")
    name = "squad2_train_pairs"
    right.plot(steps, [look["auc"][name] for look in curve], "--", label=f"{name}: area")
    right.plot(steps, [look["support"]["wice"] for look in curve], "--", label="wice: area")
    right.set_xlabel("step")
    right.legend(frameon=False, fontsize=8)
    figure.savefig(DOCS / "judge-learning.svg", metadata={"Date": None})


def _figure(size: tuple[float, float], columns: int = 1) -> tuple[Any, Any]:
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "footnote"
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, columns, figsize=size, layout="constrained")
    return figure, axes


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, list):
        return f"{value[0]:.2f} to {value[1]:.2f}"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
