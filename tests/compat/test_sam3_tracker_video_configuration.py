"""The configurations against transformers' own: every setting, every way to give it, every refusal."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from keepsight.compat.sam3_tracker_video import configuration as ours
from keepsight.errors import KeepsightError, OutputError, UnknownModelError, UsageError, WeightsError

theirs = pytest.importorskip("transformers", reason="compares with transformers (in the test extra)")
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")

MODELS = ("Sam3TrackerVideoConfig", "Sam2VideoConfig")
NESTED = (
    "Sam3TrackerVideoPromptEncoderConfig",
    "Sam3TrackerVideoMaskDecoderConfig",
    "Sam3VisionConfig",
    "Sam3ViTConfig",
    "Sam2VideoPromptEncoderConfig",
    "Sam2VideoMaskDecoderConfig",
    "Sam2VisionConfig",
    "Sam2HieraDetConfig",
)
VIT = {"model_type": "sam3_vit_model"}
OVERRIDES: list[tuple[str, dict[str, Any]]] = [
    ("Sam3TrackerVideoConfig", {"image_size": 336}),
    ("Sam3TrackerVideoConfig", {"max_cond_frame_num": -1, "num_maskmem": 3, "memory_attention_dropout": 0}),
    (
        "Sam3TrackerVideoConfig",
        {"memory_attention_rope_feat_sizes": [3, 3], "scale": [1]},
    ),
    ("Sam3TrackerVideoConfig", {"vision_config": {"backbone_config": {**VIT, "patch_size": 16}}}),
    (
        "Sam3TrackerVideoConfig",
        {"vision_config": {"fpn_hidden_size": 64}, "mask_decoder_config": None},
    ),
    ("Sam3TrackerVideoConfig", {"prompt_encoder_config": {"image_size": 224}, "unheard_of": [1, {"a": 2}]}),
    ("Sam3TrackerVideoConfig", {"rope_theta": 5.0, "dtype": "float16", "name_or_path": "somewhere"}),
    ("Sam3TrackerVideoConfig", {"rope_parameters": {"rope_theta": 7.0, "rope_type": "default"}}),
    ("Sam3TrackerVideoConfig", {"memory_attention_rope_theta": 9.0, "architectures": ["A"]}),
    ("Sam2VideoConfig", {"image_size": 512, "enable_occlusion_spatial_embedding": False}),
    ("Sam2VideoConfig", {"image_size": (512, 256), "memory_attention_rope_feat_sizes": [32, 32]}),
    ("Sam2VideoConfig", {"torch_dtype": torch.bfloat16, "id2label": {"3": "cat"}, "label2id": {"cat": 3}}),
    ("Sam2VideoConfig", {"vision_config": {"backbone_feature_sizes": None, "fpn_top_down_levels": [1]}}),
    ("Sam2VideoConfig", {"vision_config": {"model_type": "sam3_vision_model"}}),
    ("Sam2VideoConfig", {"rope_scaling": {"rope_theta": 3.0, "rope_type": "axial"}}),
    ("Sam2VideoConfig", {"attn_implementation": "sdpa", "output_attentions": False}),
    ("Sam3ViTConfig", {"image_size": [112, 112], "layer_scale_init_value": 0.5, "global_attn_indexes": [1]}),
    ("Sam3VisionConfig", {"image_size": 112, "scale_factors": [1.0]}),
    ("Sam2HieraDetConfig", {"blocks_per_stage": [1, 1, 1, 1], "query_stride": 2, "image_size": None}),
    ("Sam2VideoMaskDecoderConfig", {"dynamic_multimask_via_stability": False}),
    ("Sam3TrackerVideoPromptEncoderConfig", {"image_size": (224, 112), "patch_size": [14, 7]}),
]
WRONG: list[tuple[str, dict[str, Any]]] = [
    ("Sam3TrackerVideoMaskDecoderConfig", {"mlp_dim": "x"}),
    ("Sam3TrackerVideoMaskDecoderConfig", {"mlp_dim": 1.0}),
    ("Sam3TrackerVideoMaskDecoderConfig", {"mlp_dim": True}),
    ("Sam3TrackerVideoMaskDecoderConfig", {"mlp_dim": None}),
    ("Sam3TrackerVideoMaskDecoderConfig", {"dynamic_multimask_stability_delta": 1}),
    ("Sam3TrackerVideoMaskDecoderConfig", {"dtype": "float"[::-1]}),
    ("Sam3TrackerVideoConfig", {"vision_config": 3}),
    ("Sam3TrackerVideoConfig", {"prompt_encoder_config": [3]}),
    ("Sam3TrackerVideoConfig", {"mask_decoder_config": {"hidden_size": "wide"}}),
    ("Sam3TrackerVideoConfig", {"image_size": "336"}),
    ("Sam3TrackerVideoConfig", {"image_size": [336, 336]}),
    ("Sam3TrackerVideoConfig", {"rope_parameters": [3]}),
    ("Sam2VideoConfig", {"image_size": (1, 2, 3)}),
    ("Sam2VideoConfig", {"image_size": [512, 1.5]}),
    ("Sam2VideoConfig", {"memory_attention_rope_feat_sizes": ["a"]}),
    ("Sam2VideoConfig", {"vision_config": {"backbone_config": 3}}),
    ("Sam2VideoConfig", {"vision_config": {"model_type": "bert"[::-1]}}),
    ("Sam2VideoConfig", {"vision_config": {"backbone_config": {"model_type": "treb"}}}),
]


def told(config: Any) -> Any:
    """All settings; who wrote them aside."""
    return {name: value for name, value in config.to_dict().items() if name != "transformers_version"}


def pair(name: str, values: dict[str, Any]) -> tuple[Any, Any]:
    """Ours and theirs of the same settings."""
    return getattr(ours, name)(**copy.deepcopy(values)), getattr(theirs, name)(**copy.deepcopy(values))


@pytest.mark.parametrize("name", MODELS + NESTED)
def test_defaults(name: str) -> None:
    mine, original = pair(name, {})
    assert told(mine) == told(original)
    assert set(mine) >= set(told(original)) - {"model_type"}


@pytest.mark.parametrize(("name", "values"), OVERRIDES)
def test_overrides(name: str, values: dict[str, Any]) -> None:
    mine, original = pair(name, values)
    assert told(mine) == told(original)
    assert told(type(mine).from_dict(mine.to_dict())) == told(mine)
    assert copy.deepcopy(mine) == mine
    for key in values.keys() - {"rope_theta", "rope_scaling", "attn_implementation"}:
        if not key.endswith("_config"):
            assert getattr(mine, key) == getattr(original, key)


@pytest.mark.parametrize(("name", "values"), WRONG)
def test_wrong_values_are_refused(name: str, values: dict[str, Any]) -> None:
    with pytest.raises(Exception) as original:  # noqa: PT011  # its strict dataclasses raise a bare Exception
        getattr(theirs, name)(**copy.deepcopy(values))
    with pytest.raises(UsageError, match=r"Expected .*, but got ") as mine:
        getattr(ours, name)(**values)
    for builtin in (TypeError, ValueError, KeyError):
        if isinstance(original.value, builtin):
            assert isinstance(mine.value, builtin)


@pytest.mark.parametrize("name", MODELS)
def test_wrong_values_are_refused_later_too(name: str) -> None:
    mine, original = pair(name, {})
    for config in (mine, original):
        with pytest.raises(Exception, match="num_maskmem"):
            config.num_maskmem = "x"
        config.num_maskmem = 3
    with pytest.raises(TypeError):
        mine.num_maskmem = None
    assert told(mine) == told(original)
    for kind in (type(mine), type(original)):
        with pytest.raises(ValueError, match="but"):
            kind({})


def test_image_size_spreads_as_in_the_original() -> None:
    mine, original = pair("Sam3TrackerVideoConfig", {})
    for config in (mine, original):
        config.image_size = 672
    assert told(mine) == told(original)
    assert mine.prompt_encoder_config.image_size == 672
    assert mine.vision_config.backbone_config.image_size == mine.vision_config.image_size == 672
    assert mine.vision_config.backbone_feature_sizes == [[192, 192], [96, 96], [48, 48]]
    assert mine.memory_attention_rope_feat_sizes == [48, 48]
    replaced = ours.Sam3TrackerVideoConfig.from_dict(mine.to_dict(), image_size=336)
    assert told(replaced) == told(theirs.Sam3TrackerVideoConfig.from_dict(original.to_dict(), image_size=336))
    mine, original = pair("Sam2VideoConfig", {})
    for config in (mine, original):
        config.image_size = 512
    assert told(mine) == told(original)


@pytest.mark.parametrize("source", [ours, theirs])
def test_nested_configurations_of_either_library(source: Any) -> None:
    parts = {
        "vision_config": source.Sam3VisionConfig(
            backbone_config=source.Sam3ViTConfig(hidden_size=64, image_size=336), fpn_hidden_size=32
        ),
        "prompt_encoder_config": source.Sam3TrackerVideoPromptEncoderConfig(hidden_size=32, image_size=336),
        "mask_decoder_config": source.Sam3TrackerVideoMaskDecoderConfig(hidden_size=32),
    }
    mine = ours.Sam3TrackerVideoConfig(**parts, image_size=336)
    dicts = {name: value.to_dict() for name, value in parts.items()}
    original = theirs.Sam3TrackerVideoConfig(**dicts, image_size=336)
    assert told(mine) == told(original)
    assert mine == ours.Sam3TrackerVideoConfig(**dicts, image_size=336)
    assert (mine.vision_config is parts["vision_config"]) == (source is ours)


def test_configurations_do_not_share_lists() -> None:
    first, second = ours.Sam2VideoConfig(), ours.Sam2VideoConfig()
    assert first == second
    first.vision_config.fpn_top_down_levels.append(9)
    first.memory_attention_rope_feat_sizes[0] = 1
    first.to_dict()["vision_config"]["backbone_channel_list"].append(7)
    assert told(second) == told(theirs.Sam2VideoConfig())
    assert first != second
    assert ours.Sam2VideoMaskDecoderConfig() != ours.Sam3TrackerVideoMaskDecoderConfig()
    assert first != "text"


@pytest.mark.parametrize(
    ("name", "values"), [(name, values) for name, values in OVERRIDES if name in MODELS][:12]
)
def test_files_go_both_ways(name: str, values: dict[str, Any], tmp_path: Path) -> None:
    mine, original = pair(name, values)
    mine.save_pretrained(tmp_path / "deep" / "mine")
    original.save_pretrained(tmp_path / "original")
    assert [path.name for path in (tmp_path / "deep" / "mine").iterdir()] == ["config.json"]
    read = type(original).from_pretrained(tmp_path / "deep" / "mine")
    assert told(read) == told(type(original).from_pretrained(tmp_path / "original"))
    assert told(type(mine).from_pretrained(str(tmp_path / "original"))) == told(read)
    again = type(mine).from_pretrained(tmp_path / "deep" / "mine" / "config.json", num_maskmem=5)
    assert again.num_maskmem == 5
    again.num_maskmem = mine.num_maskmem
    mine.name_or_path = ""  # not written, by neither
    assert told(again) == told(mine)
    assert told(type(mine).from_json_file(tmp_path / "deep" / "mine" / "config.json")) == told(mine)


def test_a_nested_configuration_is_read_from_the_whole(tmp_path: Path) -> None:
    whole = theirs.Sam2VideoConfig(mask_decoder_config={"mlp_dim": 7})
    whole.save_pretrained(tmp_path)
    assert ours.Sam2VideoMaskDecoderConfig.from_pretrained(tmp_path).mlp_dim == 7
    assert told(ours.Sam2VisionConfig.from_pretrained(tmp_path)) == told(whole.vision_config)
    tracker = theirs.Sam3TrackerVideoConfig(image_size=336, num_maskmem=3).to_dict()
    content = {"model_type": "sam3_video", "detector_config": {"a": 1}, "tracker_config": tracker}
    (tmp_path / "config.json").write_text(json.dumps(content))
    mine = ours.Sam3TrackerVideoConfig.from_pretrained(tmp_path)
    assert told(mine) == told(theirs.Sam3TrackerVideoConfig.from_pretrained(tmp_path))


def test_arguments_that_are_no_settings_are_returned() -> None:
    for library in (ours, theirs):
        config, unused = library.Sam2VideoConfig.from_dict(
            {"heard_of": 1},
            heard_of=2,
            bar=3,
            torch_dtype="auto",
            mask_decoder_config={"mlp_dim": 7},
            return_unused_kwargs=True,
        )
        assert (config.heard_of, config.mask_decoder_config.mlp_dim) == (2, 7)
        assert {name: value for name, value in unused.items() if "dtype" not in name} == {"bar": 3}
    assert ours.Sam2VideoConfig.from_dict({}, torch_dtype="auto").dtype is None
    config = ours.Sam2VideoConfig.from_dict({}, torch_dtype="float16")
    assert config.dtype == config.torch_dtype == torch.float16


def test_text(tmp_path: Path) -> None:
    config = ours.Sam3TrackerVideoConfig(note="mine")
    assert repr(config) == f"Sam3TrackerVideoConfig {config.to_json_string()}"
    assert json.loads(config.to_json_string(use_diff=False)) == json.loads(json.dumps(config.to_dict()))
    original = json.loads(theirs.Sam3TrackerVideoConfig(note="mine").to_json_string())
    brief = json.loads(config.to_json_string())
    nested = original["vision_config"].pop("backbone_config")
    assert brief["vision_config"].pop("backbone_config").items() <= nested.items()
    assert {**brief, "transformers_version": original["transformers_version"]} == original
    config.update({"num_maskmem": 2, "other": 1})
    config.to_json_file(tmp_path / "c.json")
    assert ours.Sam3TrackerVideoConfig.from_json_file(tmp_path / "c.json") == config


def test_catalogue_names_need_no_file() -> None:
    assert told(ours.Sam3TrackerVideoConfig.from_pretrained("sam3")) == told(theirs.Sam3TrackerVideoConfig())
    assert ours.Sam3TrackerVideoConfig.from_pretrained("facebook/sam3").image_size == 1008
    assert ours.Sam2VideoConfig.from_pretrained("sam2.1_hiera_tiny") == ours.Sam2VideoConfig()
    large = ours.Sam2VideoConfig.from_pretrained("facebook/sam2-hiera-large", token=True)
    assert large.vision_config.backbone_config.embed_dim_per_stage == [144, 288, 576, 1152]
    assert not large.enable_occlusion_spatial_embedding
    pocket = ours.Sam2VideoConfig.from_pretrained("pocket")
    assert (pocket.image_size, pocket.vision_config.fpn_hidden_size) == (320, 128)


def test_missing_and_foreign_files(tmp_path: Path) -> None:
    def refused(name: Any, error: type[Exception], match: str, **options: Any) -> None:
        with pytest.raises(error, match=match) as caught:
            ours.Sam2VideoConfig.from_pretrained(name, **options)
        assert isinstance(caught.value, KeepsightError)

    (tmp_path / "bad.json").write_text("{")
    (tmp_path / "list.json").write_text("[]")
    (tmp_path / "weights.safetensors").write_bytes(b"\x00\xff\xfe")
    for name in (tmp_path, tmp_path / "nowhere", str(tmp_path / "nowhere")):
        refused(name, OSError, "does not exist")
    refused(tmp_path / "bad.json", OSError, "not valid JSON")
    refused(tmp_path / "list.json", OSError, "settings by name")
    refused(tmp_path / "weights.safetensors", OSError, "cannot be read")
    for path in ("nowhere", "bad.json", "weights.safetensors"):
        with pytest.raises(OSError, match=r"."):
            theirs.Sam2VideoConfig.from_pretrained(str(tmp_path / path))
    refused("sam2.1_hiera_tinny", OSError, "Did you mean sam2.1_hiera_tiny")
    refused("sam2.1_hiera_tinny", UnknownModelError, "no model named")
    refused("sam3", UsageError, r"type 'sam3_tracker_video'\. Use Sam3TrackerVideoConfig\.")
    refused("owner/some", UsageError, "revision to be left out", revision="v2")
    refused(tmp_path, WeightsError, "does not exist", local_files_only=True)
    refused(tmp_path, UsageError, "subfolder to be left out", subfolder="deep")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "treb"}))
    refused(tmp_path, ValueError, "type 'treb'")
    (tmp_path / "config.json").write_text(json.dumps({"num_maskmem": 4}))
    assert ours.Sam2VideoConfig.from_pretrained(tmp_path).num_maskmem == 4


def test_a_file_in_the_folders_place(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    mine, original = pair("Sam2VideoConfig", {})
    with pytest.raises(AssertionError, match="should be a directory"):
        original.save_pretrained(tmp_path / "file")
    with pytest.raises(OutputError, match="is a file") as caught:
        mine.save_pretrained(tmp_path / "file")
    assert isinstance(caught.value, AssertionError)
    with pytest.raises(OutputError, match="A file stands where a folder is needed"):
        mine.save_pretrained(tmp_path / "file" / "deeper")
    (tmp_path / "folder" / "config.json").mkdir(parents=True)
    with pytest.raises(OutputError, match=r"config\.json"):
        mine.save_pretrained(tmp_path / "folder")
    assert (tmp_path / "file").read_text() == "kept"
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["config.json"]
