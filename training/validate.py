"""The validation curve of a run: zero-shot tracking of DAVIS clips every so many minutes, and its picture.

Nothing is learned from these clips; `../shared/data/README.md` allows them for validation.
"""

import json
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from keepsight import Mask, track
from keepsight.evaluation import MaskSequence, open_dataset, region_iou
from keepsight.nn.sam2 import Sam2

__all__ = ["Validation", "draw_curve"]


class Validation:
    """Measures a network on the first frames of validation sequences.

    Args:
        folder: a folder in the layout of DAVIS; where there is none, nothing is measured.
        log: the file that a line per measurement is added to.
        every: minutes of training between measurements.
        frames: of each sequence that are tracked.
    """

    def __init__(self, folder: Path, log: Path, every: float, frames: int = 30) -> None:
        self.sequences: Sequence[MaskSequence] = ()
        if folder.is_dir():
            dataset = open_dataset(folder)
            self.sequences = [s for s in dataset.sequences if isinstance(s, MaskSequence)]
        self.log, self.every, self.frames = log, every, frames
        lines = log.read_text().splitlines() if log.exists() else []
        self.last = float(json.loads(lines[-1])["minutes"]) if lines else 0.0  # minutes when last measured
        self.spent = 0.0  # seconds of the last measurement

    def is_due(self, minutes: float) -> bool:
        """Whether `every` minutes of training have gone by since the last measurement."""
        return bool(self.sequences) and minutes - self.last >= self.every

    def measure(self, network: Sam2, step: int, minutes: float) -> float:
        """Adds mean and per-sequence J (IoU, first frame left out) to the log and returns the mean."""
        started = time.monotonic()
        scores = {s.name: self._score(network, s) for s in self.sequences}
        mean = float(np.mean(list(scores.values())))
        self.spent, self.last = time.monotonic() - started, minutes
        line = {"step": step, "minutes": round(minutes, 2), "j": round(mean, 4), **scores}
        with self.log.open("a") as file:
            file.write(json.dumps(line) + "\n")
        return mean

    def _score(self, network: Sam2, sequence: MaskSequence) -> float:
        (first, *_) = sequence.object_ids
        given = Mask(sequence.masks(0)[first])
        results = track(sequence.frames[: self.frames], {first: given}, model=network)
        ious = [region_iou(result[first].mask, sequence.masks(t)[first]) for t, result in enumerate(results)]
        return round(float(np.mean(ious[1:])), 4)


def draw_curve(run: Path) -> Path:
    """Draws a run's losses and validation J over training time; returns `curve.png` in its folder."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    steps = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    path = run / "validation.jsonl"
    points = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(10, 4), layout="constrained")
    minutes = np.cumsum([20 * step["seconds"] / 60 for step in steps])
    for name in ("cross_entropy", "dice", "iou", "presence"):
        left.plot(minutes, [step[name] for step in steps], label=name)
    left.set(xlabel="minutes of training", ylabel="loss", yscale="log")
    left.legend()
    right.plot([p["minutes"] for p in points], [p["j"] for p in points], marker="o")
    right.set(xlabel="minutes of training", ylabel="validation J, mask on the first frame")
    right.grid(visible=True)
    target = run / "curve.png"
    figure.savefig(target, dpi=80)
    pyplot.close(figure)
    return target
