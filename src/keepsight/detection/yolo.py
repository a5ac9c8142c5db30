"""YOLO11-seg on single frames: ultralytics runs the network, this gives its masks at frame resolution."""

import os
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from keepsight.detection.borrowed import as_data, need, ultralytics, undisturbed
from keepsight.errors import UsageError, WeightsError
from keepsight.types import ImageArray
from keepsight.video.images import as_rgb

__all__ = ["Detection", "Detector", "YoloDetector"]

RELEASES = "https://github.com/ultralytics/assets/releases"
# What ultralytics and the runtimes below it raise on files that are damaged, foreign or of another time.
_DAMAGE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    ImportError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    pickle.UnpicklingError,
)
_MANNERS: dict[str, Any] = {
    "mode": "predict",
    "task": "segment",
    "retina_masks": True,  # masks at frame resolution, cut out of the padding before they are enlarged
    "verbose": False,
    "save": False,
}


@dataclass(frozen=True, eq=False)
class Detection:
    """One instance on one frame.

    Attributes:
        mask: (H, W) bool at frame resolution; marks at least one pixel.
        score: the network's confidence, 0..1.
        class_id: number of its class.
        label: name of its class.
    """

    mask: npt.NDArray[np.bool_]
    score: float
    class_id: int
    label: str


class Detector(Protocol):
    """Whatever finds instances on single frames."""

    @property
    def labels(self) -> Mapping[int, str]:
        """The classes it knows: number to name."""

    def detect(self, image: ImageArray) -> list[Detection]:
        """The instances on an (H, W, 3) uint8 RGB frame, the surest first."""


class YoloDetector:
    """A YOLO segmentation network.

    Nothing is downloaded, reported, installed, printed, or written to disk.

    Args:
        model: a `.pt` or `.onnx` file; a `.yaml` that describes a network (yours, or one that ultralytics
            knows, such as "yolo11n-seg.yaml"), which gets random weights; or a plain name such as
            "yolo11n-seg", meaning that `.pt` in the current folder, its subfolder `weights`, or `folder`.
        device: "auto", "cpu", "cuda", "cuda:1", "mps".
        confidence: the score below which instances are left out, 0..1.
        image_size: longer side in pixels that frames are scaled to; what the file was made with when omitted.
        folder: one more place to look for a plain name.

    Raises:
        KeepsightError: ultralytics is not installed (`pip install 'keepsight[detect]'`), or for `.onnx`
            onnxruntime is not.
        WeightsError: the file is missing, damaged, or no segmentation network.
        UsageError: `confidence` or `device` cannot be.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] = "yolo11n-seg.pt",
        *,
        device: str = "auto",
        confidence: float = 0.25,
        image_size: int | None = None,
        folder: str | os.PathLike[str] | None = None,
    ) -> None:
        if not 0 <= confidence <= 1:
            raise UsageError(f"Expected a detection confidence from 0 to 1, but got {confidence:g}.")
        name = _located(model, folder)
        options = {"conf": confidence, "device": _device(device)}
        if image_size is not None:
            options["imgsz"] = image_size
        self._predictor = _predictor(name, options)
        self._labels = {int(number): str(label) for number, label in self._predictor.model.names.items()}

    @property
    def labels(self) -> Mapping[int, str]:
        """The classes it knows: number to name."""
        return self._labels

    def detect(self, image: ImageArray) -> list[Detection]:
        """The instances on one frame, the surest first.

        Args:
            image: (H, W, 3) uint8 RGB.

        Raises:
            SourceError: the image is none.
        """
        rgb = as_rgb(image, "the frame")
        # Arrays are BGR to ultralytics.
        found = self._predictor(np.ascontiguousarray(rgb[..., ::-1]))[0]
        if found.masks is None:
            return []
        masks = found.masks.data.cpu().numpy().astype(np.bool_)
        detections = [
            Detection(mask, float(score), int(number), self._labels[int(number)])
            for mask, score, number in zip(masks, found.boxes.conf, found.boxes.cls, strict=True)
            if mask.any()
        ]
        return sorted(detections, key=lambda detection: -detection.score)


def _predictor(name: str, options: dict[str, Any]) -> Any:
    """Ultralytics' predictor with the network in it, its reports of use taken out."""
    borrowed = ultralytics()
    failures: tuple[type[BaseException], ...] = _DAMAGE
    task = None
    if name.endswith(".onnx"):
        need("onnxruntime", "onnxruntime")
        failures, task = (*_DAMAGE, *_runtime_errors()), "segment"  # else guessed from the file's name
    with undisturbed(), as_data():
        try:
            network = borrowed.yolo(name, task=task)
            predictor = borrowed.predictor(overrides={**network.overrides, **_MANNERS, **options})
            predictor.callbacks.clear()
            predictor.setup_model(network.model, verbose=False)
            # A trial: what cannot run fails here, and what is imported on first use is imported here.
            predictor(np.zeros((32, 32, 3), np.uint8))
        except failures as error:
            detail = " ".join(str(error).split())[:300]
            raise WeightsError(
                f"{name} cannot be loaded as a YOLO network: expected ultralytics' .pt, .onnx or .yaml, but "
                f"reading failed with {type(error).__name__}: {detail}"
            ) from error
    found = getattr(predictor.model, "task", None) or network.task
    if found != "segment":
        raise WeightsError(
            f"{name} is a network for the task '{found}', but expected is one that gives masks ('segment'). "
            f"Its name usually ends in -seg, as in yolo11n-seg.pt."
        )
    return predictor


def _runtime_errors() -> tuple[type[BaseException], ...]:
    """ONNX Runtime's own errors, which share no base but `Exception`."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    return state.Fail, state.InvalidArgument, state.InvalidGraph, state.InvalidProtobuf, state.NotImplemented


def _located(model: str | os.PathLike[str], folder: str | os.PathLike[str] | None) -> str:
    """The file meant. Ultralytics would fetch one that is missing, so it is never asked for one."""
    path = Path(model).expanduser()
    if path.suffix in (".yaml", ".yml"):
        return str(path)
    if path.suffix not in ("", ".pt", ".onnx"):
        raise WeightsError(
            f"Expected a detector as .pt, .onnx or .yaml, or a name such as yolo11n-seg, but got '{path}'."
        )
    path = path if path.suffix else path.with_name(path.name + ".pt")
    plain = path.parent == Path()
    places = [Path(), Path("weights"), *([] if folder is None else [Path(folder)])] if plain else [Path()]
    for place in places:
        if (place / path).is_file():
            return str(place / path)
    if not plain:
        raise WeightsError(
            f"There is no detector '{path}'; check the path, or download it from {RELEASES} and put it there."
        )
    raise WeightsError(
        f"There is no {path} in {' or '.join(str(place.resolve()) for place in places)}; keepsight does not "
        f"download it, so get it from {RELEASES} and put it there, or give its path."
    )


def _device(name: str) -> str:
    import torch

    if name == "auto":
        return "cuda:0" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(
            f"Expected a device such as auto, cpu, cuda, cuda:1 or mps, but got {name!r}."
        ) from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UsageError(
            f"Expected a device that is here, but got {name!r}, and there are {torch.cuda.device_count()} "
            f"CUDA devices. Use device='auto'."
        )
    return "cuda:0" if name == "cuda" else name
