from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from keepsight.errors import OutputError, UsageError, WeightsError
from keepsight.nn.efficientnet import EfficientNetConfig
from keepsight.nn.matching import MatchingConfig
from keepsight.nn.sam2 import VARIANTS, Sam2, Sam2Config
from keepsight.weights.config_json import config_from_json, config_to_json
from keepsight.weights.embedded import embedded_file
from keepsight.weights.files import read_tensors, write_tensors
from keepsight.weights.load import load_network
from keepsight.weights.save import fingerprint, save_network
from tests.weights.miniature import TINY

CONVOLUTIONAL = replace(TINY, encoder=EfficientNetConfig(), matching=MatchingConfig(key_width=8))


@pytest.mark.parametrize("config", [TINY, CONVOLUTIONAL])
def test_what_is_saved_is_loaded(tmp_path: Path, config: Sam2Config) -> None:
    torch.manual_seed(0)
    network = Sam2(config).eval()
    path = tmp_path / "network.safetensors"
    save_network(network, path, metadata={"licence": "Apache-2.0"})
    loaded = load_network(path, device="cpu", dtype="float32")
    assert loaded.config == config
    assert fingerprint(loaded) == fingerprint(network)
    # Convolutions stay in the memory layout they compute fastest in.
    assert [p.stride() for p in loaded.parameters()] == [p.stride() for p in network.parameters()]
    with safe_open(path, framework="pt") as file:
        assert file.metadata()["licence"] == "Apache-2.0"
    assert [entry.name for entry in tmp_path.iterdir()] == ["network.safetensors"]


def test_saving_replaces_or_leaves_alone(tmp_path: Path, tiny: Sam2, tiny_sam2: Sam2) -> None:
    path = tmp_path / "network.safetensors"
    save_network(tiny_sam2, path)
    save_network(tiny, path)
    assert fingerprint(load_network(path, device="cpu", dtype="float32")) == fingerprint(tiny)
    with pytest.raises(OutputError, match=r"cannot be written to .*Choose a folder"):
        save_network(tiny, tmp_path / "no such folder" / "network.safetensors")
    (tmp_path / "taken").mkdir()
    with pytest.raises(OutputError, match="cannot be written"):
        save_network(tiny, tmp_path / "taken")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["network.safetensors", "taken"]
    with pytest.raises(UsageError, match=r"may not set keepsight\.config"):
        save_network(tiny, path, metadata={"keepsight.config": "{}"})


def test_a_header_of_any_length_is_read(tmp_path: Path) -> None:
    """Its length comes first in the file: of the lengths in use, one in 32 begins as a pickle does."""
    begins = set()
    for padding in range(0, 256, 8):
        path = tmp_path / f"{padding}.safetensors"
        write_tensors(path, {"weight": torch.arange(4.0)}, {"note": "x" * padding})
        begins.add(path.read_bytes()[0])
        file = read_tensors(path)
        assert file.metadata["note"] == "x" * padding
        assert file["weight"].tolist() == [0, 1, 2, 3]
    assert 0x80 in begins


def test_fingerprint_follows_contents(tiny: Sam2) -> None:
    twin = Sam2(TINY).eval().requires_grad_(False)
    assert fingerprint(twin) != fingerprint(tiny)
    twin.load_state_dict(tiny.state_dict())
    assert fingerprint(twin) == fingerprint(tiny)
    twin.no_memory[0] += 1
    assert fingerprint(twin) != fingerprint(tiny)
    twin.load_state_dict(tiny.state_dict())
    assert fingerprint(twin.bfloat16()) != fingerprint(tiny)


@pytest.mark.parametrize("config", [*VARIANTS.values(), TINY, CONVOLUTIONAL, replace(TINY, self_only=(1, 0))])
def test_configurations_survive_json(config: Sam2Config) -> None:
    assert config_from_json(config_to_json(config), "test") == config


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("[]", "without an encoder"),
        ('{"encoder": {"kind": "swin"}}', "kind 'swin'; known are hiera, efficientnet_lite0, vit"),
        ('{"encoder": {"kind": "hiera"}, "depth": 3}', "unknown here: depth"),
        ('{"encoder": {"kind": "hiera", "stages": [1, 2]}}', r"stages = \(1, 2\)"),
        ('{"encoder": {"kind": "hiera"}, "width": "256"}', "width = '256'"),
        ('{"encoder": {"kind": "hiera"}, "matching": 3}', "matching = 3"),
        ('{"encoder": {"kind": "hiera"}, "self_only": [0, "1"]}', r"self_only = \(0, '1'\)"),
        ('{"encoder": {"kind": "hiera"}, "self_only": 1}', "self_only = 1"),
    ],
)
def test_bad_configurations(text: str, message: str) -> None:
    with pytest.raises(WeightsError, match=rf"file\.safetensors.*{message}"):
        config_from_json(text, "file.safetensors")


def test_a_package_without_its_model_says_so() -> None:
    with (
        pytest.raises(WeightsError, match=r"embedded model was expected at .*absent\.safetensors.*Reinstall"),
        embedded_file("absent.safetensors"),
    ):
        pass
