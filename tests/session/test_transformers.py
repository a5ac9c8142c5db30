"""Ours against transformers' port: the same random weights, pixels and prompts, 20 frames."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from keepsight.nn.hiera import HieraConfig
from keepsight.session import Session
from keepsight.transforms import image_to_input
from keepsight.types import Points
from keepsight.weights.load import load_network
from tests.oracle import IMAGE_SIZE, moving_texture, transformers_model

transformers = pytest.importorskip("transformers", reason="needs transformers (in the test extra)")

ENCODER = HieraConfig(width=16, heads=1, stages=(1, 1, 2, 1), global_blocks=(3,), background=(4, 4))
FRAMES = 20
CLICKS = [[[40, 45], [80, 20]], [[60, 50], [20, 20]]]
LABELS = [1, 0]


def their_session(model: Any, pixels: torch.Tensor) -> Any:
    session = transformers.models.sam2_video.modeling_sam2_video.Sam2VideoInferenceSession(
        video=pixels, video_height=90, video_width=120, dtype=torch.float32
    )
    processor = transformers.Sam2VideoProcessor(
        image_processor=transformers.Sam2ImageProcessor(),
        video_processor=transformers.Sam2VideoVideoProcessor(),
        target_size=IMAGE_SIZE,
    )
    # Both objects in one call: a second call would make the port forget to encode the first one.
    processor.add_inputs_to_inference_session(
        session, 0, obj_ids=[1, 2], input_points=[CLICKS], input_labels=[[LABELS, LABELS]]
    )
    model(inference_session=session, frame_idx=0)
    return session


@pytest.mark.filterwarnings("ignore:.*:FutureWarning", "ignore:.*:DeprecationWarning")
def test_two_objects_by_clicks(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    model = transformers_model(tmp_path, ENCODER)
    network = load_network(tmp_path, device="cpu", dtype="float32")
    frames = moving_texture(FRAMES)
    pixels = torch.cat([image_to_input(f, network.input_spec, network.device) for f in frames])
    session = Session(network)
    prompts = {i + 1: Points(CLICKS[i], LABELS) for i in range(2)}
    theirs = model.propagate_in_video_iterator(their_session(model, pixels), start_frame_idx=0)
    for index, expected in enumerate(theirs):
        session.step(frames[index], prompts if index == 0 else None)
        tracks = session.snapshot().tracks
        for row, i in enumerate((1, 2)):
            message = f"frame {index}, object {i}"
            logits = tracks[i].answer.logits.numpy()
            wanted = expected.pred_masks[row].numpy()
            np.testing.assert_allclose(logits, wanted, atol=2e-4, rtol=2e-4, err_msg=message)
    assert index == FRAMES - 1
