"""Ours against transformers' port: the same random weights, pixels and prompts, 20 frames."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from keepsight.nn.hiera import HieraConfig
from keepsight.session import Session
from keepsight.transforms import image_to_input
from keepsight.types import Points
from keepsight.weights.load import load_network
from tests.oracle import IMAGE_SIZE, SAM3_SIZE, moving_texture, sam3_model, transformers_model

transformers = pytest.importorskip("transformers", reason="needs transformers (in the test extra)")

ENCODER = HieraConfig(width=16, heads=1, stages=(1, 1, 2, 1), global_blocks=(3,), background=(4, 4))
FRAMES = 20
CLICKS = [[[40, 45], [80, 20]], [[60, 50], [20, 20]]]
LABELS = [1, 0]


def their_session(module: Any, pixels: torch.Tensor, **prompts: Any) -> Any:
    """A session of one of the port's modules, of which only the names differ, with prompts on frame 0."""
    family = "Sam2" if module is transformers.models.sam2_video.modeling_sam2_video else "Sam3Tracker"
    session = getattr(module, f"{family}VideoInferenceSession")(
        video=pixels, video_height=90, video_width=120, dtype=torch.float32
    )
    processor = getattr(transformers, f"{family}VideoProcessor")(
        image_processor=transformers.Sam2ImageProcessor(),
        video_processor=transformers.Sam2VideoVideoProcessor(),
        target_size=pixels.shape[-1],
    )
    processor.add_inputs_to_inference_session(session, 0, **prompts)
    return session


def follow(
    network: Any, model: Any, theirs: Any, frames: list[npt.NDArray[np.uint8]], prompts: dict[int, Any]
) -> None:
    """Tracks with both and compares the mask logits of every object on every frame."""
    model(inference_session=theirs, frame_idx=0)
    session, presences = Session(network), []
    index = 0
    for index, expected in enumerate(model.propagate_in_video_iterator(theirs, start_frame_idx=0)):
        session.step(frames[index], prompts if index == 0 else None)
        tracks = session.snapshot().tracks
        for row, i in enumerate(prompts):
            message = f"frame {index}, object {i}"
            logits = tracks[i].answer.logits.numpy()
            wanted = expected.pred_masks[row].numpy()
            np.testing.assert_allclose(logits, wanted, atol=2e-4, rtol=2e-4, err_msg=message)
            presences.append(tracks[i].answer.presence > 0)
    assert index == FRAMES - 1
    assert any(presences)  # else there was nothing to compare


@pytest.mark.filterwarnings("ignore:.*:FutureWarning", "ignore:.*:DeprecationWarning")
@pytest.mark.parametrize("family", ["sam2", "sam3"])
def test_two_objects_by_clicks(tmp_path: Path, family: str) -> None:
    torch.set_num_threads(1)
    model = transformers_model(tmp_path, ENCODER) if family == "sam2" else sam3_model(tmp_path)
    network = load_network(tmp_path, device="cpu", dtype="float32")
    assert network.input_spec.size == (IMAGE_SIZE if family == "sam2" else SAM3_SIZE)
    frames = moving_texture(FRAMES)
    pixels = torch.cat([image_to_input(f, network.input_spec, network.device) for f in frames])
    # Both objects in one call: a second call would make the port forget to encode the first one.
    theirs = their_session(
        sys.modules[type(model).__module__],
        pixels,
        obj_ids=[1, 2],
        input_points=[CLICKS],
        input_labels=[[LABELS, LABELS]],
    )
    follow(network, model, theirs, frames, {i + 1: Points(CLICKS[i], LABELS) for i in range(2)})
