import pickle
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from keepsight.errors import UnknownModelError, UsageError, WeightsError
from keepsight.nn.io import ImageFeatures
from keepsight.nn.sam2 import VARIANTS, Sam2
from keepsight.weights.load import load_network
from keepsight.weights.save import save_network
from tests.weights.miniature import TINY

MetaFile = Callable[..., Path]


def load(path: Path | str, **options: object) -> Sam2:
    return load_network(path, device="cpu", **{"dtype": "float32", **options})  # type: ignore[arg-type]


def same(a: Sam2, b: Sam2) -> bool:
    states = a.state_dict(), b.state_dict()
    return states[0].keys() == states[1].keys() and all(
        torch.equal(x, y) for x, y in zip(*(s.values() for s in states), strict=True)
    )


def features(network: Sam2) -> ImageFeatures:
    side = network.config.image_size
    return network.encode_image(torch.linspace(-1, 1, 3 * side * side).reshape(1, 3, side, side))


def test_meta_file_gives_the_network(meta_file: MetaFile, tiny: Sam2) -> None:
    loaded = load(meta_file(), config=TINY)
    assert same(loaded, tiny)
    assert not loaded.training
    assert not any(parameter.requires_grad for parameter in loaded.parameters())
    assert all(torch.equal(a, b) for a, b in zip(features(loaded)[:3], features(tiny)[:3], strict=True))


def test_loaded_network_tracks_from_memory(meta_file: MetaFile, tiny: Sam2) -> None:
    """Memory attention needs a table that is in no checkpoint."""
    from keepsight.nn.io import MemoryBatch, MemoryView

    view = MemoryView((torch.ones(16, 16),), (1,), (torch.ones(32),), (1,))
    batch = MemoryBatch.stack([view])
    answers = [
        network.segment(features(network), batch, None, multimask=True)
        for network in (load(meta_file(), config=TINY), tiny)
    ]
    assert torch.equal(answers[0].logits, answers[1].logits)


def test_network_does_not_depend_on_its_file(meta_file: MetaFile, tiny: Sam2) -> None:
    path = meta_file()
    loaded = load(path, config=TINY)
    path.write_bytes(b"\0" * path.stat().st_size)
    assert same(loaded, tiny)


def test_legacy_torch_format_is_read(meta_file: MetaFile, tiny: Sam2) -> None:
    path = meta_file()
    torch.save(torch.load(path), path, _use_new_zipfile_serialization=False)
    assert same(load(path, config=TINY), tiny)


def test_weights_without_wrapping_are_read(meta_state: dict[str, Tensor], tmp_path: Path, tiny: Sam2) -> None:
    torch.save(meta_state, tmp_path / "bare.pth")
    assert same(load(tmp_path / "bare.pth", config=TINY), tiny)


def test_meta_names_in_safetensors_are_read(
    meta_state: dict[str, Tensor], tmp_path: Path, tiny: Sam2
) -> None:
    save_file({name: tensor.contiguous() for name, tensor in meta_state.items()}, tmp_path / "m.safetensors")
    assert same(load(tmp_path / "m.safetensors", config=TINY), tiny)


def test_types(meta_file: MetaFile) -> None:
    network = load(meta_file(), config=TINY, dtype="bfloat16")
    assert network.dtype == torch.bfloat16
    assert {p.dtype for p in network.parameters()} == {torch.bfloat16}
    # The positions' random frequencies are a table: rounding them would move the prompts.
    assert network.prompt_encoder.position.gaussian.dtype == torch.float32
    assert features(network).embedding.dtype == torch.bfloat16


def test_loading_inside_inference_mode_gives_ordinary_tensors(meta_file: MetaFile) -> None:
    with torch.inference_mode():
        network = load(meta_file(), config=TINY)
    assert not any(tensor.is_inference() for tensor in network.state_dict().values())


def test_folder_with_one_file_of_weights(tmp_path: Path, tiny: Sam2) -> None:
    save_network(tiny, tmp_path / "mine.safetensors")
    assert same(load(tmp_path), tiny)


def test_folder_with_several_or_no_files_is_refused(tmp_path: Path, tiny: Sam2) -> None:
    with pytest.raises(WeightsError, match=r"holds 0: none.*Pass the path"):
        load(tmp_path)
    for name in ("a.pt", "b.pt"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(WeightsError, match=r"holds 2: a\.pt, b\.pt"):
        load(tmp_path)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"nothing\.pt does not exist.*keepsight models"):
        load(str(tmp_path / "nothing.pt"))


def test_a_path_is_never_taken_for_a_catalogue_name() -> None:
    with pytest.raises(WeightsError, match=r"sam2\.1_hiera_tiny\.pt does not exist"):
        load("sam2.1_hiera_tiny.pt")


def test_unknown_names() -> None:
    with pytest.raises(UnknownModelError, match=r"'pockit'.*Did you mean pocket\?.*sam2\.1_hiera_large"):
        load("pockit")


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.9, 0.999])
def test_truncated_pt(meta_file: MetaFile, keep: float) -> None:
    path = meta_file()
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    with pytest.raises(
        WeightsError, match=r"checkpoint\.pt is (truncated or damaged|empty).*Download it again"
    ):
        load(path, config=TINY)


@pytest.mark.parametrize("keep", [4, 9, 1000, -1])
def test_truncated_safetensors(tiny: Sam2, tmp_path: Path, keep: int) -> None:
    path = tmp_path / "t.safetensors"
    save_network(tiny, path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(WeightsError, match=r"t\.safetensors.*Download it again"):
        load(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n",
            "git-lfs pointer.*git lfs pull",
        ),
        (b"<!DOCTYPE html><html>", "web page"),
        (b"\n<html>", "web page"),
        (b"GIF89a, certainly not a checkpoint", "not a checkpoint"),
        (b"PK\x03\x04 and nothing more", "truncated or damaged"),
        (b"\x80\x02K\x01.", "holds|damaged"),
    ],
)
def test_files_of_another_kind(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "odd.pt"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=rf"(?s)odd\.pt.*({message})"):
        load(path)


class Malicious:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.marker,)


def test_code_in_a_pickle_is_never_run(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    content = {"model": {"a": Malicious(marker)}}
    torch.save(content, tmp_path / "zip.pt")
    (tmp_path / "bare.pt").write_bytes(pickle.dumps(content, protocol=2))
    for name in ("zip", "bare"):
        with pytest.raises(WeightsError, match=rf"{name}\.pt.*(would run code|not a PyTorch checkpoint)"):
            load(tmp_path / f"{name}.pt")
    assert not marker.exists()


def test_tensors_of_another_network(tmp_path: Path) -> None:
    torch.save({"layer1.weight": torch.ones(2)}, tmp_path / "resnet.pt")
    with pytest.raises(WeightsError, match=r"resnet\.pt does not hold a SAM 2 .*found\s+1: layer1\.weight"):
        load(tmp_path / "resnet.pt")
    torch.save({"model": {"epoch": 3}}, tmp_path / "log.pt")
    with pytest.raises(WeightsError, match=r"log\.pt was expected to hold tensors by name"):
        load(tmp_path / "log.pt")


def test_missing_unexpected_and_reshaped_tensors_are_named(meta_file: MetaFile) -> None:
    path = meta_file(
        **{
            "no_obj_ptr": None,
            "surprise": torch.ones(1),
            "image_encoder.neck.convs.0.conv.weight": torch.ones(3, 3),
            "sam_prompt_encoder.not_a_point_embed.weight": torch.ones(1, 7),
        }
    )
    with pytest.raises(WeightsError) as caught:
        load(path, config=TINY)
    text = str(caught.value)
    assert "1 missing (no_obj_ptr)" in text
    assert "1 unexpected (surprise)" in text
    assert "2 of another shape" in text
    assert "image_encoder.neck.convs.0.conv.weight: expected (32, 128, 1, 1), found (3, 3)" in text
    assert re.search(
        r"checkpoint\.pt \(\d+ tensors, Meta's names\) does not fit the configuration given", text
    )


def test_a_configuration_of_another_size_is_refused(meta_file: MetaFile) -> None:
    with pytest.raises(WeightsError, match=r"does not fit the configuration given.*Pass the configuration"):
        load(meta_file(), config="sam2.1_hiera_tiny")


def test_a_configuration_beyond_the_format_is_refused(meta_file: MetaFile) -> None:
    from keepsight.nn.matching import MatchingConfig

    with pytest.raises(WeightsError, match=r"without a name in this format \(matching"):
        load(meta_file(), config=replace(TINY, matching=MatchingConfig()))


def test_no_configuration_and_none_fits(meta_file: MetaFile) -> None:
    with pytest.raises(WeightsError, match=r"without a configuration and fits none of sam2\.1_hiera_tiny"):
        load(meta_file())


def test_values_that_are_not_finite(meta_file: MetaFile, meta_state: dict[str, Tensor]) -> None:
    broken = meta_state["no_obj_ptr"].clone()
    broken[1] = float("nan")
    with pytest.raises(WeightsError, match=r"1 value\(s\) in absent_pointer that are not finite"):
        load(meta_file(no_obj_ptr=broken), config=TINY)
    broken[1] = 1e30
    path = meta_file(no_obj_ptr=broken)
    assert load(path, config=TINY).absent_pointer[1] == torch.tensor(1e30)
    with pytest.raises(WeightsError, match=r"not finite as torch\.float16.*try dtype='float32'"):
        load(path, config=TINY, dtype="float16")


def test_configuration_arguments(meta_file: MetaFile, tiny: Sam2, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"config='nonsense' is no configuration"):
        load(meta_file(), config="nonsense")
    with pytest.raises(WeightsError, match=r"gone\.yaml does not exist"):
        load(meta_file(), config=tmp_path / "gone.yaml")
    save_network(tiny, tmp_path / "own.safetensors")
    assert same(load(tmp_path / "own.safetensors", config=TINY), tiny)
    with pytest.raises(WeightsError, match="carries its own configuration"):
        load(tmp_path / "own.safetensors", config=VARIANTS["sam2.1_hiera_tiny"])
    with pytest.raises(WeightsError, match="No network can be built"):
        load(meta_file(), config=replace(TINY, memory_width=-1))


def test_metas_names_of_configurations_need_no_file(meta_file: MetaFile) -> None:
    """What Meta's scripts pass lies inside Meta's package."""
    with pytest.raises(WeightsError, match="does not fit the configuration given"):
        load(meta_file(), config="configs/sam2.1/sam2.1_hiera_b+.yaml")


def test_device_is_checked_before_anything_is_read() -> None:
    with pytest.raises(UsageError, match=r"device 'tpu'.*this machine has cpu"):
        load_network("nothing.pt", device="tpu")
