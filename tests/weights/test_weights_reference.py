"""Against Meta's package (rf-sam-2) and transformers, on random weights."""

from pathlib import Path
from typing import Any

import pytest
import torch

from keepsight.nn.hiera import HieraConfig
from keepsight.nn.io import PromptBatch
from keepsight.nn.sam2 import VARIANTS, Sam2Config
from keepsight.weights.config_meta import read_meta_config
from keepsight.weights.config_transformers import read_transformers_config
from keepsight.weights.keys_meta import META
from keepsight.weights.load import load_network
from tests.oracle import transformers_model

SIZES = {"t": "tiny", "s": "small", "b+": "base_plus", "l": "large"}


def meta_yaml(family: str, letter: str) -> Path:
    sam2 = pytest.importorskip("sam2", reason="needs Meta's configurations (pip install rf-sam-2)")
    return Path(sam2.__file__).parent / "configs" / family / f"{family}_hiera_{letter}.yaml"


@pytest.mark.parametrize("letter", SIZES)
@pytest.mark.parametrize("family", ["sam2", "sam2.1"])
def test_metas_yaml_is_the_variant(family: str, letter: str) -> None:
    assert read_meta_config(meta_yaml(family, letter)) == VARIANTS[f"{family}_hiera_{SIZES[letter]}"]


def meta_model(path: Path) -> Any:
    from hydra.utils import instantiate
    from omegaconf import OmegaConf

    return instantiate(OmegaConf.load(path).model, _recursive_=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "letter"), [("sam2.1", "t"), ("sam2.1", "s"), ("sam2.1", "b+"), ("sam2.1", "l"), ("sam2", "t")]
)
def test_metas_checkpoint_of_every_size_loads_and_converts_back(
    tmp_path: Path, family: str, letter: str
) -> None:
    theirs = meta_model(meta_yaml(family, letter)).state_dict()
    path = tmp_path / "checkpoint.pt"
    torch.save({"model": theirs}, path)
    # Only its tensors say which of the published sizes it is.
    network = load_network(path, device="cpu", dtype="float32")
    path.unlink()
    assert network.config == VARIANTS[f"{family}_hiera_{SIZES[letter]}"]
    back = META.revert(network.state_dict(), {name: tensor.shape for name, tensor in theirs.items()})
    assert set(theirs) - set(back) == META.unused
    assert all(torch.equal(back[name], theirs[name]) for name in back)


SMALL = HieraConfig(width=16, heads=1, stages=(1, 1, 2, 1), global_blocks=(3,), background=(4, 4))


@pytest.mark.parametrize("sam21", [True, False])
def test_transformers_folder_computes_what_transformers_computes(tmp_path: Path, *, sam21: bool) -> None:
    pytest.importorskip("transformers")
    model = transformers_model(tmp_path, SMALL, sam21=sam21)
    network = load_network(tmp_path, device="cpu", dtype="float32")
    assert network.config == Sam2Config(
        encoder=SMALL, image_size=128, pointer_time=sam21, absence_in_memory=sam21
    )
    pixels = torch.randn(1, 3, 128, 128, generator=torch.Generator().manual_seed(2))
    points = torch.tensor([[[30.0, 70.0], [90.0, 20.0]]])
    labels = torch.tensor([[1, 0]], dtype=torch.int32)
    with torch.no_grad():
        features = network.encode_image(pixels)
        fine, middle, embedding = model.get_image_embeddings(pixels)
        plain = embedding - model.no_memory_embedding.reshape(1, -1, 1, 1)
        found = network.segment(features, None, PromptBatch(points, labels), multimask=True)
        wanted = model._single_frame_forward(
            image_embeddings=[fine, middle, embedding],
            input_points=points[:, None],
            input_labels=labels[:, None],
            multimask_output=True,
        )
    torch.testing.assert_close(features.fine, fine, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(features.middle, middle, atol=1e-4, rtol=1e-4)
    present = bool(found.presence > 0)
    assert present == bool(wanted.object_score_logits.flatten() > 0)
    torch.testing.assert_close(
        found.presence.flatten(), wanted.object_score_logits.flatten(), atol=1e-4, rtol=1e-4
    )
    torch.testing.assert_close(found.ious[0], wanted.iou_scores.flatten(), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(features.embedding, plain, atol=1e-4, rtol=1e-4)
    if present:
        best = found.logits[0, found.ious[0].argmax()]
        torch.testing.assert_close(best, wanted.pred_masks.squeeze(), atol=1e-3, rtol=1e-4)


def test_transformers_default_configuration_is_tiny(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    path = tmp_path / "config.json"
    path.write_text(transformers.Sam2VideoConfig().to_json_string())
    assert read_transformers_config(path) == VARIANTS["sam2.1_hiera_tiny"]
