"""SAM 3's tracker at its real configuration, 1008 pixels, random weights, against transformers'."""

from typing import Any

import pytest
import torch

from keepsight.memory import make_policy
from keepsight.nn.sam2 import VARIANTS, Sam2
from keepsight.session.clicks import Clicks
from keepsight.session.engine import Engine
from keepsight.types import Points
from keepsight.weights.keys_transformers import TRANSFORMERS

transformers = pytest.importorskip("transformers", reason="needs transformers (in the test extra)")
SIZE = 1008
CLICK = (300.0, 700.0)


def their_model() -> Any:
    torch.manual_seed(0)
    model = transformers.Sam3TrackerVideoModel(transformers.Sam3TrackerVideoConfig()).eval()
    with torch.no_grad():
        model.mask_decoder.pred_obj_score_head.proj_out.bias.fill_(1.0)
        # Random weights alone make the maps nearly flat; these let memory and clicks matter.
        for name in ("memory_attention", "mask_decoder", "memory_encoder"):
            for parameter in getattr(model, name).parameters():
                if parameter.dim() > 1:
                    parameter.mul_(2.0)
    twin = model.prompt_encoder.shared_embedding.positional_embedding
    twin.data.copy_(model.shared_image_embedding.positional_embedding)
    return model


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.filterwarnings("ignore:.*:FutureWarning", "ignore:.*:DeprecationWarning")
def test_a_click_and_a_tracked_frame() -> None:
    torch.set_num_threads(2)
    model = their_model()
    network = Sam2(VARIANTS["sam3"]).eval().requires_grad_(False)
    network.load_state_dict(TRANSFORMERS.convert(model.state_dict(), network.state_dict()))
    pixels = torch.randn(1, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(2))
    session = transformers.Sam3TrackerVideoInferenceSession(
        video=pixels.expand(20, -1, -1, -1),
        video_height=SIZE,
        video_width=SIZE,
        max_vision_features_cache_size=2,
        dtype=torch.float32,
    )
    labels = torch.ones(1, 1, 1, dtype=torch.int32)
    session.obj_id_to_idx(1)
    session.add_point_inputs(
        0, 0, {"point_coords": torch.tensor(CLICK).view(1, 1, 1, 2), "point_labels": labels}
    )
    session.obj_with_new_inputs = [1]
    wanted = [model(inference_session=session, frame_idx=0)]
    # The picture is the same, so that each library encodes it once; that takes most of the time.
    session.cache.cache_vision_features(1, session.cache.get_vision_features(0))
    wanted.append(model(inference_session=session, frame_idx=1))

    engine = Engine(network, make_policy("sam2", network))
    with torch.inference_mode():
        features = network.encode_image(pixels)
        clicks = {1: Clicks.of(Points([CLICK]), (SIZE, SIZE))}
        clicked = engine.prompt({}, 0, features, clicks, forward=True)
        tracked = engine.advance(clicked, 1, features)
    for step, found in enumerate((clicked, tracked)):
        theirs = wanted[step].pred_masks[0]
        assert found[1].answer.logits.shape == theirs.shape == (1, 288, 288)
        assert found[1].answer.presence > 0
        scale = float(theirs.abs().max())
        torch.testing.assert_close(found[1].answer.logits, theirs, atol=2e-3 * scale, rtol=0)
        assert float(theirs.std()) > 0.01 * scale  # else there was nothing to compare
