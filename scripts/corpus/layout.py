"""Sharing a line's width among a table's columns."""

from collections.abc import Sequence


def share(width: float, least: Sequence[float], wanted: Sequence[float]) -> list[float]:
    """Return column widths adding up to the width, none under its least.

    Columns that want little get it first, so that short cells stay on one line; those that want
    more divide the rest evenly. Room that nobody wants goes by what each wanted.
    """
    widths = list(least)
    spare = width - sum(least)
    wishes = [max(want - need, 0.0) for need, want in zip(least, wanted, strict=True)]
    modest_first = sorted(range(len(wishes)), key=wishes.__getitem__)
    for rank, column in enumerate(modest_first):
        gain = min(wishes[column], spare / (len(wishes) - rank))
        widths[column] += gain
        spare -= gain
    return [had + spare * want / sum(wanted) for had, want in zip(widths, wanted, strict=True)]
