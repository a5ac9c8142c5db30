"""Mask decoder: a two-way transformer between a few tokens and the image (Segment Anything, section 3).

SAM 2 adds features of stride 4 and 8 to the upscaling and a token that says whether the object is there
at all (SAM 2, appendix D).
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from keepsight.nn.layers.attention import Attention
from keepsight.nn.layers.mlp import Mlp
from keepsight.nn.layers.norm import ChannelNorm

__all__ = ["Decoded", "MaskDecoder"]

MASKS = 4  # one for an unambiguous prompt, three for an ambiguous one
HEADS = 8
# A single mask whose area changes by more than 2 % between these two levels is replaced by the best of
# the other three (SAM 2's video predictor, "dynamic multimask via stability").
STABILITY_DELTA = 0.05
STABILITY_FLOOR = 0.98


class Decoded(NamedTuple):
    """M candidate masks of B objects."""

    logits: Tensor  # (B, M, 4h, 4w)
    ious: Tensor  # (B, M), 0..1
    tokens: Tensor  # (B, M, C), each mask's output token
    presence: Tensor  # (B, 1) logit


class _TwoWayBlock(nn.Module):
    def __init__(self, width: int, mlp_width: int, *, first: bool) -> None:
        super().__init__()
        self.first = first
        self.self_attention = Attention(width, HEADS, width)
        self.norm1 = nn.LayerNorm(width)
        self.to_image = Attention(width, HEADS, width // 2)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = Mlp(width, mlp_width, width)
        self.norm3 = nn.LayerNorm(width)
        self.to_tokens = Attention(width, HEADS, width // 2)
        self.norm4 = nn.LayerNorm(width)

    def forward(self, tokens: Tensor, image: Tensor, asked: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
        """Updates tokens (B, T, C) and image (B, n, C); `asked` are the tokens as first given."""
        if self.first:
            # The first block's tokens are their own positions, so there is nothing to add or to keep.
            tokens = self.norm1(self.self_attention(tokens, tokens, tokens))
        else:
            placed = tokens + asked
            tokens = self.norm1(tokens + self.self_attention(placed, placed, tokens))
        placed_image = image + places
        tokens = self.norm2(tokens + self.to_image(tokens + asked, placed_image, image))
        tokens = self.norm3(tokens + self.mlp(tokens))
        image = self.norm4(image + self.to_tokens(placed_image, tokens + asked, tokens))
        return tokens, image


class _TwoWayTransformer(nn.Module):
    def __init__(self, width: int, mlp_width: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(_TwoWayBlock(width, mlp_width, first=i == 0) for i in range(2))
        self.final_attention = Attention(width, HEADS, width // 2)
        self.final_norm = nn.LayerNorm(width)

    def forward(self, tokens: Tensor, image: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
        asked = tokens
        for block in self.blocks:
            tokens, image = block(tokens, image, asked, places)
        found = self.final_attention(tokens + asked, image + places, image)
        return self.final_norm(tokens + found), image


class MaskDecoder(nn.Module):
    """Decodes masks, their predicted IoUs, output tokens and the object's presence.

    Args:
        width: C, the width of the image embedding.
        mlp_width: hidden width of the transformer's perceptrons.
    """

    def __init__(self, width: int, mlp_width: int) -> None:
        super().__init__()
        self.transformer = _TwoWayTransformer(width, mlp_width)
        # Rows: presence, IoU, then one per mask.
        self.tokens = nn.Parameter(torch.randn(2 + MASKS, width))
        self.fine_projection = nn.Conv2d(width, width // 8, 1)
        self.middle_projection = nn.Conv2d(width, width // 4, 1)
        self.upscale1 = nn.ConvTranspose2d(width, width // 4, kernel_size=2, stride=2)
        self.upscale_norm = ChannelNorm(width // 4)
        self.upscale2 = nn.ConvTranspose2d(width // 4, width // 8, kernel_size=2, stride=2)
        self.hypernetworks = nn.ModuleList(Mlp(width, width, width, width // 8) for _ in range(MASKS))
        self.iou_head = Mlp(width, 256, 256, MASKS)
        self.presence_head = Mlp(width, width, width, 1)

    def forward(
        self,
        embedding: Tensor,
        fine: Tensor,
        middle: Tensor,
        sparse: Tensor,
        places: Tensor,
        *,
        multimask: bool,
    ) -> Decoded:
        """Decodes B objects.

        Args:
            embedding: (B, C, h, w) image embedding with memory and dense prompts in it.
            fine: (1 or B, C / 8, 4h, 4w) projected features of stride 4.
            middle: (1 or B, C / 4, 2h, 2w) projected features of stride 8.
            sparse: (B, T, C) prompt embeddings.
            places: (1, C, h, w) positions of the embedding.
            multimask: three candidates rather than one.
        """
        output = self.tokens.to(sparse.dtype).expand(len(sparse), -1, -1)
        tokens, image = self.transformer(
            torch.cat((output, sparse), dim=1),
            embedding.flatten(2).transpose(1, 2),
            places.flatten(2).transpose(1, 2),
        )
        mask_tokens = tokens[:, 2 : 2 + MASKS]
        upscaled = self._upscale(image.transpose(1, 2).reshape(embedding.shape), fine, middle)
        weights = torch.stack([net(mask_tokens[:, i]) for i, net in enumerate(self.hypernetworks)], dim=1)
        logits = torch.einsum("bmc,bchw->bmhw", weights, upscaled).float()
        ious = self.iou_head(tokens[:, 1]).sigmoid().float()
        presence = self.presence_head(tokens[:, 0]).float()
        if multimask:
            return Decoded(logits[:, 1:], ious[:, 1:], mask_tokens[:, 1:], presence)
        if self.training:
            return Decoded(logits[:, :1], ious[:, :1], mask_tokens[:, :1], presence)
        logits, ious = _stable_single(logits, ious)
        return Decoded(logits, ious, mask_tokens[:, :1], presence)

    def _upscale(self, image: Tensor, fine: Tensor, middle: Tensor) -> Tensor:
        image = F.gelu(self.upscale_norm(_doubled(self.upscale1, image) + middle))
        return F.gelu(_doubled(self.upscale2, image) + fine)


def _doubled(layer: nn.ConvTranspose2d, x: Tensor) -> Tensor:
    """What a transposed convolution with kernel and stride 2 makes of x: of each cell four, by one product.

    It takes half as long as the general operator. The result is channels-last.
    """
    pixels = x.permute(0, 2, 3, 1)
    weight = layer.weight.permute(2, 3, 1, 0).flatten(0, 2)
    bias = None if layer.bias is None else layer.bias.repeat(4)
    parts = F.linear(pixels, weight, bias).view(*pixels.shape[:3], 2, 2, -1)
    return parts.transpose(2, 3).flatten(3, 4).flatten(1, 2).permute(0, 3, 1, 2)


def _stable_single(logits: Tensor, ious: Tensor) -> tuple[Tensor, Tensor]:
    """Keeps each object's single mask if it is stable, else takes the best of the other three."""
    single = logits[:, :1]
    inner = (single > STABILITY_DELTA).sum((2, 3)).float()
    outer = (single > -STABILITY_DELTA).sum((2, 3)).float()
    stable = torch.where(outer > 0, inner / outer, 1.0) >= STABILITY_FLOOR
    best = ious[:, 1:].argmax(dim=1)
    row = torch.arange(len(logits), device=logits.device)
    other = logits[:, 1:][row, best][:, None]
    other_iou = ious[:, 1:][row, best][:, None]
    return torch.where(stable[..., None, None], single, other), torch.where(stable, ious[:, :1], other_iou)
