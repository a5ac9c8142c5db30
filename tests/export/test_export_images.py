from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from keepsight.errors import OutputError
from keepsight.export import FrameWriter, MaskWriter, davis_palette
from keepsight.types import FrameResult, ObjectResult

MakeResult = Callable[..., FrameResult]
FullDisk = Callable[[int], AbstractContextManager[None]]


def test_the_palette_is_that_of_davis() -> None:
    palette = davis_palette()
    assert palette[:6].tolist() == [
        [0, 0, 0],
        [128, 0, 0],
        [0, 128, 0],
        [128, 128, 0],
        [0, 0, 128],
        [128, 0, 128],
    ]
    assert palette[8].tolist() == [64, 0, 0]
    assert palette[22].tolist() == [0, 192, 128]
    assert palette[255].tolist() == [224, 224, 192]
    assert len(np.unique(palette, axis=0)) == 256


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ids=st.lists(st.integers(1, 255), unique=True, min_size=1, max_size=6), index=st.integers(0, 200_000))
def test_pixel_values_are_object_ids(
    tmp_path: Path, make_result: MakeResult, ids: list[int], index: int
) -> None:
    rects = {object_id: (8 * place, place, 8 * place + 8, 40) for place, object_id in enumerate(ids)}
    with MaskWriter(tmp_path) as writer:
        writer.write(make_result(index, rects))
    with Image.open(tmp_path / f"{index:05d}.png") as image:
        assert image.mode == "P"
        assert image.getpalette() == davis_palette().ravel().tolist()
        values = np.array(image)
    expected = np.zeros((48, 64), dtype=np.uint8)
    for object_id, (x1, y1, x2, y2) in rects.items():
        expected[y1:y2, x1:x2] = object_id
    assert np.array_equal(values, expected)


def overlapping(logits: dict[int, float | None]) -> FrameResult:
    mask: npt.NDArray[np.bool_] = np.ones((4, 4), dtype=bool)
    objects = {
        object_id: ObjectResult(
            mask, 0.9, 1.0, True, None if value is None else np.full((4, 4), value, dtype=np.float32)
        )
        for object_id, value in logits.items()
    }
    return FrameResult(0, None, np.zeros((4, 4, 3), dtype=np.uint8), objects)


@pytest.mark.parametrize(
    ("logits", "winner"),
    [
        ({9: None, 2: None, 5: None}, 2),
        ({9: 1.0, 2: None}, 2),
        ({2: 1.0, 9: 3.0, 5: 2.0}, 9),
        ({9: 1.0, 2: 1.0}, 2),
    ],
)
def test_overlaps_go_to_the_highest_logit_or_else_the_lowest_id(
    tmp_path: Path, logits: dict[int, float | None], winner: int
) -> None:
    with MaskWriter(tmp_path) as writer:
        writer.write(overlapping(logits))
    with Image.open(tmp_path / "00000.png") as image:
        assert set(np.array(image).ravel()) == {winner}


@pytest.mark.parametrize("object_id", [0, -1, 256])
def test_an_id_that_no_pixel_can_hold_is_refused_before_writing(
    tmp_path: Path, make_result: MakeResult, object_id: int
) -> None:
    with (
        pytest.raises(OutputError, match=rf"1\.\.255.*\[{object_id}\].*COCO"),
        MaskWriter(tmp_path) as writer,
    ):
        writer.write(make_result(0, {1: (0, 0, 4, 4), object_id: (0, 0, 4, 4)}))
    assert list(tmp_path.iterdir()) == []


def test_an_absent_object_gives_an_empty_mask_image(tmp_path: Path, make_result: MakeResult) -> None:
    with MaskWriter(tmp_path) as writer:
        writer.write(make_result(0, {1: None}))
        writer.write(make_result(1, {}))
    for index in (0, 1):
        with Image.open(tmp_path / f"{index:05d}.png") as image:
            assert image.size == (64, 48)
            assert not np.array(image).any()


def test_annotated_frames_are_jpegs_with_the_drawing(tmp_path: Path, make_result: MakeResult) -> None:
    with FrameWriter(tmp_path / "deep" / "frames", {1: "dog"}) as writer:
        writer.write(make_result(12, {1: (10, 20, 50, 44)}))
    picture = cv2.imread(str(tmp_path / "deep" / "frames" / "00012.jpg"))
    assert picture is not None
    assert picture.shape == (48, 64, 3)
    blue, _, red = picture[32, 30].astype(int)
    assert blue - red > 40  # the first object is azure; a mix-up of RGB and BGR would make it brown
    assert np.abs(picture[46, 60].astype(int) - 100).max() < 8


@pytest.mark.parametrize("writer_type", [FrameWriter, MaskWriter])
def test_a_full_disk_leaves_no_broken_image(
    tmp_path: Path,
    make_result: MakeResult,
    full_disk: FullDisk,
    writer_type: Callable[[Path], FrameWriter | MaskWriter],
) -> None:
    with writer_type(tmp_path) as writer:
        writer.write(make_result(0, {1: (0, 0, 9, 9)}))
        with full_disk(50), pytest.raises(OutputError, match=r"00001\.(jpg|png).*frames before"):
            writer.write(make_result(1, {1: (0, 0, 9, 9)}))
    (path,) = tmp_path.iterdir()
    with Image.open(path) as image:
        image.load()


@pytest.mark.parametrize("writer_type", [FrameWriter, MaskWriter])
def test_a_file_in_place_of_the_folder_is_refused(
    tmp_path: Path, writer_type: Callable[[Path], FrameWriter | MaskWriter]
) -> None:
    (tmp_path / "masks").write_text("mine")
    with pytest.raises(OutputError, match="in the way"):
        writer_type(tmp_path / "masks")
    assert (tmp_path / "masks").read_text() == "mine"
