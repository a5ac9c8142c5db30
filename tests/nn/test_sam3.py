"""What SAM 3's grid of 14-pixel cells changes outside the image encoder, against transformers' port."""

from pathlib import Path

import numpy as np
import pytest
import torch

from keepsight.memory import make_policy
from keepsight.memory.latest import LatestPolicy
from keepsight.memory.sam2long import Sam2LongPolicy
from keepsight.memory.samurai import SamuraiPolicy
from keepsight.nn.sam2 import VARIANTS
from keepsight.weights.load import load_network
from tests.oracle import SAM3_SIZE, sam3_model
from tests.toy import ToyNetwork


@pytest.mark.filterwarnings("ignore:.*:FutureWarning", "ignore:.*:DeprecationWarning")
def test_a_given_mask_and_its_memory(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    model = sam3_model(tmp_path)
    network = load_network(tmp_path, device="cpu", dtype="float32")
    pixels = torch.randn(1, 3, SAM3_SIZE, SAM3_SIZE, generator=torch.Generator().manual_seed(2))
    y, x = np.mgrid[:SAM3_SIZE, :SAM3_SIZE]
    mask = torch.from_numpy((x - 28) ** 2 + (y - 56) ** 2 < 20**2)[None, None].float()
    with torch.inference_mode():
        fine, middle, coarse = model.get_image_embeddings(pixels)
        plain = coarse - model.no_memory_embedding.reshape(1, -1, 1, 1)
        wanted = model._use_mask_as_output(plain, [fine, middle], mask)
        # The port leaves out multimask_output=False here, which Meta's code has, so its own pointer differs.
        pointers = model._single_frame_forward(
            input_masks=model.mask_downsample(mask),
            image_embeddings=[fine, middle, plain],
            multimask_output=False,
        ).object_pointer
        features = network.encode_image(pixels)
        found = network.adopt_mask(features, mask)
        logits = torch.randn(1, 1, 32, 32, generator=torch.Generator().manual_seed(3))
        memory = network.encode_memory(features, logits, torch.ones(1, 1), prompted=False)
        high = torch.nn.functional.interpolate(logits, (SAM3_SIZE, SAM3_SIZE), mode="bilinear")
        flat = plain.flatten(2).permute(2, 0, 1)
        theirs, _ = model._encode_new_memory(flat, high, torch.ones(1, 1), is_mask_from_pts=False)
    assert found.logits.shape == (1, 1, 32, 32)
    torch.testing.assert_close(found.logits, wanted.pred_masks, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(found.pointers[:, 0], pointers[:, 0], atol=1e-4, rtol=1e-4)
    # The port keeps its memory in bfloat16.
    torch.testing.assert_close(memory, theirs.transpose(0, 1).float(), atol=1e-2, rtol=1e-2)


def test_the_grid_follows_the_patches() -> None:
    assert VARIANTS["sam3"].grid == 72
    assert VARIANTS["sam2.1_hiera_tiny"].grid == 64


@pytest.mark.parametrize(
    ("name", "kind"), [("sam2", LatestPolicy), ("samurai", SamuraiPolicy), ("sam2long", Sam2LongPolicy)]
)
def test_policies_recall_as_many_prompted_frames_as_the_network_was_trained_with(
    name: str, kind: type
) -> None:
    network = ToyNetwork()
    assert make_policy(name, network).max_conditioning is None  # type: ignore[attr-defined]
    network.max_conditioning = 4
    policy = make_policy(name, network)
    assert isinstance(policy, kind)
    assert policy.max_conditioning == 4  # type: ignore[attr-defined]
