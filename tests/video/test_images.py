import os
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from keepsight.errors import FrameIndexError, SourceError
from keepsight.video import as_rgb, open_source
from keepsight.video.images import natural_key
from keepsight.video.source import Picture
from tests.video.film import number_in, numbered

FORMATS = ["jpg", "jpeg", "JPG", "png", "webp", "tif", "tiff", "bmp"]


def save(path: Path, number: int = 0, size: tuple[int, int] = (96, 64)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(numbered(number, *size)).save(path)
    return path


# Bad input


def test_folder_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="frames does not exist"):
        open_source(tmp_path / "frames")


def test_folder_without_images(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="found no files"):
        open_source(tmp_path)
    (tmp_path / "notes.json").write_text("{}")
    (tmp_path / ".hidden.jpg").write_text("x")
    with pytest.raises(SourceError, match="found 1 other file"):
        open_source(tmp_path)
    (tmp_path / "clip.mp4").write_text("x")
    with pytest.raises(SourceError, match=r"Name the video itself: .*clip\.mp4"):
        open_source(str(tmp_path))


def test_glob_without_match(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="it matches nothing"):
        open_source(f"{tmp_path}/*.png")
    (tmp_path / "a.json").write_text("{}")
    with pytest.raises(SourceError, match="the 1 it matches are none"):
        open_source(f"{tmp_path}/*.json")


def test_image_that_is_none_is_named_before_work_starts(tmp_path: Path) -> None:
    save(tmp_path / "1.png")
    (tmp_path / "2.png").write_text("no image")
    with pytest.raises(SourceError, match=r"2\.png cannot be read"):
        open_source(tmp_path)


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "bmp", "webp"])
def test_truncated_image_is_named_after_the_frames_before_it(tmp_path: Path, suffix: str) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (64, 96, 3), np.uint8)
    for number in range(3):
        Image.fromarray(noise).save(tmp_path / f"{number}.{suffix}")
    content = (tmp_path / f"2.{suffix}").read_bytes()
    # Cut from the middle, so that formats with their directory at the end keep it.
    (tmp_path / f"2.{suffix}").write_bytes(content[: len(content) // 2])
    seen: list[int] = []
    with pytest.raises(SourceError, match=rf"2\.{suffix} cannot be read"):
        seen.extend(frame.index for frame in open_source(tmp_path))
    assert seen in ([0, 1], [])


def test_sizes_that_differ_are_both_named(tmp_path: Path) -> None:
    save(tmp_path / "1.png")
    save(tmp_path / "2.png", size=(96, 72))
    with pytest.raises(SourceError, match=r"1\.png has 96x64 pixels and .*2\.png has 96x72"):
        open_source(tmp_path)
    with pytest.raises(
        SourceError, match="image 0 of the list has 96x64 pixels and image 2 of the list has 8x8"
    ):
        open_source([numbered(1), numbered(2), np.zeros((8, 8), np.uint8)])


def test_orientation_counts_when_sizes_are_compared(tmp_path: Path) -> None:
    save(tmp_path / "1.jpg")
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.fromarray(numbered(2)).save(tmp_path / "2.jpg", exif=turned)
    with pytest.raises(SourceError, match=r"1\.jpg has 96x64 pixels and .*2\.jpg has 64x96"):
        open_source(tmp_path)


def test_same_name_twice_in_a_folder_is_ambiguous(tmp_path: Path) -> None:
    save(tmp_path / "1.jpg")
    save(tmp_path / "1.png")
    with pytest.raises(SourceError, match=r"1\.jpg and 1\.png"):
        open_source(tmp_path)
    assert open_source(tmp_path / "*.png").info.frame_count == 1


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ([], "it is empty"),
        ("", "empty string"),
        (b"clip.mp4", "got bytes"),
        (True, "got bool"),
        (None, "got NoneType"),
        (iter([]), "list_iterator"),
        ([np.zeros((4, 4, 3), np.float32)], "type is float32"),
        ([np.zeros((4, 4, 3), np.uint16)], "type is uint16"),
        ([np.zeros((4, 4, 2), np.uint8)], r"shape is \(4, 4, 2\)"),
        ([np.zeros((0, 4, 3), np.uint8)], r"shape is \(0, 4, 3\)"),
        ([numbered(0), "gone.png"], "does not exist"),
        ([numbered(0), 7], "got int"),
        (numbered(0), r"\[image\]"),
        (["."], "is a folder"),
    ],
)
def test_sources_that_are_none(source: object, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        open_source(source)  # type: ignore[arg-type]


def test_frames_outside_the_list() -> None:
    with open_source([numbered(n) for n in range(3)]) as source:
        for index in (-1, 3):
            with pytest.raises(FrameIndexError, match="3 frames, numbered 0 to 2"):
                source.read(index)
        with pytest.raises(FrameIndexError, match="3 frames"):
            source.frames(3)


def test_page_stack_is_refused(tmp_path: Path) -> None:
    pages = [Image.fromarray(numbered(n)) for n in range(3)]
    pages[0].save(tmp_path / "stack.tif", save_all=True, append_images=pages[1:])
    with open_source(tmp_path / "stack.tif") as source, pytest.raises(SourceError, match="it holds 3"):
        source.read(0)


@pytest.mark.parametrize("values", [np.full((4, 4), 70000, np.int32), np.full((4, 4), 0.5, np.float32)])
def test_numbers_that_are_no_picture(values: npt.NDArray[np.generic]) -> None:
    with pytest.raises(SourceError, match="Scale them"):
        as_rgb(Image.fromarray(values))


# Order and names


def test_numeric_order_of_a_folder(tmp_path: Path) -> None:
    for number in (10, 2, 1, 100, 20):
        save(tmp_path / f"{number}.png", number)
    save(tmp_path / ".3.png", 3)
    (tmp_path / "1.json").write_text("{}")
    (tmp_path / "7.png").mkdir()
    with open_source(tmp_path) as source:
        assert source.info.file_names == ("1.png", "2.png", "10.png", "20.png", "100.png")
        assert source.info.frame_count == source.count() == 5
        assert source.info.rate is None
        assert [(f.index, f.time, number_in(f.image)) for f in source] == [
            (0, None, 1), (1, None, 2), (2, None, 10), (3, None, 20), (4, None, 100)
        ]  # fmt: skip
        assert [f.index for f in source.frames(1, None, 2, reverse=True)] == [3, 1]


def test_globs_and_lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [save(tmp_path / f"shot{shot}" / f"{n}.png", n) for shot in (1, 2) for n in (9, 10)]
    with open_source(f"{tmp_path}/shot1/*.png") as source:
        assert source.info.file_names == ("9.png", "10.png")
    with open_source(f"{tmp_path}/**/*.png") as source:
        assert source.info.file_names == ("shot1/9.png", "shot1/10.png", "shot2/9.png", "shot2/10.png")
    with open_source([str(paths[1]), paths[0]]) as source:
        assert [number_in(frame.image) for frame in source] == [10, 9]
    monkeypatch.chdir(tmp_path)
    with open_source("shot2/?.png") as source:
        assert source.info.file_names == ("9.png",)


def test_name_with_glob_signs_is_a_file_first(tmp_path: Path) -> None:
    with open_source(save(tmp_path / "take[1].png", 5)) as source:
        assert number_in(source.read(0).image) == 5
    with open_source((tmp_path / "take[1].png").as_uri().replace("%5B", "[").replace("%5D", "]")) as source:
        assert source.count() == 1


@given(st.lists(st.integers(0, 10**6), unique=True, min_size=1))
def test_names_of_numbers_sort_as_numbers(numbers: list[int]) -> None:
    names = sorted((f"frame{number}.jpg" for number in numbers), key=natural_key)
    assert names == [f"frame{number}.jpg" for number in sorted(numbers)]


@given(st.lists(st.text(alphabet="a1.é²٣-", max_size=6)))
def test_any_names_can_be_sorted(names: list[str]) -> None:
    assert sorted(sorted(names, key=natural_key), key=natural_key) == sorted(names, key=natural_key)


# Pictures


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format_is_read(tmp_path: Path, suffix: str) -> None:
    with open_source(save(tmp_path / f"image.{suffix}", 173)) as source:
        image = source.read(0).image
    assert number_in(image) == 173
    assert image.shape == (64, 96, 3)
    assert image.dtype == np.uint8


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
def test_exif_orientation_is_honoured(tmp_path: Path, orientation: int, suffix: str) -> None:
    stored = np.kron(np.array([[0, 80, 160], [240, 40, 120]], np.uint8), np.ones((16, 16), np.uint8))
    upright = {
        1: stored, 2: stored[:, ::-1], 3: stored[::-1, ::-1], 4: stored[::-1],
        5: stored.T, 6: np.rot90(stored, -1), 7: np.rot90(stored, 2).T, 8: np.rot90(stored),
    }[orientation]  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(stored).save(tmp_path / f"turned.{suffix}", exif=exif)
    with open_source(tmp_path / f"turned.{suffix}") as source:
        assert (source.info.height, source.info.width) == upright.shape
        image = source.read(0).image
    assert np.abs(image[8::16, 8::16, 0].astype(int) - upright[8::16, 8::16]).max() <= 6


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "HSV"])
def test_every_mode_becomes_rgb(mode: str) -> None:
    white = Image.new("RGB", (5, 4), (255, 255, 255))
    image = as_rgb((white.convert("L") if mode == "LA" else white).convert(mode))
    assert image.shape == (4, 5, 3)
    assert image.dtype == np.uint8
    assert image.min() >= 250


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bits_are_scaled(tmp_path: Path, suffix: str) -> None:
    deep = np.array([[0, 257, 128 * 257, 65535]] * 3, np.uint16)
    Image.fromarray(deep).save(tmp_path / f"deep.{suffix}")
    with open_source(tmp_path / f"deep.{suffix}") as source:
        np.testing.assert_array_equal(
            source.read(0).image, np.repeat([[[0], [1], [128], [255]]] * 3, 3, axis=2)
        )


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 1), (4, 5, 3), (4, 5, 4)])
def test_arrays_of_every_shape(shape: tuple[int, ...]) -> None:
    array = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    colours = np.stack([array] * 3, axis=2) if array.ndim == 2 else np.repeat(array, 3, axis=2)
    expected = array[..., :3] if array.ndim == 3 and shape[2] > 1 else colours
    for source in ([array], np.stack([array]) if len(shape) == 3 else [array]):
        with open_source(source) as opened:
            assert opened.info.file_names is None
            np.testing.assert_array_equal(opened.read(0).image, expected)


def test_rgb_arrays_are_not_copied() -> None:
    array = numbered(3)
    assert as_rgb(array) is array or np.shares_memory(as_rgb(array), array)


def test_mixed_list(tmp_path: Path) -> None:
    entries: list[Picture] = [
        save(tmp_path / "a.png", 1),
        numbered(2),
        Image.fromarray(numbered(3)),
        os.fspath(tmp_path / "a.png"),
    ]
    with open_source(entries) as source:
        assert [number_in(frame.image) for frame in source] == [1, 2, 3, 1]


def test_open_source_is_passed_through() -> None:
    with open_source([numbered(0)]) as source:
        assert open_source(source) is source
