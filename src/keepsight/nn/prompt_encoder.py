"""Prompt encoder: points, boxes and earlier masks become embeddings (Segment Anything, section 3)."""

import torch
from torch import Tensor, nn

from keepsight.nn.io import PromptBatch
from keepsight.nn.layers.norm import ChannelNorm
from keepsight.nn.layers.position import FourierPosition

__all__ = ["PADDING", "PromptEncoder"]

PADDING = -1


class PromptEncoder(nn.Module):
    """Embeds what a person said about B objects.

    Args:
        width: C, the width of the embeddings.
        image_size: S, the side of the model input in pixels.
    """

    def __init__(self, width: int, image_size: int) -> None:
        super().__init__()
        self.image_size = image_size
        self.position = FourierPosition(width)
        # Row 0 for padding, then "not the object", "the object", top left and bottom right corner.
        self.label_embedding = nn.Embedding(5, width)
        self.no_mask = nn.Parameter(torch.zeros(width))
        self.mask_stem = nn.Sequential(
            nn.Conv2d(1, 4, kernel_size=2, stride=2),
            ChannelNorm(4),
            nn.GELU(),
            nn.Conv2d(4, 16, kernel_size=2, stride=2),
            ChannelNorm(16),
            nn.GELU(),
            nn.Conv2d(16, width, kernel_size=1),
        )

    def forward(self, prompts: PromptBatch) -> tuple[Tensor, Tensor]:
        """Returns the points' embeddings (B, N + 1, C) and the masks', (B, C, h, w) or (1, C, 1, 1)."""
        if prompts.mask_logits is None:
            dense = self.no_mask[None, :, None, None]
        else:
            dense = self.mask_stem(prompts.mask_logits.to(self.no_mask.dtype))
        return self._embed_points(prompts.points, prompts.labels), dense

    def _embed_points(self, points: Tensor, labels: Tensor) -> Tensor:
        # SAM was trained with one padding point after the clicks; the decoder expects to see it.
        points = torch.cat((points, points.new_zeros(len(points), 1, 2)), dim=1)
        labels = torch.cat((labels, labels.new_full((len(labels), 1), PADDING)), dim=1)
        places: Tensor = self.position((points + 0.5) / self.image_size)
        places = places * (labels != PADDING)[..., None]
        kinds: Tensor = self.label_embedding(labels + 1)
        return (places + kinds).to(self.no_mask.dtype)
