"""SAM 3's files: the tracker is taken out of them, whichever origin they have."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from keepsight.errors import WeightsError
from keepsight.nn.sam2 import SAM3_CENTRE, VARIANTS, Sam2, Sam2Config
from keepsight.weights.config_transformers import read_transformers_config
from keepsight.weights.keys_meta import META
from keepsight.weights.load import load_network
from keepsight.weights.save import save_network
from tests.oracle import SAM3_ENCODER, SAM3_SIZE, randomise, sam3_model

CONFIG = Sam2Config(
    encoder=SAM3_ENCODER, image_size=SAM3_SIZE, mean=SAM3_CENTRE, std=SAM3_CENTRE, max_conditioning=4
)


def random_network() -> Sam2:
    torch.manual_seed(0)
    network = Sam2(CONFIG).eval()
    randomise(network, 0)
    return network


def same(a: Sam2, b: Sam2) -> bool:
    state = b.state_dict()
    return a.config == b.config and all(
        torch.equal(value, state[key]) for key, value in a.state_dict().items()
    )


def metas_checkpoint(network: Sam2) -> dict[str, Tensor]:
    """A `sam3.pt` with the network as its tracker: prefixes, joined projections, class token, detector."""
    ours = network.state_dict()
    plain = {META.theirs(key)[0]: value for key, value in ours.items() if len(META.theirs(key)) == 1}
    for key, value in ours.items():
        names = META.theirs(key)
        if len(names) > 1:
            rows = [1] * len(names) if "label" in key else [1, 1, len(value) - 2]
            plain |= dict(zip(names, value.split(rows), strict=True))
    trunk = "detector.backbone.vision_backbone.trunk"
    state: dict[str, Tensor] = {}
    for name, value in plain.items():
        if name.startswith("image_encoder.trunk."):
            state[name.replace("image_encoder.trunk", trunk)] = value
        elif name.startswith("image_encoder.neck."):
            state[
                name.replace("image_encoder.neck.convs", "detector.backbone.vision_backbone.sam2_convs")
            ] = value
        else:
            if name.startswith("sam_mask_decoder.transformer"):
                name = name.replace("mlp.layers.0", "mlp.lin1").replace("mlp.layers.1", "mlp.lin2")
            name = name.replace("memory_attention.", "transformer.encoder.")
            name = "maskmem_backbone." + name[15:] if name.startswith("memory_encoder.") else name
            state[f"tracker.{name}"] = value
    for i in range(SAM3_ENCODER.layers):
        block = f"{trunk}.blocks.{i}.attn"
        for kind in ("weight", "bias"):
            parts = [state.pop(f"{block}.{part}_proj.{kind}") for part in "qkv"]
            state[f"{block}.qkv.{kind}"] = torch.cat(parts)
        state[f"{block}.freqs_cis"] = torch.zeros(4, 2)
    places = state[f"{trunk}.pos_embed"]
    state[f"{trunk}.pos_embed"] = torch.cat([torch.full((1, places.shape[-1]), 9.0), places])[None]
    extra = (
        "detector.backbone.language_backbone.x",
        "detector.backbone.vision_backbone.convs.0.conv_1x1.weight",
    )
    fourth = ("detector.backbone.vision_backbone.sam2_convs.3.conv_1x1.weight", "tracker.no_mem_pos_enc")
    return state | {name: torch.zeros(3) for name in extra + fourth}


def test_metas_file(tmp_path: Path) -> None:
    network = random_network()
    torch.save(metas_checkpoint(network), tmp_path / "sam3.pt")
    assert same(load_network(tmp_path / "sam3.pt", config=CONFIG, device="cpu", dtype="float32"), network)


def test_a_missing_tensor_is_named(tmp_path: Path) -> None:
    state = metas_checkpoint(random_network())
    del state["tracker.maskmem_backbone.out_proj.weight"]
    torch.save(state, tmp_path / "sam3.pt")
    with pytest.raises(WeightsError, match=r"1 missing \(memory_encoder.out_proj.weight\)"):
        load_network(tmp_path / "sam3.pt", config=CONFIG, device="cpu")


@pytest.mark.filterwarnings("ignore:.*:FutureWarning", "ignore:.*:DeprecationWarning")
def test_the_repository_with_its_detector(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    sam3_model(tmp_path / "tracker")
    alone = load_network(tmp_path / "tracker", device="cpu", dtype="float32")
    assert alone.config == CONFIG
    saved = load_file(tmp_path / "tracker" / "model.safetensors")
    # What transformers saves of the tracker has one prefix too many; facebook/sam3 has not.
    state = {
        name.removeprefix("tracker_model.")
        if "tracker_neck" in name or "detector_model" in name
        else name: value
        for name, value in saved.items()
    }
    whole = tmp_path / "whole"
    whole.mkdir()
    save_file(state | {"detector_model.text_encoder.x": torch.zeros(3)}, whole / "model.safetensors")
    tracker = json.loads((tmp_path / "tracker" / "config.json").read_text())
    config: dict[str, Any] = {
        "model_type": "sam3_video",
        "tracker_config": tracker,
        "detector_config": {"a": 1},
    }
    (whole / "config.json").write_text(json.dumps(config))
    assert same(load_network(whole, device="cpu", dtype="float32"), alone)


def test_transformers_default_configuration_is_sam3(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    path = tmp_path / "config.json"
    path.write_text(transformers.Sam3TrackerVideoConfig().to_json_string())
    assert read_transformers_config(path) == VARIANTS["sam3"]


@pytest.mark.parametrize(
    ("setting", "value"), [("num_maskmem", 5), ("max_cond_frame_num", -1), ("image_size", 1024)]
)
def test_another_network_is_refused(tmp_path: Path, setting: str, value: int) -> None:
    transformers = pytest.importorskip("transformers")
    content = json.loads(transformers.Sam3TrackerVideoConfig().to_json_string())
    (tmp_path / "config.json").write_text(json.dumps(content | {setting: value}))
    with pytest.raises(WeightsError, match=setting):
        read_transformers_config(tmp_path / "config.json")


def test_our_own_file(tmp_path: Path) -> None:
    network = random_network()
    save_network(network, tmp_path / "own.safetensors")
    assert same(load_network(tmp_path / "own.safetensors", device="cpu", dtype="float32"), network)
