"""What goes into a video segmentation network and what comes out.

Shapes: B objects (or hypotheses), M mask candidates, S the side of the square model input in pixels,
h = w = S / 16 the side of the memory grid, n = h * w its tokens, C the width of the image embedding,
D the width of a memory token, F memory frames and P object pointers in one view.
"""

from typing import NamedTuple, Protocol

import torch
from torch import Tensor

__all__ = [
    "ImageFeatures",
    "InputSpec",
    "MaskCandidates",
    "MemoryBatch",
    "MemoryView",
    "PromptBatch",
    "VideoNetwork",
]


class InputSpec(NamedTuple):
    """How pixels must be prepared for the image encoder."""

    size: int  # S; frames are resized to S x S without keeping the aspect ratio
    mean: tuple[float, float, float]  # per RGB channel, of values 0..1
    std: tuple[float, float, float]
    as_reference: bool = True  # resized bit for bit as by SAM 2, with Pillow, which takes ten times as long


class ImageFeatures(NamedTuple):
    """One frame as the image encoder sees it, shared by all its objects."""

    embedding: Tensor  # (1, C, h, w), no memory in it yet
    fine: Tensor  # (1, C / 8, 4h, 4w), for the mask decoder's last step
    middle: Tensor  # (1, C / 4, 2h, 2w), for the mask decoder's first step
    # What memory knows cells by, of stride 16 (1, n, K) and 8 (1, 2h, 2w, K); None in SAM 2.
    keys: Tensor | None = None
    fine_keys: Tensor | None = None


class PromptBatch(NamedTuple):
    """Points and earlier masks of B objects on one frame."""

    points: Tensor  # (B, N, 2) float32, x and y in pixels of the model input
    labels: Tensor  # (B, N) int32: 1 object, 0 not object, 2 / 3 box corners, -1 padding
    mask_logits: Tensor | None = None  # (B, 1, 4h, 4w) float32, an earlier answer to be corrected


class MemoryView(NamedTuple):
    """What one hypothesis of one object recalls on one frame; views of equal `layout` stack."""

    maps: tuple[Tensor, ...]  # each (n, D); of prompted frames first, the one closest in time before all
    ages: tuple[int, ...]  # per map: 0 for conditioning frames, else 1.. frames of distance
    pointers: tuple[Tensor, ...]  # each (C,)
    offsets: tuple[int, ...]  # per pointer: signed distance in frames, past positive
    map_scales: tuple[float, ...] = ()  # per map: a factor of its keys in attention; () for 1
    pointer_scales: tuple[float, ...] = ()  # likewise per pointer
    sightings: int = 0  # how many of the tracked maps, the first ones, are out of reach but kept

    @property
    def layout(self) -> tuple[int, int, int, int]:
        """Number of maps, of prompted ones and sightings among them, and of pointers.

        Views of one batch agree in it.
        """
        return len(self.maps), self.ages.count(0), self.sightings, len(self.pointers)


class MemoryBatch(NamedTuple):
    """B views of one layout, stacked: of all, the same maps are of prompted frames."""

    maps: Tensor  # (B, F, n, D)
    ages: Tensor  # (B, F) int64
    pointers: Tensor  # (B, P, C)
    offsets: Tensor  # (B, P) float32
    map_scales: Tensor | None = None  # (B, F) float32
    pointer_scales: Tensor | None = None  # (B, P) float32
    sightings: int = 0  # of all, the first tracked maps

    @classmethod
    def stack(cls, views: "list[MemoryView]") -> "MemoryBatch":
        """Stacks views of equal layout along a new first axis."""
        device = views[0].maps[0].device
        maps = torch.stack([one for view in views for one in view.maps])
        maps = maps.view(len(views), -1, *maps.shape[1:])
        none = maps.new_zeros(len(views), 0, 0)
        pointers = torch.stack([torch.stack(v.pointers) for v in views]) if views[0].pointers else none
        return cls(
            maps,
            torch.tensor([view.ages for view in views], device=device),
            pointers,
            torch.tensor([view.offsets for view in views], dtype=torch.float32, device=device),
            _scales([view.map_scales for view in views], len(views[0].maps), device),
            _scales([view.pointer_scales for view in views], len(views[0].pointers), device),
            views[0].sightings,
        )


def _scales(rows: list[tuple[float, ...]], count: int, device: torch.device) -> Tensor | None:
    if not any(rows):
        return None
    return torch.tensor([row or (1.0,) * count for row in rows], dtype=torch.float32, device=device)


class MaskCandidates(NamedTuple):
    """The mask decoder's answer: M masks per object, the network's opinion of each, and a presence."""

    logits: Tensor  # (B, M, 4h, 4w) float32; -1024 everywhere where the object is absent
    ious: Tensor  # (B, M) float32, predicted IoU of each mask, 0..1
    pointers: Tensor  # (B, M, C), the object pointer that belongs to each mask
    presence: Tensor  # (B, 1) float32 logit; above 0 the object is in the frame


class VideoNetwork(Protocol):
    """All that sessions and memory policies know of a network. It is stateless and may be shared."""

    @property
    def input_spec(self) -> InputSpec:
        """How frames are prepared."""

    @property
    def device(self) -> torch.device:
        """Where the network computes."""

    @property
    def dtype(self) -> torch.dtype:
        """The type the network computes in."""

    @property
    def motion_weight(self) -> float:
        """How much predicted motion should count beside predicted IoU, 0..1; see `memory.samurai`."""

    @property
    def max_conditioning(self) -> int | None:
        """How many prompted frames, the closest in time, memory attention should be shown; None for all."""

    @property
    def recalls_sighting(self) -> bool:
        """Whether memory should keep the last frame that showed an object well for as long as it is gone."""

    def encode_image(self, pixels: Tensor) -> ImageFeatures:
        """Encodes one normalised frame, (1, 3, S, S)."""

    def segment(
        self,
        features: ImageFeatures,
        memory: MemoryBatch | None,
        prompts: PromptBatch | None,
        *,
        multimask: bool,
        presence_threshold: float = 0.0,
    ) -> MaskCandidates:
        """Segments B objects on one frame from what is remembered and / or prompted.

        Args:
            features: the frame.
            memory: what each object recalls; None on a first prompt, which is answered without memory.
            prompts: clicks on this frame, or None while tracking. B comes from `memory` or `prompts`,
                which must agree; one of the two is required.
            multimask: three candidates for an ambiguous prompt (M = 3) or one (M = 1).
            presence_threshold: presence logit above which an object counts as present.
        """

    def adopt_mask(self, features: ImageFeatures, masks: Tensor) -> MaskCandidates:
        """Takes given masks, (B, 1, S, S) of 0 and 1, as the answer (M = 1) and finds their pointers."""

    def encode_memory(
        self, features: ImageFeatures, logits: Tensor, presence: Tensor, *, prompted: bool
    ) -> Tensor:
        """Encodes frame and masks into memory maps (B, n, D).

        Args:
            features: the frame.
            logits: (B, 1, 4h, 4w) float32 mask logits of each object.
            presence: (B, 1) presence logits.
            prompted: whether a person said what the object is on this frame; such masks are made hard.
        """
