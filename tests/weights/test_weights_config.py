import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from keepsight.errors import WeightsError
from keepsight.nn.sam2 import VARIANTS
from keepsight.weights.config_meta import read_meta_config
from keepsight.weights.config_transformers import read_transformers_config


@pytest.fixture
def meta() -> Any:
    sam2 = pytest.importorskip("sam2", reason="needs Meta's configurations (pip install rf-sam-2)")
    path = Path(sam2.__file__).parent / "configs" / "sam2.1" / "sam2.1_hiera_t.yaml"
    return yaml.safe_load(path.read_text())


def change(config: Any, path: str, value: object) -> None:
    *way, last = path.split(".")
    for step in way:
        config = config.setdefault(step, {})
    config[last] = value


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("num_maskmem", 5, "num_maskmem = 5; supported is 7"),
        ("pred_obj_scores", False, "pred_obj_scores = False; supported is True"),
        ("image_size", 1000, "image_size = 1000; supported is a multiple of 32"),
        ("image_encoder.trunk._target_", "os.system", "supported is Hiera"),
        ("image_encoder.trunk.embed_dim", "wide", "embed_dim = 'wide'; supported is a whole number"),
        ("image_encoder.trunk.stages", [1, 2], r"stages = \[1, 2\]; supported is a list of 4"),
        ("image_encoder.neck.backbone_channel_list", [1, 2, 3, 4], "backbone_channel_list"),
        ("image_encoder.neck.d_model", 128, "num_pos_feats = 256; supported is 128"),
        ("memory_attention.layer.activation", "gelu", "activation = 'gelu'; supported is 'relu'"),
        ("use_signed_tpos_enc_to_obj_ptrs", False, "use_signed_tpos_enc_to_obj_ptrs = False"),
        ("brand_new_switch", True, r"brand_new_switch = True, which keepsight does not know \(1 unknown"),
    ],
)
def test_what_metas_network_does_otherwise_is_refused(
    meta: Any, tmp_path: Path, path: str, value: object, message: str
) -> None:
    change(meta["model"], path, value)
    file = tmp_path / "changed.yaml"
    file.write_text(yaml.safe_dump(meta))
    with pytest.raises(WeightsError, match=rf"changed\.yaml sets .*{message}"):
        read_meta_config(file)


def test_leaving_a_setting_out_means_metas_default(meta: Any, tmp_path: Path) -> None:
    del meta["model"]["image_encoder"]["scalp"]
    file = tmp_path / "short.yaml"
    file.write_text(yaml.safe_dump(meta))
    with pytest.raises(
        WeightsError, match=r"leaves out image_encoder\.scalp, which then is 0; supported is 1"
    ):
        read_meta_config(file)


def test_harmless_changes_pass(meta: Any, tmp_path: Path) -> None:
    change(meta["model"], "memory_attention.layer.dropout", 0.3)
    change(meta["model"], "compile_image_encoder", True)
    change(meta["model"], "image_size", 512)
    file = tmp_path / "fine.yaml"
    file.write_text(yaml.safe_dump(meta))
    config = read_meta_config(file)
    assert config.image_size == 512
    assert config.encoder == VARIANTS["sam2.1_hiera_tiny"].encoder


@pytest.mark.parametrize(
    "text", ["", "- 1", "a: [", "trainer: {}", "model: 3", "a: !!python/object/apply:os.getcwd []"]
)
def test_other_yaml_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "odd.yaml"
    file.write_text(text)
    with pytest.raises(WeightsError, match=r"odd\.yaml (is not valid YAML|was expected to have a section)"):
        read_meta_config(file)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"model_type": "sam2"}, "type 'sam2_video'.*'sam2'"),
        ([], "model_type None"),
        ({"model_type": "sam2_video", "num_maskmem": 3}, "num_maskmem = 3; supported is 7"),
        (
            {
                "model_type": "sam2_video",
                "vision_config": {"backbone_config": {"embed_dim_per_stage": [1, 2, 3, 4]}},
            },
            "embed_dim_per_stage",
        ),
    ],
)
def test_other_networks_of_transformers_are_refused(tmp_path: Path, content: object, message: str) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps(content))
    with pytest.raises(WeightsError, match=rf"config\.json .*{message}"):
        read_transformers_config(file)
