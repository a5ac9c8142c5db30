"""Loading and saving against transformers' own classes, with tiny networks of random weights."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from keepsight.compat.sam3_tracker_video.configuration import Sam2VideoConfig, Sam3TrackerVideoConfig
from keepsight.compat.sam3_tracker_video.pretrained import (
    config_for,
    load_pretrained,
    network_config,
    random_network,
    save_pretrained,
)
from keepsight.errors import OutputError, UnknownModelError, UsageError, WeightsError
from keepsight.nn.sam2 import VARIANTS, Sam2
from keepsight.weights.catalogue import CATALOGUE
from keepsight.weights.load import load_network
from keepsight.weights.save import save_network
from tests.oracle import TINY_ENCODER, sam3_model, transformers_model
from tests.weights.miniature import TINY
from tests.weights.test_weights_hub import Served, hub

theirs = pytest.importorskip("transformers", reason="compares with transformers (in the test extra)")
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")

__all__ = ["hub"]  # a fixture

FAMILIES = ("sam2.1", "sam2", "sam3")
# Parameters of transformers' classes that its trackers never use.
UNUSED = ("no_memory_positional_encoding", "neck.fpn_layers.3.", "tracker_neck.fpn_layers.3.")


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Small tensors gain nothing from more."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Path, Any]]:
    """A folder that transformers wrote, and the model in it."""
    made: dict[str, tuple[Path, Any]] = {}

    def write(family: str) -> tuple[Path, Any]:
        if family not in made:
            folder = tmp_path_factory.mktemp(family)
            model = (
                sam3_model(folder)
                if family == "sam3"
                else transformers_model(folder, TINY_ENCODER, sam21=family == "sam2.1")
            )
            made[family] = folder, model
        return made[family]

    return write


def same(a: Sam2, b: Sam2) -> bool:
    """Whether two networks agree to the bit."""
    left, right = a.state_dict(), b.state_dict()
    return a.config == b.config and all(
        value.dtype == right[key].dtype and torch.equal(value, right[key]) for key, value in left.items()
    )


def differing(a: dict[str, Tensor], b: dict[str, Tensor]) -> list[str]:
    """Names of tensors that two mappings do not share, but for those that are not used."""
    names = sorted(a.keys() | b.keys())
    used = [name for name in names if not any(part in name for part in UNUSED)]
    return [name for name in used if name not in a or name not in b or not torch.equal(a[name], b[name])]


def told(config: Any) -> Any:
    """All settings, but for where they come from and who wrote them."""
    return {
        name: value
        for name, value in config.to_dict().items()
        if name not in ("transformers_version", "_name_or_path")
    }


@pytest.mark.parametrize("family", FAMILIES)
def test_folders_that_transformers_wrote(family: str, written: Any) -> None:
    folder, model = written(family)
    network, config = load_pretrained(folder)
    assert same(network, load_network(folder, device="cpu", dtype="float32"))
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())
    assert told(config) == told(type(model).from_pretrained(folder).config)
    assert config.name_or_path == str(folder)
    file, _ = load_pretrained(str(folder / "model.safetensors"), config=folder / "config.json")
    assert same(file, network)


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_saved_is_transformers_own(family: str, written: Any, tmp_path: Path) -> None:
    folder, model = written(family)
    network, config = load_pretrained(folder)
    target = tmp_path / "deep" / "down"
    save_pretrained(network, config, target)
    assert sorted(path.name for path in target.iterdir()) == ["config.json", "model.safetensors"]
    ours, original = (load_file(path / "model.safetensors") for path in (target, folder))
    assert ours.keys() == original.keys()
    assert {name: value.shape for name, value in ours.items()} == {
        name: value.shape for name, value in original.items()
    }
    assert differing(ours, original) == []
    loaded, found = type(model).from_pretrained(target, output_loading_info=True)
    assert not any(found.values())
    assert differing(loaded.state_dict(), model.state_dict()) == []
    assert told(loaded.config) == told(type(model).from_pretrained(folder).config)
    again, config_again = load_pretrained(target)
    assert same(again, network)
    assert told(config_again) == told(config)


def masks(model: Any, size: int) -> list[Tensor]:
    """One of transformers' trackers run over three random frames after a click on the first."""
    name = type(model).__name__.replace("Model", "InferenceSession")
    kind = getattr(sys.modules[type(model).__module__], name)
    session = kind(video_height=size, video_width=size, dtype=torch.float32)
    frames = torch.randn(3, 3, size, size, generator=torch.Generator().manual_seed(0))
    click = {"point_coords": torch.tensor([[[[40.0, 50.0]]]]), "point_labels": torch.ones(1, 1, 1).int()}
    session.add_point_inputs(session.obj_id_to_idx(1), 0, click)
    session.obj_with_new_inputs = [1]
    with torch.inference_mode():
        return [model(session, frame=frame).pred_masks for frame in frames]


@pytest.mark.parametrize("family", ["sam2.1", "sam3"])
def test_what_is_saved_answers_alike(family: str, written: Any, tmp_path: Path) -> None:
    """The unused tensors, which are written as zeros, change nothing."""
    folder, model = written(family)
    save_pretrained(*load_pretrained(folder), tmp_path)
    loaded = type(model).from_pretrained(tmp_path).eval()
    answers = [masks(each, model.config.image_size) for each in (model, loaded)]
    for before, after in zip(*answers, strict=True):
        torch.testing.assert_close(after, before, rtol=1e-5, atol=1e-5)


def test_sam3_with_its_detector(written: Any, tmp_path: Path) -> None:
    folder, _ = written("sam3")
    state = {
        name.removeprefix("tracker_model.") if "neck" in name or "detector_model" in name else name: value
        for name, value in load_file(folder / "model.safetensors").items()
    }
    save_file(state | {"detector_model.text_encoder.x": torch.zeros(3)}, tmp_path / "model.safetensors")
    tracker = json.loads((folder / "config.json").read_text())
    content = {"model_type": "sam3_video", "detector_config": {"a": 1}, "tracker_config": tracker}
    (tmp_path / "config.json").write_text(json.dumps(content))
    network, config = load_pretrained(tmp_path)
    alone, config_alone = load_pretrained(folder)
    assert same(network, alone)
    assert isinstance(config, Sam3TrackerVideoConfig)
    assert told(config) == told(config_alone)


@pytest.mark.parametrize("name", list(VARIANTS))
def test_configurations_of_the_published_networks(name: str) -> None:
    config = config_for(VARIANTS[name])
    assert network_config(config) == network_config(config.to_dict()) == VARIANTS[name]
    kind = theirs.Sam3TrackerVideoConfig if name == "sam3" else theirs.Sam2VideoConfig
    original = kind(**config.to_dict())
    assert told(original) == told(config)
    assert network_config(original) == VARIANTS[name]


def test_defaults_are_the_published_networks() -> None:
    for library in (theirs, sys.modules[Sam2VideoConfig.__module__]):
        assert network_config(library.Sam3TrackerVideoConfig()) == VARIANTS["sam3"]
        assert network_config(library.Sam2VideoConfig()) == VARIANTS["sam2.1_hiera_tiny"]


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("num_maskmem", 5),
        ("memory_fuser_num_layers", 3),
        ("mask_decoder_config", {"num_multimask_outputs": 4}),
        ("vision_config", {"backbone_config": {"model_type": "sam3_vit_model", "hidden_act": "relu"}}),
    ],
)
def test_networks_that_are_not_supported(setting: str, value: Any) -> None:
    for library in (theirs, sys.modules[Sam2VideoConfig.__module__]):
        config = library.Sam3TrackerVideoConfig(**{setting: value})
        with pytest.raises(WeightsError, match=rf"Sam3TrackerVideoConfig sets .*{setting}.*supported is"):
            network_config(config)
        with pytest.raises(WeightsError, match="supported is"):
            random_network(config)
    with pytest.raises(TypeError, match="Expected a configuration"):
        network_config(3)


def test_random_weights(written: Any) -> None:
    folder, model = written("sam3")
    torch.manual_seed(0)
    network = random_network(Sam3TrackerVideoConfig.from_pretrained(folder))
    other = random_network(model.config)
    assert network.config == other.config == load_pretrained(folder)[0].config
    assert not same(network, other)
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())


@pytest.mark.parametrize("family", ["sam2.1", "sam3"])
def test_number_types(family: str, written: Any, tmp_path: Path) -> None:
    folder, model = written(family)
    network, config = load_pretrained(folder, dtype="bfloat16")
    assert network.dtype == config.dtype == config.vision_config.dtype == torch.bfloat16
    save_pretrained(network, config, tmp_path)
    assert same(load_pretrained(tmp_path, dtype="auto")[0], network)
    assert type(model).from_pretrained(tmp_path).dtype == torch.bfloat16
    assert load_pretrained(tmp_path, dtype=torch.float16)[0].dtype == torch.float16
    # Without a statement the weights tell.
    described = json.loads((tmp_path / "config.json").read_text())
    for part in (described, *described.values()):
        if isinstance(part, dict):
            part.pop("dtype", None)
    (tmp_path / "config.json").write_text(json.dumps(described))
    assert same(load_pretrained(tmp_path)[0], network)


def test_a_configuration_given(written: Any, tmp_path: Path) -> None:
    folder, model = written("sam2.1")
    network, config = load_pretrained(folder)
    save_file(load_file(folder / "model.safetensors"), tmp_path / "model.safetensors")
    config.note = "mine"
    for given in (config, config.to_dict(), network.config, folder):
        loaded, found = load_pretrained(tmp_path, config=given)
        assert same(loaded, network)
        assert isinstance(found, Sam2VideoConfig)
        assert getattr(found, "note", "") == ("mine" if given in (config, config.to_dict()) else "")
    config.num_maskmem = 5
    with pytest.raises(WeightsError, match="num_maskmem"):
        load_pretrained(folder, config=config)
    config.num_maskmem = 7
    config.mask_decoder_config.mlp_dim = 64
    with pytest.raises(WeightsError, match="of another shape") as misfit:
        load_pretrained(folder, config=config)
    with pytest.raises(RuntimeError, match="ignore_mismatched_sizes"):
        type(model).from_pretrained(folder, config=theirs.Sam2VideoConfig(**config.to_dict()))
    assert isinstance(misfit.value, RuntimeError)
    with pytest.raises(UsageError, match="Expected the configuration of the network"):
        save_pretrained(network, config, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_larger_image_for_sam3(written: Any, tmp_path: Path) -> None:
    folder, _ = written("sam3")
    config = Sam3TrackerVideoConfig.from_pretrained(folder)
    config.image_size = 224
    network, found = load_pretrained(folder, config=config)
    assert network.input_spec.size == found.image_size == 224
    save_pretrained(network, found, tmp_path)
    assert theirs.Sam3TrackerVideoModel.from_pretrained(tmp_path).config.image_size == 224


def test_pocket(tmp_path: Path) -> None:
    network, config = load_pretrained("pocket")
    assert network.dtype == torch.float32
    assert (config.image_size, config.name_or_path) == (320, "pocket")
    assert network_config(config) == network.config == CATALOGUE["pocket"].config
    config.note = "mine"
    save_pretrained(network, config, tmp_path)
    again, config_again = load_pretrained(tmp_path)
    assert same(again, network)
    assert told(config_again)["note"] == "mine"
    assert network_config(Sam2VideoConfig.from_pretrained(tmp_path)) == network.config
    assert same(load_network(tmp_path, device="cpu", dtype="float32"), network)
    with pytest.raises(KeyError, match="keepsight_image_encoder"):
        theirs.Sam2VideoConfig.from_pretrained(tmp_path)
    config.image_size = 640
    with pytest.raises(WeightsError, match=r"image_size = 640.*own, for 320"):
        network_config(config)
    assert same(load_pretrained("pocket", config=config_again)[0], network)


def test_a_network_between_the_families(tmp_path: Path) -> None:
    """Hiera with settings that transformers' class has not goes into our own format."""
    torch.manual_seed(0)
    network = Sam2(replace(TINY, drawn_prompts=True, max_conditioning=3)).eval().requires_grad_(False)
    config = config_for(network.config)
    assert network_config(config) == network.config
    save_pretrained(network, config, tmp_path)
    assert same(load_pretrained(tmp_path)[0], network)


def test_files_without_a_configuration(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = Sam2(TINY).eval().requires_grad_(False)
    save_network(network, tmp_path / "own.safetensors")
    # Somebody else's configuration, in the same folder by chance.
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "treb"}))
    loaded, config = load_pretrained(tmp_path / "own.safetensors")
    assert same(loaded, network)
    assert (config.image_size, config.mask_decoder_config.mlp_dim) == (64, 32)
    Sam2VideoConfig().save_pretrained(tmp_path)
    assert load_pretrained(tmp_path)[1].image_size == 64


def test_what_is_missing_or_damaged(tmp_path: Path, written: Any) -> None:
    folder, model = written("sam2.1")
    empty = tmp_path / "empty"
    empty.mkdir()
    for name in (empty, tmp_path / "nowhere", tmp_path / "nowhere.safetensors", "/nowhere/at/all"):
        with pytest.raises(WeightsError) as ours:
            load_pretrained(name)
        with pytest.raises(OSError, match=r"."):
            type(model).from_pretrained(str(name))
        assert isinstance(ours.value, OSError)
        assert "xpected" in str(ours.value) or "does not exist" in str(ours.value)
    with pytest.raises(UnknownModelError, match="Did you mean pocket") as unknown:
        load_pretrained("pockett")
    assert isinstance(unknown.value, OSError)
    whole = (folder / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(OSError, match="truncated or damaged"):
        load_pretrained(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(whole)
    with pytest.raises(OSError, match="not valid JSON"):
        load_pretrained(tmp_path)
    with pytest.raises(OSError, match="does not exist"):
        load_pretrained(folder, config=empty)
    for wrong in ({"dtype": "float99"}, {"dtype": 3}, {"device": "cuda:99"}):
        with pytest.raises(UsageError, match=r"unknown|not available"):
            load_pretrained(folder, **wrong)


def test_a_file_where_a_folder_is_expected(tmp_path: Path, written: Any) -> None:
    network, config = load_pretrained(written("sam2.1")[0])
    (tmp_path / "file").write_text("kept")
    for name in ("file", "file/deeper"):
        with pytest.raises(OutputError, match=r"is a file|A file stands"):
            save_pretrained(network, config, tmp_path / name)
    assert (tmp_path / "file").read_text() == "kept"
    (tmp_path / "folder" / "model.safetensors").mkdir(parents=True)
    with pytest.raises(OutputError, match=r"model\.safetensors"):
        save_pretrained(network, config, tmp_path / "folder")
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["model.safetensors"]


def test_repositories(hub: Served, written: Any, tmp_path: Path) -> None:
    client, handler, _ = hub
    folder, _ = written("sam3")
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    handler.files["owner/tracker"] = files
    network, config = load_pretrained("owner/tracker", hub=client)
    assert same(network, load_pretrained(folder)[0])
    assert (config.image_size, config.name_or_path) == (112, "owner/tracker")
    for name in ("owner/gated", "owner/nothing"):
        with pytest.raises(WeightsError, match=name) as caught:
            load_pretrained(name, hub=client)
        assert isinstance(caught.value, OSError)


def test_transformers_is_not_needed() -> None:
    program = "import sys; from keepsight.compat.sam3_tracker_video import pretrained; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert {"transformers", "torchvision"}.isdisjoint(done.stdout.split())
