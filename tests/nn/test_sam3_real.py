"""SAM 3's tracker at its real configuration, random weights, 1008 pixels, against transformers'."""

from pathlib import Path

import pytest
import torch

from keepsight.nn.io import PromptBatch
from keepsight.nn.sam2 import VARIANTS
from keepsight.weights.load import load_network


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*:FutureWarning", "ignore:.*:DeprecationWarning")
def test_a_click_on_a_real_sized_frame(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    model = transformers.Sam3TrackerVideoModel(transformers.Sam3TrackerVideoConfig()).eval()
    model.mask_decoder.pred_obj_score_head.proj_out.bias.data.fill_(1.0)
    twin = model.prompt_encoder.shared_embedding.positional_embedding
    twin.data.copy_(model.shared_image_embedding.positional_embedding)
    model.save_pretrained(tmp_path)
    network = load_network(tmp_path, device="cpu", dtype="float32")
    assert network.config == VARIANTS["sam3"]
    pixels = torch.randn(1, 3, 1008, 1008, generator=torch.Generator().manual_seed(2))
    points, labels = torch.tensor([[[300.0, 700.0]]]), torch.tensor([[1]], dtype=torch.int32)
    with torch.inference_mode():
        features = network.encode_image(pixels)
        fine, middle, coarse = model.get_image_embeddings(pixels)
        found = network.segment(features, None, PromptBatch(points, labels), multimask=True)
        wanted = model._single_frame_forward(
            image_embeddings=[fine, middle, coarse],
            input_points=points[:, None],
            input_labels=labels[:, None],
            multimask_output=True,
        )
    plain = coarse - model.no_memory_embedding.reshape(1, -1, 1, 1)
    for ours, theirs in ((features.fine, fine), (features.middle, middle), (features.embedding, plain)):
        torch.testing.assert_close(ours, theirs, atol=2e-3 * float(theirs.std()), rtol=0)
    best = found.logits[0, found.ious[0].argmax()]
    assert best.shape == (288, 288)
    torch.testing.assert_close(
        best, wanted.pred_masks.squeeze(), atol=2e-3 * float(wanted.pred_masks.std()), rtol=0
    )
