"""SAMURAI's and SAM2Long's rules once more, plainly: one object, every past frame kept, scalar arithmetic.

Transcribed from the definitions (notes on peers and algorithms, 4.1 and 4.2), independently of the package:
dictionaries by frame, scans over all of the past, scipy-free matrix algebra on Python lists of numpy rows.
"""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
BoxTuple = tuple[float, float, float, float]


def corners_to_state(box: BoxTuple) -> Array:
    x1, y1, x2, y2 = box
    w, h = x2 - x1, y2 - y1
    if h == 0:
        h = 1.0
    return np.array([x1 + (x2 - x1) / 2, y1 + (y2 - y1) / 2, w / h, h])


def overlap(a: BoxTuple, b: BoxTuple) -> float:
    if tuple(b) == (0, 0, 0, 0):
        return 0.0
    w = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    h = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - w * h
    return w * h / union if union else 0.0


class Filter:
    """DeepSORT's filter, one box."""

    def initiate(self, box: BoxTuple) -> None:
        z = corners_to_state(box)
        h = z[3]
        std = [2 * h / 20, 2 * h / 20, 1e-2, 2 * h / 20, 10 * h / 160, 10 * h / 160, 1e-5, 10 * h / 160]
        self.mean, self.cov = np.r_[z, np.zeros(4)], np.diag(np.square(std))

    def predict(self) -> None:
        h = self.mean[3]
        std = [h / 20, h / 20, 1e-2, h / 20, h / 160, h / 160, 1e-5, h / 160]
        step = np.eye(8)
        for i in range(4):
            step[i, i + 4] = 1
        self.mean, self.cov = step @ self.mean, step @ self.cov @ step.T + np.diag(np.square(std))

    def update(self, box: BoxTuple) -> None:
        h = self.mean[3]
        look = np.eye(4, 8)
        noise = np.diag(np.square([h / 20, h / 20, 1e-1, h / 20]))
        spread = look @ self.cov @ look.T + noise
        gain = self.cov @ look.T @ np.linalg.inv(spread)
        self.mean = self.mean + gain @ (corners_to_state(box) - look @ self.mean)
        self.cov = self.cov - gain @ spread @ gain.T

    def box(self) -> BoxTuple:
        x, y, a, h = self.mean[:4]
        return x - a * h / 2, y - h / 2, x + a * h / 2, y + h / 2


@dataclass
class Seen:
    """What one frame offers: three masks' boxes and predicted IoUs, and a presence logit."""

    boxes: list[BoxTuple]
    ious: list[float]
    presence: float


@dataclass
class Samurai:
    """One object prompted on frame 0 and tracked forward."""

    weight: float
    kalman: Filter | None = None
    stable: int = 0
    kept: dict[int, tuple[float, float, float | None]] = field(default_factory=dict)

    def prompted_by_click(self, box: BoxTuple) -> None:
        self._start(box)

    def _start(self, box: BoxTuple) -> None:
        self.kalman = Filter()
        self.kalman.initiate(box)
        self.stable += 1

    def memory_frames(self, t: int) -> list[int]:
        valid: list[int] = []
        if t > 1:
            for i in range(t - 1, 1, -1):
                iou, presence, motion = self.kept[i]
                if iou > 0.5 and presence > 0.0 and (motion is None or motion > 0.0):
                    valid.insert(0, i)
                if len(valid) >= 15:
                    break
        if t - 1 not in valid:
            valid.append(t - 1)
        slots = [valid[j - 7] for j in range(1, 7) if j - 7 >= -len(valid)]
        return [i for i in slots if i in self.kept]

    def see(self, t: int, frame: Seen) -> int:
        motion: float | None = None
        if self.kalman is None or self.stable == 0:
            best = int(np.argmax(frame.ious))
            self._start(frame.boxes[best])
        elif self.stable < 15:
            self.kalman.predict()
            best = int(np.argmax(frame.ious))
            if frame.ious[best] > 0.3:
                self.kalman.update(frame.boxes[best])
                self.stable += 1
            else:
                self.stable = 0
        else:
            self.kalman.predict()
            motions = [overlap(self.kalman.box(), box) for box in frame.boxes]
            scores = [
                self.weight * m + (1 - self.weight) * i for m, i in zip(motions, frame.ious, strict=True)
            ]
            best = int(np.argmax(np.array(scores, dtype=np.float32)))
            motion = motions[best]
            if frame.ious[best] < 0.3:
                self.stable = 0
            else:
                self.kalman.update(frame.boxes[best])
        self.kept[t] = (frame.ious[best], frame.presence, motion)
        return best


@dataclass
class Sam2Long:
    """One object prompted on frame 0; every pathway has a full copy of its own past."""

    pathways: int
    iou_threshold: float
    uncertainty: float
    quirks: bool
    score: list[float] = field(default_factory=list)
    # Per pathway: frame -> (predicted IoU, presence, what was picked: an id of the caller's).
    past: list[dict[int, tuple[float, float, Any]]] = field(default_factory=list)

    def valid(self, p: int, t: int) -> list[int]:
        found: list[int] = []
        for i in range(t - 1, 0, -1):
            iou, presence, _ = self.past[p][i]
            if iou > self.iou_threshold and presence > 0:
                found.insert(0, i)
            if len(found) >= 15:
                break
        if t - 1 not in found and t - 1 >= 1:
            found.append(t - 1)
        return found

    def maps(self, p: int, t: int) -> list[int]:
        return self.valid(p, t)[-6:] if t > 1 else []

    def pointers(self, p: int, t: int) -> list[int]:
        if t <= 1:
            return []
        valid = self.valid(p, t)
        if self.quirks:
            return [valid[-rank] for rank in range(1, 16) if rank < len(valid)]
        return valid[::-1][:15]

    def scales(self, p: int, frames: list[int]) -> list[float]:
        weights = [10.0] + [self.past[p][i][1] for i in frames]
        order = sorted(range(len(weights)), key=lambda j: weights[j])
        if len(weights) == 1:
            return [0.95] if self.quirks else [1.0]
        step = (1.05 - 0.95) / (len(weights) - 1)
        return [0.95 + step * order.index(j) for j in range(len(weights))]

    def see(self, t: int, rows: list[Seen]) -> list[tuple[int, int]]:
        """Chooses among every pathway's candidates; returns (pathway, mask) in order."""
        if t == 1:
            best = int(np.argmax(rows[0].ious))
            chosen = [(0, best)] * self.pathways
            self.score = [0.0] * self.pathways
            self.past = [{} for _ in range(self.pathways)]
        else:
            chosen = self._choose(rows)
            self.score = [self.score[p] + math.log(rows[p].ious[j] + 1e-5) for p, j in chosen]
            self.past = [dict(self.past[p]) for p, _ in chosen]
        for k, (p, j) in enumerate(chosen):
            self.past[k][t] = (rows[p].ious[j], rows[p].presence, (t, p, j))
        return chosen

    def _choose(self, rows: list[Seen]) -> list[tuple[int, int]]:
        everyone = [(p, j) for p in range(self.pathways) for j in range(len(rows[p].ious))]
        total = {(p, j): self.score[p] + math.log(rows[p].ious[j] + 1e-5) for p, j in everyone}
        ranked = sorted(everyone, key=lambda c: total[c], reverse=True)
        if max(abs(row.presence) for row in rows) > self.uncertainty:
            return ranked[: self.pathways]
        accepted: list[tuple[int, int]] = []
        rounded: list[float] = []
        for p, j in ranked:
            q = rows[p].ious[j] if rows[p].presence > 0 else -rows[p].ious[j]
            if round(q, 2) not in rounded:
                accepted.append((p, j))
                rounded.append(round(q, 2))
            if len(accepted) == self.pathways:
                return accepted
        for p in range(self.pathways):
            if len(accepted) < self.pathways and p not in [other for other, _ in accepted]:
                accepted.append(next(c for c in ranked if c[0] == p))
        return accepted
