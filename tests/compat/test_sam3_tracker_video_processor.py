"""The processor against transformers' own: the same pictures and prompts given to both."""

import logging
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from keepsight.compat.sam3_tracker_video.encoding import Encoding
from keepsight.compat.sam3_tracker_video.preparation import ImagePreparation
from keepsight.compat.sam3_tracker_video.processor import Sam2VideoProcessor, Sam3TrackerVideoProcessor
from keepsight.errors import KeepsightError, PromptError, UsageError

transformers = pytest.importorskip("transformers", reason="needs transformers (in the test extra)")

FAMILIES = {"Sam2": Sam2VideoProcessor, "Sam3": Sam3TrackerVideoProcessor}
SIDE = 56


def noise(*shape: int, top: int = 256) -> Any:
    return np.random.default_rng(sum(shape)).integers(0, top, shape, dtype=np.uint8)


def their_processor(family: str, **settings: Any) -> Any:
    kind = {"Sam2": "Sam2VideoProcessor", "Sam3": "Sam3TrackerVideoProcessor"}[family]
    images = getattr(transformers, f"{family}ImageProcessor")(**settings)
    return getattr(transformers, kind)(images, transformers.Sam2VideoVideoProcessor(**settings))


@pytest.fixture(scope="module", params=FAMILIES)
def pair(request: pytest.FixtureRequest) -> tuple[Any, Any]:
    """Theirs and ours, with a small model input."""
    settings = {"size": SIDE, "mask_size": {"height": 17, "width": 17}}
    images = getattr(transformers, f"{request.param}ImageProcessor")(**settings)
    theirs = getattr(
        transformers, {"Sam2": "Sam2VideoProcessor", "Sam3": "Sam3TrackerVideoProcessor"}[request.param]
    )(images, transformers.Sam2VideoVideoProcessor(size=SIDE))
    return theirs, FAMILIES[request.param](image_processor=settings)


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Without transformers' notes about shapes that could be read in two ways."""
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


PICTURES: dict[str, Callable[[], Any]] = {
    "bytes": lambda: noise(120, 213, 3),
    "smaller than the input": lambda: noise(31, 17, 3),
    "of the input's size": lambda: noise(SIDE, SIDE, 3),
    "channels first": lambda: noise(3, 121, 90),
    "channels that could be either": lambda: noise(3, 40, 3),
    "float": lambda: noise(50, 60, 3) / np.float32(255),
    "double": lambda: noise(50, 60, 3) * 1.0,
    "half": lambda: torch.from_numpy(noise(50, 60, 3)).half(),
    "whole numbers": lambda: noise(50, 61, 3).astype(np.int32),
    "grey": lambda: noise(50, 61, 1),
    "transparent": lambda: noise(50, 61, 4),
    "transparent float": lambda: noise(50, 61, 4) / np.float32(255),
    "tensor": lambda: torch.from_numpy(noise(3, 50, 61)),
    "strided": lambda: noise(50, 61, 3)[1:, ::2],
    "list": lambda: [noise(50, 61, 3), noise(3, 40, 61)],
    "nested list": lambda: [[noise(50, 61, 3)], [noise(40, 61, 3)]],
    "stack": lambda: noise(2, 50, 61, 3),
    "list of stacks": lambda: [torch.from_numpy(noise(1, 3, 50, 61))] * 2,
    "PIL": lambda: Image.fromarray(noise(50, 61, 3)),
    "PIL L": lambda: Image.fromarray(noise(50, 61)),
    "PIL RGBA": lambda: Image.fromarray(noise(50, 61, 4)),
    "PIL LA": lambda: Image.fromarray(noise(50, 61, 4)).convert("LA"),
    "PIL P": lambda: Image.fromarray(noise(50, 61, 3)).convert("P"),
    "PIL 1": lambda: Image.fromarray(noise(50, 61, 3)).convert("1"),
}


@pytest.mark.parametrize("picture", PICTURES)
def test_pixel_values_are_those_of_transformers(pair: tuple[Any, Any], picture: str) -> None:
    theirs, ours = pair
    expected = theirs(images=PICTURES[picture](), return_tensors="pt")
    got = ours(images=PICTURES[picture](), return_tensors="pt")

    assert got.keys() == set(expected.keys())
    assert got.pixel_values.dtype == torch.float32
    torch.testing.assert_close(got.pixel_values, expected["pixel_values"], atol=1e-6, rtol=0)
    assert torch.equal(got.original_sizes, expected["original_sizes"])


@pytest.mark.parametrize("family", FAMILIES)
def test_defaults_are_those_of_the_family(family: str) -> None:
    theirs, ours = their_processor(family), FAMILIES[family]()
    picture = noise(480, 854, 3)

    assert ours.target_size == theirs.target_size
    assert ours.point_pad_value == theirs.point_pad_value
    assert ours.model_input_names == theirs.model_input_names
    for mine, original in (
        (ours.image_processor, theirs.image_processor),
        (ours.video_processor, theirs.image_processor),
    ):
        assert mine.size == {"height": original.size["height"], "width": original.size["width"]}
        assert mine.image_mean == pytest.approx(original.image_mean)
        assert mine.image_std == pytest.approx(original.image_std)
    expected = theirs(images=picture, segmentation_maps=noise(480, 854), return_tensors="pt")
    got = ours(images=picture, segmentation_maps=noise(480, 854), return_tensors="pt")
    torch.testing.assert_close(got.pixel_values, expected["pixel_values"], atol=1e-6, rtol=0)
    assert torch.equal(got.labels, expected["labels"])


@pytest.mark.parametrize(
    "maps",
    [
        lambda: noise(50, 61),
        lambda: [noise(50, 61), noise(40, 30)],
        lambda: noise(2, 50, 61),
        lambda: noise(50, 61, top=2).astype(bool),
        lambda: torch.from_numpy(noise(50, 61)).long(),
        lambda: Image.fromarray(noise(50, 61)),
    ],
)
def test_segmentation_maps_become_labels(pair: tuple[Any, Any], maps: Callable[[], Any]) -> None:
    theirs, ours = pair
    count = 2 if isinstance(maps(), list) or getattr(maps(), "ndim", 2) == 3 else 1
    pictures = [noise(50, 61, 3)] * count
    expected = theirs(images=pictures, segmentation_maps=maps(), return_tensors="pt")["labels"]
    got = ours(images=pictures, segmentation_maps=maps(), return_tensors="pt").labels

    assert got.dtype == torch.int64
    assert torch.equal(got, expected)


@pytest.mark.parametrize(
    "changes",
    [
        {"size": 40},
        {"size": {"height": 30, "width": 44}},
        {"do_resize": False},
        {"do_normalize": False},
        {"do_rescale": False},
        {"do_rescale": False, "do_normalize": False},
        {"rescale_factor": 1 / 127},
        {"image_mean": [0.1, 0.2, 0.3], "image_std": [0.4, 0.5, 0.6]},
        {"resample": 0},
        {"resample": 3},
        {"input_data_format": "channels_last"},
        {"device": "cpu"},
    ],
    ids=str,
)
def test_settings_for_one_call(pair: tuple[Any, Any], changes: dict[str, Any]) -> None:
    theirs, ours = pair
    picture = noise(50, 60, 3)
    expected = theirs(images=picture, return_tensors="pt", **changes)["pixel_values"]
    got = ours(images=picture, return_tensors="pt", **changes).pixel_values

    assert got.dtype == expected.dtype
    torch.testing.assert_close(got, expected, atol=1e-6, rtol=1e-6)
    assert ours.image_processor.size["height"] == SIDE


def test_lists_arrays_and_tensors_are_returned_as_asked(pair: tuple[Any, Any]) -> None:
    theirs, ours = pair
    for kind in (None, "np", "pt"):
        expected = theirs(images=[noise(50, 60, 3)] * 2, return_tensors=kind)
        got = ours(images=[noise(50, 60, 3)] * 2, return_tensors=kind)
        for name in ("pixel_values", "original_sizes"):
            assert type(got[name]) is type(expected[name])
        np.testing.assert_array_equal(np.asarray(got.original_sizes), np.asarray(expected["original_sizes"]))


def test_an_encoding_moves_like_theirs(pair: tuple[Any, Any]) -> None:
    theirs, ours = pair
    asked = {"images": noise(50, 60, 3), "input_labels": [[[1]]], "return_tensors": "pt"}
    for arguments in (("cpu", torch.float16), (torch.float16,), ("cpu",)):
        expected, got = theirs(**asked).to(*arguments), ours(**asked)
        assert got.to(*arguments) is got
        assert {name: value.dtype for name, value in got.items()} == {
            name: value.dtype for name, value in expected.items()
        }
    with pytest.raises(AttributeError, match="pixel_values"):
        _ = ours(**asked).pixel_value
    with pytest.raises(UsageError):
        ours(**asked).to([1])


SIZES = [[90, 160], [60, 200]]
PROMPTS: dict[str, dict[str, Any]] = {
    "one point": {"input_points": [[[[80, 45]]]], "input_labels": [[[1]]]},
    "two objects": {"input_points": [[[[20, 30]], [[40, 15]]]], "input_labels": [[[1], [0]]]},
    "ragged points": {
        "input_points": [[[[20, 30]], [[40, 15], [1.5, 2.25], [3, 4]], []]],
        "input_labels": [[[1], [0, 1, 1], []]],
    },
    "ragged objects": {
        "input_points": [[[[20, 30]]], [[[40, 15], [1, 2]], [[5, 6]]]],
        "input_labels": [[[1]], [[0, 1], [1]]],
    },
    "array": {"input_points": np.arange(12.0).reshape(1, 3, 2, 2), "input_labels": np.ones((1, 3, 2), int)},
    "tensor": {"input_points": torch.arange(4).view(1, 1, 2, 2), "input_labels": torch.ones(1, 1, 2)},
    "lists of arrays": {"input_points": [[np.ones((2, 2)), np.zeros((2, 2))]]},
    "labels alone": {"input_labels": [[[1, 0]]]},
    "padded by hand": {"input_points": [[[[20, 30], [-10, -10]]]], "input_labels": [[[1, -10]]]},
    "boxes": {"input_boxes": [[[1, 2, 30, 40], [5, 6, 7, 8]]]},
    "box tensor": {"input_boxes": torch.tensor([[[1.0, 2, 30, 40]]])},
    "boxes of two images": {"input_boxes": [[[1, 2, 30, 40]], [[5, 6, 7, 8]]]},
    "box and points": {
        "input_boxes": [[[1, 2, 30, 40]]],
        "input_points": [[[[20, 30]]]],
        "input_labels": [[[0]]],
    },
}


@pytest.mark.parametrize("kind", [None, "pt"])
@pytest.mark.parametrize("prompt", PROMPTS)
def test_prompts_are_padded_and_scaled_as_theirs(
    pair: tuple[Any, Any], prompt: str, kind: str | None
) -> None:
    theirs, ours = pair
    given = PROMPTS[prompt]
    count = max(len(value) for value in given.values())
    sizes = SIZES[:count]
    images = [noise(height, width, 3) for height, width in sizes]
    for frame in ({"original_sizes": sizes}, {"original_sizes": torch.tensor(sizes)}, {"images": images}):
        expected = theirs(**frame, **given, return_tensors=kind)
        got = ours(**frame, **given, return_tensors=kind)
        assert got.keys() == set(expected.keys())
        for name in given:
            assert got[name].dtype == expected[name].dtype
            torch.testing.assert_close(got[name], expected[name], atol=1e-5, rtol=1e-6)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.lists(st.tuples(st.floats(0, 200), st.floats(0, 200)).map(list), min_size=1, max_size=4),
        min_size=1,
        max_size=4,
    ),
    st.tuples(st.integers(1, 300), st.integers(1, 300)),
)
def test_any_ragged_points(points: list[list[list[float]]], size: tuple[int, int]) -> None:
    theirs, ours = their_processor("Sam3"), Sam3TrackerVideoProcessor()
    expected = theirs(original_sizes=[list(size)], input_points=[points])["input_points"]
    got = ours(original_sizes=[list(size)], input_points=[points]).input_points
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=1e-5)


def test_tuples_are_lists(pair: tuple[Any, Any]) -> None:
    ours = pair[1]
    as_lists = ours(original_sizes=[[90, 160]], input_points=[[[[20, 30]]]], input_boxes=[[[1, 2, 3, 4]]])
    as_tuples = ours(
        original_sizes=((90, 160),), input_points=((((20, 30),),),), input_boxes=(((1, 2, 3, 4),),)
    )
    for name in ("input_points", "input_boxes"):
        assert torch.equal(as_lists[name], as_tuples[name])


def test_one_size_serves_every_image(pair: tuple[Any, Any]) -> None:
    # The original leaves all but the first image's points as they are.
    got = pair[1](
        original_sizes=[[SIDE * 2, SIDE * 4]], input_points=[[[[20, 30]]], [[[20, 30]]]]
    ).input_points
    assert got.tolist() == [[[[5, 15]]], [[[5, 15]]]]


IMAGE = noise(40, 60, 3)
MISUSES: dict[str, dict[str, Any]] = {
    "neither image nor size": {},
    "points too shallow": {"images": IMAGE, "input_points": [[[1, 2]]]},
    "points too deep": {"images": IMAGE, "input_points": [[[[[1, 2]]]]]},
    "points of no object": {"images": IMAGE, "input_points": [[[]]]},
    "points in words": {"images": IMAGE, "input_points": [[[["a", 2]]]]},
    "points missing": {"images": IMAGE, "input_points": [[[[1, None]]]]},
    "tensor too shallow": {"images": IMAGE, "input_points": torch.zeros(1, 1, 2)},
    "tensor of three coordinates": {"images": IMAGE, "input_points": torch.zeros(1, 1, 1, 3)},
    "array of five coordinates": {"images": IMAGE, "input_boxes": np.zeros((1, 1, 5))},
    "box of three coordinates": {"images": IMAGE, "input_boxes": [[[1, 2, 3]]]},
    "boxes too shallow": {"images": IMAGE, "input_boxes": [[1, 2, 3, 4]]},
    "labels too shallow": {"images": IMAGE, "input_labels": [[1]]},
    "more labels than points": {"images": IMAGE, "input_points": [[[[1, 2]]]], "input_labels": [[[1, 1]]]},
    "boxes that need padding": {
        "images": [IMAGE, IMAGE],
        "input_boxes": [[[1, 2, 3, 4]], [[1, 2, 3, 4], [1, 2, 3, 4]]],
    },
    "no images": {"images": []},
    "flat grey": {"images": IMAGE[..., 0]},
    "a number": {"images": 3},
    "a missing file": {"images": "nowhere.png"},
    "no file of an image": {"images": "nowhere"},
    "two channels": {"images": IMAGE[..., :2]},
    "float transparency beyond 1": {"images": np.full((4, 5, 4), 2.0, np.float32)},
    "unknown setting": {"images": IMAGE, "sharpen": True},
    "unknown tensors": {"images": IMAGE, "return_tensors": "cupy"},
    "sizes that do not stack": {"images": [IMAGE, IMAGE[:9]], "do_resize": False, "return_tensors": "pt"},
}


# transformers does not expect boxes of three coordinates; torch answers.
OTHER_ERRORS = {"box of three coordinates": ValueError}


@pytest.mark.parametrize("misuse", MISUSES)
def test_misuse_raises_what_theirs_raises(pair: tuple[Any, Any], misuse: str) -> None:
    theirs, ours = pair
    with pytest.raises(Exception) as expected:  # noqa: PT011, whatever it is
        theirs(**MISUSES[misuse])
    kind = OTHER_ERRORS.get(misuse, expected.type)
    with pytest.raises(kind) as got:
        ours(**MISUSES[misuse])
    assert isinstance(got.value, KeepsightError)
    assert not kind.__module__.startswith("transformers")


@pytest.mark.parametrize(
    "given",
    [
        {"input_points": [[[[1, 2, 3]]]]},
        {"input_points": [[[[1, 2]], [3, 4]]]},
        {"input_points": [[[[1, float("nan")]]]]},
        {"input_points": [[[[1, 2]], [[1, 2], [3, 4]]]], "input_labels": [[[1, 1], [1]]]},
        {"input_points": [[[[1, 2]]]] * 3, "original_sizes": [[40, 60], [40, 60]]},
    ],
)
def test_what_theirs_lets_pass_in_silence_is_refused(pair: tuple[Any, Any], given: dict[str, Any]) -> None:
    with pytest.raises(PromptError):
        pair[1](**{"original_sizes": [[40, 60]], **given})


@pytest.mark.parametrize("family", FAMILIES)
def test_processors_are_taken_as_theirs_as_dictionaries_and_as_ours(family: str) -> None:
    settings = {
        "size": {"height": 64, "width": 64},
        "image_mean": [0.1, 0.2, 0.3],
        "image_std": [0.4, 0.5, 0.6],
    }
    theirs = their_processor(family, **settings)
    ours = FAMILIES[family]
    expected = theirs(images=noise(40, 60, 3), return_tensors="pt")["pixel_values"]
    for made in (
        ours(theirs.image_processor, theirs.video_processor),
        ours(settings),
        ours(ours(settings).image_processor),
    ):
        assert made.target_size == 64
        assert made.video_processor.size == {"height": 64, "width": 64}
        got = made(images=noise(40, 60, 3), return_tensors="pt").pixel_values
        torch.testing.assert_close(got, expected, atol=1e-6, rtol=1e-6)
    assert ours(settings, target_size=48, point_pad_value=-1).target_size == 48


@pytest.mark.parametrize("given", [3, "facebook/sam3", object()])
def test_what_is_no_processor_is_refused(given: Any) -> None:
    # transformers raises a TypeError too.
    with pytest.raises(TypeError, match="image processor"):
        Sam3TrackerVideoProcessor(given)


@pytest.mark.parametrize(
    "settings",
    [{"size": {"longest_edge": 3}}, {"image_mean": [1, 2]}, {"resample": 9}, {"image_std": 3 * [1, 2]}],
)
def test_settings_that_cannot_be_used_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Sam3TrackerVideoProcessor(settings)


def test_images_are_read_from_files_upright(pair: tuple[Any, Any], tmp_path: Any) -> None:
    picture = Image.fromarray(noise(20, 30, 3))
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.save(tmp_path / "turned.png", exif=exif)

    got = pair[1](images=str(tmp_path / "turned.png"), return_tensors="pt")
    expected = pair[1](images=np.rot90(noise(20, 30, 3), -1), return_tensors="pt")
    assert got.original_sizes.tolist() == [[30, 20]]
    assert torch.equal(got.pixel_values, expected.pixel_values)


def test_the_image_processor_can_be_called_alone() -> None:
    prepared = ImagePreparation(64, 16, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))(noise(20, 30, 3))
    assert isinstance(prepared, Encoding)
    assert [tuple(pixels.shape) for pixels in prepared.pixel_values] == [(3, 64, 64)]
