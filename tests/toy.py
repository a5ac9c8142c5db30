"""A network of a few lines that follows an object by its colour: every policy and session runs on it."""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from keepsight.nn.io import ImageFeatures, InputSpec, MaskCandidates, MemoryBatch, PromptBatch
from keepsight.types import FrameResult, ObjectResult, Points, Prompt

SIZE = 64
GRID = 16  # side of the mask logits


class ToyNetwork:
    """Object pointer and memory map: the object's mean colour. Mask: pixels of like colour."""

    input_spec = InputSpec(SIZE, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    device = torch.device("cpu")
    dtype = torch.float32
    motion_weight = 0.25
    max_conditioning: int | None = None
    recalls_sighting = False

    def __init__(self) -> None:
        self.batches: list[int] = []

    def encode_image(self, pixels: Tensor) -> ImageFeatures:
        fine = F.adaptive_avg_pool2d(pixels, GRID)
        return ImageFeatures(F.adaptive_avg_pool2d(pixels, 4), fine, F.adaptive_avg_pool2d(pixels, 8))

    def segment(
        self,
        features: ImageFeatures,
        memory: MemoryBatch | None,
        prompts: PromptBatch | None,
        *,
        multimask: bool,
        presence_threshold: float = 0.0,
    ) -> MaskCandidates:
        if prompts is not None:
            colours = torch.stack([self._asked(features, *row) for row in zip(*prompts[:2], strict=True)])
        else:
            assert memory is not None
            colours = memory.maps.mean(dim=(1, 2))
            if memory.pointers.shape[1]:
                colours = memory.pointers.mean(dim=1)
        self.batches.append(len(colours))
        return self._found(features, colours, 3 if multimask else 1, presence_threshold)

    def adopt_mask(self, features: ImageFeatures, masks: Tensor) -> MaskCandidates:
        small = F.adaptive_avg_pool2d(masks, GRID)
        colours = self._mean(features, small)
        ones = torch.ones(len(masks), 1)
        return MaskCandidates(small * 20 - 10, ones, colours[:, None], ones * 10)

    def encode_memory(
        self, features: ImageFeatures, logits: Tensor, presence: Tensor, *, prompted: bool
    ) -> Tensor:
        return self._mean(features, logits.sigmoid())[:, None].expand(-1, 16, -1)

    def _mean(self, features: ImageFeatures, weights: Tensor) -> Tensor:
        return (weights * features.fine).sum((2, 3)) / weights.sum((2, 3))

    def _asked(self, features: ImageFeatures, points: Tensor, labels: Tensor) -> Tensor:
        places = points[labels == 1] if (labels == 1).any() else points[labels >= 2].mean(0, keepdim=True)
        cells = (places / SIZE * GRID).long().clamp(0, GRID - 1)
        return features.fine[0][:, cells[:, 1], cells[:, 0]].mean(dim=1)

    def _found(
        self, features: ImageFeatures, colours: Tensor, masks: int, threshold: float
    ) -> MaskCandidates:
        distance = (features.fine - colours[:, :, None, None]).abs().sum(1, keepdim=True)
        tightness = torch.linspace(0.25, 0.15, masks)[:, None, None]
        logits = 40 * (tightness - distance)
        presence = (logits.amax((1, 2, 3)) - 1)[:, None]
        logits = torch.where((presence > threshold)[..., None, None], logits, -1024.0)
        ious = torch.linspace(0.9, 0.5, masks).expand(len(colours), -1)
        return MaskCandidates(logits, ious, colours[:, None].expand(-1, masks, -1), presence)


COLOURS = {1: (230, 30, 30), 2: (30, 220, 30), 3: (30, 40, 230)}


def blob_frame(index: int, hidden: tuple[int, ...] = ()) -> npt.NDArray[np.uint8]:
    """A grey frame, 48 x 80, with a red, a green and a blue square that move, except hidden ones."""
    frame = np.full((48, 80, 3), 90, dtype=np.uint8)
    for i, colour in COLOURS.items():
        if i not in hidden:
            x, y = place(i, index)
            frame[y : y + 12, x : x + 12] = colour
    return frame


def place(i: int, index: int) -> tuple[int, int]:
    """The top left corner of square `i` on a frame."""
    return 10 + (i - 1) * 25 + index % 8, 4 + (i - 1) * 14 + index % 3


def centre(i: int, index: int) -> tuple[int, int]:
    """A pixel inside square `i`."""
    x, y = place(i, index)
    return x + 6, y + 6


def click(i: int, index: int = 0) -> dict[int, Prompt]:
    """One click in the middle of square `i` as it lies on frame `index`."""
    return {i: Points([centre(i, index)])}


def same(a: FrameResult, b: FrameResult) -> bool:
    """Whether two results name the same objects with the same masks and scores, bit for bit."""
    return list(a) == list(b) and all(equal(a[i], b[i]) for i in a)


def equal(a: ObjectResult, b: ObjectResult) -> bool:
    return bool(np.array_equal(a.mask, b.mask)) and (a.score, a.presence) == (b.score, b.presence)


def overlap(result: FrameResult, i: int) -> float:
    """IoU of object `i` with square `i`."""
    x, y = place(i, result.index)
    truth = np.zeros((48, 80), dtype=np.bool_)
    truth[y : y + 12, x : x + 12] = True
    mask = result[i].mask
    return float((mask & truth).sum() / (mask | truth).sum())
