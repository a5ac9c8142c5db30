"""The definitions once more, in loops over pixels and frames: slow, and written apart from the package."""

import math
from collections.abc import Sequence
from typing import Any

Grid = Any  # rows of 0 and 1


def jaccard(found: Grid, truth: Grid) -> float:
    both = either = 0
    for found_row, truth_row in zip(found, truth, strict=True):
        for a, b in zip(found_row, truth_row, strict=True):
            both += 1 if a and b else 0
            either += 1 if a or b else 0
    return 1.0 if either == 0 else both / either


def outline(mask: Grid) -> list[tuple[int, int]]:
    height, width = len(mask), len(mask[0])
    cells = []
    for y in range(height):
        for x in range(width):
            others = [(y, x + 1), (y + 1, x), (y + 1, x + 1)]
            inside = [(v, u) for v, u in others if v < height and u < width]
            if any(bool(mask[v][u]) != bool(mask[y][x]) for v, u in inside):
                cells.append((y, x))
    return cells


def matched(cells: list[tuple[int, int]], others: list[tuple[int, int]], reach: int) -> int:
    def near(cell: tuple[int, int]) -> bool:
        return any((cell[0] - v) ** 2 + (cell[1] - u) ** 2 <= reach**2 for v, u in others)

    return sum(1 for cell in cells if near(cell))


def f_measure(found: Grid, truth: Grid, part: float = 0.008) -> float:
    reach = math.ceil(part * math.sqrt(len(truth) ** 2 + len(truth[0]) ** 2))
    ours, theirs = outline(found), outline(truth)
    precision = matched(ours, theirs, reach) / len(ours) if ours else 1.0
    recall = matched(theirs, ours, reach) / len(theirs) if theirs else 1.0
    if ours and not theirs:
        precision, recall = 0.0, 1.0
    if theirs and not ours:
        precision, recall = 1.0, 0.0
    return 0.0 if precision + recall == 0 else 2 * precision * recall / (precision + recall)


def decay(values: Sequence[float]) -> float:
    """In the 1-based positions of the MATLAB original, where .5 rounds up."""
    n = len(values)
    ends = [1 + quarter * (n - 1) / 4 for quarter in range(5)]
    places = [math.floor(end + 0.5) for end in ends]
    first = [values[p - 1] for p in range(places[0], places[1] + 1)]
    last = [values[p - 1] for p in range(places[3], places[4] + 1)]
    return sum(first) / len(first) - sum(last) / len(last)


def box_iou(a: Sequence[float], b: Sequence[float]) -> float:
    across = min(a[2], b[2]) - max(a[0], b[0])
    down = min(a[3], b[3]) - max(a[1], b[1])
    shared = across * down if across > 0 and down > 0 else 0.0
    size = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    return shared / (size - shared)


def success(overlaps: Sequence[float]) -> float:
    curve = [sum(o > step / 20 for o in overlaps) / len(overlaps) for step in range(21)]
    return sum(curve) / 21


def normalised(found: Sequence[Sequence[float]], truth: Sequence[Sequence[float]]) -> float:
    errors = []
    for a, b in zip(found, truth, strict=True):
        dx = ((a[0] + a[2]) / 2 - (b[0] + b[2]) / 2) / (b[2] - b[0])
        dy = ((a[1] + a[3]) / 2 - (b[1] + b[3]) / 2) / (b[3] - b[1])
        errors.append(math.sqrt(dx * dx + dy * dy))
    curve = [sum(e <= step / 100 for e in errors) / len(errors) for step in range(51)]
    return sum(curve) / 51


def auc(scores: Sequence[float], positive: Sequence[bool]) -> float:
    up = [s for s, p in zip(scores, positive, strict=True) if p]
    down = [s for s, p in zip(scores, positive, strict=True) if not p]
    wins = sum(1.0 if a > b else 0.5 if a == b else 0.0 for a in up for b in down)
    return wins / (len(up) * len(down))


def spearman(a: Sequence[float], b: Sequence[float]) -> float:
    def ranks(values: Sequence[float]) -> list[float]:
        return [
            sum(other < value for other in values) + (sum(other == value for other in values) + 1) / 2
            for value in values
        ]

    x, y = ranks(a), ranks(b)
    middle = (len(a) + 1) / 2
    top = sum((p - middle) * (q - middle) for p, q in zip(x, y, strict=True))
    return top / math.sqrt(sum((p - middle) ** 2 for p in x) * sum((q - middle) ** 2 for q in y))
