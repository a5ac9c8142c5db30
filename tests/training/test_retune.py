"""Weights for another input size are the same network's."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from keepsight import load_model
from keepsight.errors import WeightsError
from keepsight.nn.sam2 import Sam2
from training.config import POCKET
from training.export import SHIPPED
from training.retune import FAMILIARITY, PRESENCE, PRESENCE_BIAS, SHARPNESS, Kept, Share, retune


def test_retuned_weights_are_a_network_of_another_size(tmp_path: Path) -> None:
    retune(SHIPPED, tmp_path / "small.safetensors", size=128, sharper=2.0)
    network = load_model(str(tmp_path / "small.safetensors"), device="cpu")
    assert isinstance(network, Sam2)
    assert network.config.image_size == 128
    before, after = load_file(SHIPPED), load_file(tmp_path / "small.safetensors")
    assert before.keys() == after.keys()
    assert [name for name in before if not torch.equal(before[name], after[name])] == [SHARPNESS]
    sharper = (after[SHARPNESS].float() - before[SHARPNESS].float()).tolist()
    assert sharper == pytest.approx([math.log(2.0)] * 2, abs=2e-3)


def test_what_is_recalled_is_what_is_trained_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert POCKET.matching is not None
    other = replace(POCKET, matching=replace(POCKET.matching, attended=3), recalls_sighting=False)
    monkeypatch.setattr("training.retune.POCKET", other)
    retune(SHIPPED, tmp_path / "other.safetensors", size=320)
    monkeypatch.undo()
    retune(tmp_path / "other.safetensors", tmp_path / "again.safetensors", size=320)
    for path, expected in ((tmp_path / "other.safetensors", other), (tmp_path / "again.safetensors", POCKET)):
        network = load_model(str(path), device="cpu")
        assert isinstance(network, Sam2)
        assert network.config == expected
    before, after = load_file(SHIPPED), load_file(tmp_path / "other.safetensors")
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_presence_may_be_shifted(tmp_path: Path) -> None:
    retune(SHIPPED, tmp_path / "new.safetensors", size=320, surer=0.5)
    before, after = load_file(SHIPPED), load_file(tmp_path / "new.safetensors")
    assert [name for name in before if not torch.equal(before[name], after[name])] == [PRESENCE_BIAS]
    assert (after[PRESENCE_BIAS] - before[PRESENCE_BIAS]).item() == pytest.approx(0.5, abs=1e-3)


def test_the_presence_head_may_come_from_other_weights(tmp_path: Path) -> None:
    other = {name: tensor + 1 for name, tensor in load_file(SHIPPED).items()}
    with safe_open(SHIPPED, "pt") as file:
        save_file(other, tmp_path / "other.safetensors", file.metadata())
    retune(SHIPPED, tmp_path / "new.safetensors", size=320, presence=tmp_path / "other.safetensors")
    before, after = load_file(SHIPPED), load_file(tmp_path / "new.safetensors")
    changed = [name for name in before if not torch.equal(before[name], after[name])]
    assert changed == [name for name in before if name.startswith(PRESENCE)]
    assert len(changed) == 6
    assert all(torch.equal(after[name], other[name]) for name in changed)


def test_layers_of_memory_attention_can_be_left_out(tmp_path: Path) -> None:
    network = load_model(str(SHIPPED), device="cpu", dtype="float32")
    assert isinstance(network, Sam2)
    kept = [network.config.attention_layers - 1]
    retune(SHIPPED, tmp_path / "less.safetensors", size=320, kept=Kept(kept))
    less = load_model(str(tmp_path / "less.safetensors"), device="cpu", dtype="float32")
    assert isinstance(less, Sam2)
    assert less.config == replace(network.config, attention_layers=1, self_only=())
    layers = network.memory_attention.layers
    network.memory_attention.layers = torch.nn.ModuleList(layers[i] for i in kept)
    expected, found = network.state_dict(), less.state_dict()
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    for wrong in ([], [0, len(layers)], [-1]):
        with pytest.raises(WeightsError, match="Expected layers of memory attention"):
            retune(SHIPPED, tmp_path / "none.safetensors", size=320, kept=Kept(wrong))
    assert not (tmp_path / "none.safetensors").exists()


def test_layers_can_do_without_looking_at_the_memory(tmp_path: Path) -> None:
    network = load_model(str(SHIPPED), device="cpu", dtype="float32")
    assert isinstance(network, Sam2)
    last = network.config.attention_layers - 1
    assert last not in network.config.self_only
    retune(SHIPPED, tmp_path / "less.safetensors", size=320, kept=Kept(self_only=[last]))
    less = load_model(str(tmp_path / "less.safetensors"), device="cpu", dtype="float32")
    assert isinstance(less, Sam2)
    assert less.config == replace(network.config, self_only=(*network.config.self_only, last))
    gone = network.state_dict().keys() - less.state_dict().keys()
    assert gone == {name for name in network.state_dict() if f"layers.{last}.cross_attention" in name} | {
        f"memory_attention.layers.{last}.norm2.{part}" for part in ("weight", "bias")
    }
    with pytest.raises(WeightsError, match="Expected layers of memory attention from 0 to"):
        retune(SHIPPED, tmp_path / "none.safetensors", size=320, kept=Kept(self_only=[last + 1]))
    assert not (tmp_path / "none.safetensors").exists()


def test_what_is_not_pocket_is_refused(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match="Expected weights of pocket"):
        retune(tmp_path / "other.safetensors", tmp_path / "new.safetensors", size=128)
    with pytest.raises(WeightsError, match="does not exist"):
        retune(tmp_path / "none.safetensors", tmp_path / "new.safetensors", size=128)
    assert not (tmp_path / "new.safetensors").exists()


def test_weights_of_two_runs_can_be_mixed(tmp_path: Path) -> None:
    before = load_file(SHIPPED)
    with safe_open(SHIPPED, "pt") as file:
        other = {name: (tensor + 1).clone() for name, tensor in before.items()}
        save_file(other, tmp_path / "other.safetensors", file.metadata())
        save_file({**other, "a": torch.zeros(1)}, tmp_path / "more.safetensors", file.metadata())
    mixed = Share(tmp_path / "other.safetensors", 0.25)
    retune(SHIPPED, tmp_path / "new.safetensors", size=320, mixed=mixed)
    after = load_file(tmp_path / "new.safetensors")
    for name, tensor in before.items():
        assert after[name].dtype == tensor.dtype
        wanted = 0.75 * tensor.float() + 0.25 * other[name].float()
        torch.testing.assert_close(after[name].float(), wanted, rtol=0.01, atol=1e-3)
    with pytest.raises(WeightsError, match="weights of the same network"):
        retune(SHIPPED, tmp_path / "x.safetensors", size=320, mixed=Share(tmp_path / "more.safetensors", 0.5))


def test_weights_from_before_a_part_was_added_are_mixed_as_ones_in_which_it_does_nothing(
    tmp_path: Path,
) -> None:
    before = load_file(SHIPPED)
    older = {name: tensor for name, tensor in before.items() if not name.startswith(FAMILIARITY)}
    assert len(older) == len(before) - 4
    with safe_open(SHIPPED, "pt") as file:
        save_file(older, tmp_path / "older.safetensors", file.metadata())
    mixed = Share(tmp_path / "older.safetensors", 0.25)
    retune(SHIPPED, tmp_path / "new.safetensors", size=320, mixed=mixed)
    after = load_file(tmp_path / "new.safetensors")
    for name, tensor in before.items():
        factor = 0.75 if name.startswith(FAMILIARITY + "out.") else 1.0
        torch.testing.assert_close(after[name].float(), factor * tensor.float(), rtol=1e-3, atol=1e-6)
