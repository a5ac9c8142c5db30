"""The four real sizes against Meta's networks on random weights: features, prompts, memory, tracking.

The images are 256 pixels wide rather than 1024, which changes no weight; one test runs tiny as it is.
"""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from keepsight.nn.io import ImageFeatures, MemoryBatch, MemoryView, PromptBatch
from keepsight.nn.sam2 import VARIANTS, Sam2
from tests.oracle import META_YAML, meta_predictor, ours_like

pytest.importorskip("sam2", reason="needs Meta's sam2 package (rf-sam-2, in the test extra)")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::UserWarning:sam2", "ignore::DeprecationWarning"),
]


def assert_close(ours: Tensor, theirs: Tensor) -> None:
    """Equal to 2e-4 of the values' own spread, which grows with depth on random weights."""
    spread = float(theirs.float().std()) if theirs.numel() > 1 else 1.0
    torch.testing.assert_close(ours, theirs, atol=2e-4 * max(spread, 1.0), rtol=2e-4)


def theirs_on(meta: Any, pixels: Tensor) -> tuple[Any, Any, Any]:
    backbone = meta.forward_image(pixels)
    features, positions, sizes = meta._prepare_backbone_features(backbone)[1:]
    return features, positions, sizes


def two_frames(meta: Any, ours: Sam2, side: int) -> None:
    """A prompted frame, its memory, and a tracked frame, on both sides."""
    generator = torch.Generator().manual_seed(1)
    first, second = torch.randn(2, 1, 3, side, side, generator=generator)
    points = torch.tensor([[[0.3, 0.4], [0.6, 0.5]]]) * side
    labels = torch.tensor([[1, 0]], dtype=torch.int32)
    with torch.inference_mode():
        theirs = theirs_on(meta, first)
        features: ImageFeatures = ours.encode_image(first)
        for mine, flat in zip((features.fine, features.middle, features.embedding), theirs[0], strict=True):
            assert_close(mine.flatten(2).permute(2, 0, 1), flat)
        empty: dict[str, Any] = {"cond_frame_outputs": {}, "non_cond_frame_outputs": {}}
        clicks = {"point_coords": points, "point_labels": labels}
        prompted = meta.track_step(0, True, *theirs, clicks, None, empty, 20)
        found = ours.segment(features, None, PromptBatch(points, labels), multimask=False)
        assert_close(found.logits, prompted["pred_masks"])
        assert_close(found.pointers[:, 0], prompted["obj_ptr"])
        memory = ours.encode_memory(features, found.logits, found.presence, prompted=True)
        assert_close(memory, prompted["maskmem_features"].flatten(2).transpose(1, 2))
        bank = {"cond_frame_outputs": {0: prompted}, "non_cond_frame_outputs": {}}
        tracked = meta.track_step(1, False, *theirs_on(meta, second), None, None, bank, 20)
        view = MemoryView((memory[0],), (0,), (found.pointers[0, 0],), (1,))
        answer = ours.segment(ours.encode_image(second), MemoryBatch.stack([view]), None, multimask=True)
        best = answer.ious.argmax(1)
        assert_close(answer.logits[:, best[0]][:, None], tracked["pred_masks"])
        assert_close(answer.pointers[:, best[0]], tracked["obj_ptr"])
        assert_close(answer.presence, tracked["object_score_logits"])


@pytest.mark.parametrize("size", META_YAML)
def test_every_size_equals_metas_network(size: str) -> None:
    meta = meta_predictor(META_YAML[size], ["++model.image_size=256"], seed=2)
    meta.sam_mask_decoder.pred_obj_score_head.layers[-1].bias.data += 3.0
    two_frames(meta, ours_like(meta, replace(VARIANTS[f"sam2.1_hiera_{size}"], image_size=256)), 256)


def test_tiny_as_it_is() -> None:
    meta = meta_predictor(META_YAML["tiny"], [], seed=2)
    meta.sam_mask_decoder.pred_obj_score_head.layers[-1].bias.data += 3.0
    two_frames(meta, ours_like(meta, VARIANTS["sam2.1_hiera_tiny"]), 1024)
