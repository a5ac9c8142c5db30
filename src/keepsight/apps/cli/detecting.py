"""`--detect`: a detector says what to track."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from keepsight.apps.cli.options import TrackOptions
from keepsight.errors import UsageError
from keepsight.types import FrameResult, Prompt

__all__ = ["Detecting", "Prompter", "detecting_from", "load_prompter"]

Prompter = Callable[[FrameResult], Mapping[int, Prompt]]


@dataclass(frozen=True)
class Detecting:
    """What a detector is to look for.

    Attributes:
        labels: names of classes, or "all".
        every: look again on every n-th frame, or on the first only.
        detector: path or name of the network.
        confidence: score below which a detection is passed over.
    """

    labels: tuple[str, ...]
    every: int | None = None
    detector: str = "yolo11n-seg.pt"
    confidence: float = 0.25


def detecting_from(options: TrackOptions) -> Detecting | None:
    """What the command line asks a detector for, or None.

    Raises:
        UsageError: no class is named, or only how often to look.
    """
    if options.detect is None:
        if options.detect_every is not None:
            raise UsageError("--detect-every says when to look, but not for what: add --detect person,dog.")
        return None
    labels = tuple(label.strip() for label in options.detect.split(",") if label.strip())
    if not labels:
        raise UsageError("--detect: expected names of classes, as in --detect person,dog, or 'all'.")
    return Detecting(labels, options.detect_every, options.detector, options.detect_confidence)


def load_prompter(
    detecting: Detecting, device: str, names: dict[int, str], taken: Collection[int]
) -> Prompter:
    """Loads the detector and has it say what to track.

    Args:
        detecting: what to look for.
        device: where the detector runs.
        names: names that objects have already, by object id; gains those of objects found.
        taken: ids that are not to be given.

    Raises:
        KeepsightError: ultralytics is missing, or the network or a class is not to be had.
    """
    from keepsight.detection import DetectionPrompter, YoloDetector

    detector = YoloDetector(detecting.detector, device=device, confidence=detecting.confidence)
    return DetectionPrompter(detector, detecting.labels, every=detecting.every, names=names, taken=taken)
