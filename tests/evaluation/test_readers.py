from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from keepsight.errors import AnnotationError, KeepsightError, SourceError, UsageError
from keepsight.evaluation import BoxSequence, Dataset, MaskSequence, open_dataset
from tests.evaluation.tiny import (
    HEIGHT,
    SIDE,
    WIDTH,
    labels,
    make_davis,
    make_got,
    make_lasot,
    make_otb,
    save_frame,
    save_labels,
)
from tests.toy import place


def one(dataset: Dataset) -> MaskSequence | BoxSequence:
    (sequence,) = dataset.sequences
    return sequence


def masked(dataset: Dataset) -> MaskSequence:
    sequence = one(dataset)
    assert isinstance(sequence, MaskSequence)
    return sequence


def boxed(dataset: Dataset) -> BoxSequence:
    sequence = one(dataset)
    assert isinstance(sequence, BoxSequence)
    return sequence


def looked_through(root: Path) -> None:
    for sequence in open_dataset(root).sequences:
        sequence.check()


def first_break(root: Path) -> KeepsightError:
    """What opening a dataset and looking through it raises."""
    with pytest.raises(KeepsightError) as raised:
        looked_through(root)
    return raised.value


def test_a_missing_folder_and_a_file(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"gone' does not exist"):
        open_dataset(tmp_path / "gone")
    (tmp_path / "file").touch()
    with pytest.raises(SourceError, match="is a file"):
        open_dataset(tmp_path / "file")


def test_a_folder_without_any_known_layout(tmp_path: Path) -> None:
    (tmp_path / "a" / "b" / "c").mkdir(parents=True)
    with pytest.raises(SourceError, match="found nothing of the kind"):
        open_dataset(tmp_path)


def test_two_layouts_in_one_folder(tmp_path: Path) -> None:
    make_otb(make_got(tmp_path))
    with pytest.raises(SourceError, match="found GOT-10k and OTB"):
        open_dataset(tmp_path)


@pytest.mark.parametrize("missing", ["JPEGImages", "Annotations"])
def test_half_of_a_davis_folder(tmp_path: Path, missing: str) -> None:
    make_davis(tmp_path)
    (tmp_path / missing).rename(tmp_path / "elsewhere")
    error = first_break(tmp_path)
    assert isinstance(error, SourceError)
    assert f"{missing} is missing" in str(error)


def test_davis_sequences_without_annotations_or_frames(tmp_path: Path) -> None:
    make_davis(tmp_path, ["calm"])
    (tmp_path / "Annotations" / "calm").rename(tmp_path / "Annotations" / "other")
    assert "Annotations/calm' cannot be listed" in str(first_break(tmp_path))
    (tmp_path / "Annotations" / "calm").mkdir()
    assert "there are none" in str(first_break(tmp_path))


@pytest.mark.parametrize("lacking", ["JPEGImages/calm/00002.jpg", "Annotations/calm/00002.png"])
def test_davis_frames_and_annotations_of_different_number(tmp_path: Path, lacking: str) -> None:
    (make_davis(tmp_path) / lacking).unlink()
    error = first_break(tmp_path)
    assert isinstance(error, AnnotationError)
    assert "'calm'" in str(error)
    assert "00002 without a partner" in str(error)


def test_davis_sizes_that_differ(tmp_path: Path) -> None:
    make_davis(tmp_path)
    path = tmp_path / "Annotations" / "calm" / "00003.png"
    Image.fromarray(np.zeros((HEIGHT * 2, WIDTH), np.uint8)).save(path)
    error = first_break(tmp_path)
    assert isinstance(error, AnnotationError)
    assert "00003.png' to be 80x48" in str(error)
    with pytest.raises(AnnotationError, match="is 80x96"):
        masked(open_dataset(tmp_path)).masks(3)
    save_labels(path, labels(3, (1, 2)))
    Image.new("RGB", (40, 48)).save(tmp_path / "JPEGImages" / "calm" / "00004.jpg")
    error = first_break(tmp_path)
    assert isinstance(error, SourceError)
    assert "00004.jpg" in str(error)


def test_davis_annotations_that_cannot_be_used(tmp_path: Path) -> None:
    make_davis(tmp_path)
    first = tmp_path / "Annotations" / "calm" / "00000.png"
    first.write_bytes(b"no picture")
    assert "00000.png' cannot be read" in str(first_break(tmp_path))
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)).save(first)
    assert "it holds colours" in str(first_break(tmp_path))
    save_labels(first, labels(0, ()))
    assert "it is empty" in str(first_break(tmp_path))


def test_a_davis_sequence_too_short_to_be_scored(tmp_path: Path) -> None:
    assert "at least 3 frames" in str(first_break(make_davis(tmp_path, frames=2)))


@pytest.mark.parametrize("part", ["", "480p"])
def test_davis_2017_masks_of_several_objects(tmp_path: Path, part: str) -> None:
    make_davis(tmp_path, part=part)
    # Void pixels and an object that joins later are not part of what is measured.
    values = labels(2, (1, 2, 3))
    values[0, :5] = 255
    save_labels(tmp_path / "Annotations" / part / "calm" / "00002.png", values)
    first = labels(0, (1, 2))
    first[0, :5] = 255
    save_labels(tmp_path / "Annotations" / part / "calm" / "00000.png", first)
    dataset = open_dataset(tmp_path)
    sequence = masked(dataset)
    sequence.check()
    assert (dataset.layout, sequence.name, sequence.size) == ("DAVIS", "calm", (WIDTH, HEIGHT))
    assert [path.name for path in sequence.frames] == [f"{i:05d}.jpg" for i in range(5)]
    assert sequence.object_ids == (1, 2)
    masks = sequence.masks(2)
    assert list(masks) == [1, 2]
    for i, mask in masks.items():
        assert np.array_equal(mask, labels(2, (1, 2)) == i)


def test_davis_2016_masks_of_one_object(tmp_path: Path) -> None:
    sequence = masked(open_dataset(make_davis(tmp_path, ids=(2,))))
    assert sequence.object_ids == (1,)
    assert np.array_equal(sequence.masks(3)[1], labels(3, (2,)) == 2)


@pytest.mark.parametrize("mode", ["1", "RGB", "P"])
def test_davis_2016_masks_stored_in_other_ways(tmp_path: Path, mode: str) -> None:
    make_davis(tmp_path, ids=(2,))
    for path in (tmp_path / "Annotations" / "calm").iterdir():
        with Image.open(path) as image:
            image.convert(mode).save(path)
    assert np.array_equal(masked(open_dataset(tmp_path)).masks(3)[1], labels(3, (2,)) == 2)


def test_an_object_that_is_absent_for_a_while_has_an_empty_mask(tmp_path: Path) -> None:
    make_davis(tmp_path)
    save_labels(tmp_path / "Annotations" / "calm" / "00002.png", labels(2, (1,)))
    masks = masked(open_dataset(tmp_path)).masks(2)
    assert masks[1].any()
    assert not masks[2].any()


def test_image_sets_choose_the_sequences(tmp_path: Path) -> None:
    make_davis(tmp_path, ["a", "b", "c"])
    assert [s.name for s in open_dataset(tmp_path).sequences] == ["a", "b", "c"]
    (tmp_path / "ImageSets" / "2017").mkdir(parents=True)
    (tmp_path / "ImageSets" / "480p").mkdir()
    (tmp_path / "ImageSets" / "480p" / "train.txt").write_text(
        "/JPEGImages/480p/c/00000.jpg /Annotations/480p/c/00000.png\n"
        "/JPEGImages/480p/c/00001.jpg /Annotations/480p/c/00001.png\n"
    )
    (tmp_path / "ImageSets" / "2017" / "val.txt").write_text("b\na\n")
    assert [s.name for s in open_dataset(tmp_path).sequences] == ["b", "a"]
    assert [s.name for s in open_dataset(tmp_path, "train").sequences] == ["c"]
    with pytest.raises(UsageError, match="one of train, val, but got 'test-dev'"):
        open_dataset(tmp_path, "test-dev")
    (tmp_path / "ImageSets" / "2017" / "val.txt").write_text("gone\n")
    with pytest.raises(SourceError, match="gone"):
        open_dataset(tmp_path)


def test_a_dataset_can_be_cut_down_by_name(tmp_path: Path) -> None:
    dataset = open_dataset(make_davis(tmp_path, ["a", "b", "c"]))
    assert [s.name for s in dataset.only(["c", "a"]).sequences] == ["a", "c"]
    assert dataset.only([]) == dataset
    with pytest.raises(UsageError, match="a, b, c"):
        dataset.only(["d"])


def expected_boxes(frames: int) -> list[tuple[int, int, int, int]]:
    corners = [place(1, index) for index in range(frames)]
    return [(x, y, x + SIDE, y + SIDE) for x, y in corners]


def test_lasot(tmp_path: Path) -> None:
    dataset = open_dataset(make_lasot(tmp_path, 6, absent=[2]))
    sequence = boxed(dataset)
    sequence.check()
    assert (dataset.layout, sequence.name, sequence.size) == ("LaSOT", "square-1", (WIDTH, HEIGHT))
    assert [path.name for path in sequence.frames][:2] == ["00000001.jpg", "00000002.jpg"]
    assert sequence.boxes.tolist() == [list(box) for box in expected_boxes(6)]
    assert sequence.visible.tolist() == [True, True, False, True, True, True]
    (tmp_path / "square" / "square-1" / "out_of_view.txt").write_text("0,0,0,0,0,1\n")
    assert boxed(open_dataset(tmp_path)).visible.tolist() == [True, True, False, True, True, False]
    # A class's folder, or a sequence's, will do as well.
    assert open_dataset(tmp_path / "square").layout == "LaSOT"
    assert boxed(open_dataset(tmp_path / "square" / "square-1")).name == "square-1"


def test_got(tmp_path: Path) -> None:
    dataset = open_dataset(make_got(tmp_path, 4, absent=[3]))
    sequence = boxed(dataset)
    sequence.check()
    assert (dataset.layout, sequence.name) == ("GOT-10k", "GOT-10k_Val_000001")
    assert len(sequence.frames) == 4
    assert sequence.boxes.tolist() == [list(box) for box in expected_boxes(4)]
    assert sequence.visible.tolist() == [True, True, True, False]


@pytest.mark.parametrize("between", [",", "\t", " ", ", "])
def test_otb(tmp_path: Path, between: str) -> None:
    dataset = open_dataset(make_otb(tmp_path, 4, between=between))
    sequence = boxed(dataset)
    sequence.check()
    assert (dataset.layout, sequence.name) == ("OTB", "Square")
    assert sequence.boxes.tolist() == [list(box) for box in expected_boxes(4)]
    assert sequence.visible.all()


def test_otb_videos_of_two_objects_are_two_sequences(tmp_path: Path) -> None:
    folder = make_otb(tmp_path, 4) / "Square"
    text = (folder / "groundtruth_rect.txt").read_text()
    (folder / "groundtruth_rect.txt").rename(folder / "groundtruth_rect.1.txt")
    (folder / "groundtruth_rect.2.txt").write_text(text)
    assert [s.name for s in open_dataset(tmp_path).sequences] == ["Square.1", "Square.2"]


def test_otb_folders_with_more_frames_than_boxes(tmp_path: Path) -> None:
    folder = make_otb(tmp_path, 4, name="Football1") / "Football1"
    for number in range(5, 80):
        (folder / "img" / f"{number:04d}.jpg").touch()
    (folder / "groundtruth_rect.txt").write_text("1,1,9,9\n" * 74)
    sequence = boxed(open_dataset(tmp_path))
    sequence.check()
    assert len(sequence.frames) == 74


def test_frames_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    folder = make_otb(tmp_path, 3) / "Square"
    for number in (1, 2, 3):
        (folder / "img" / f"{number:04d}.jpg").rename(folder / "img" / f"{number * 5}.jpg")
    (folder / "img" / "._5.jpg").touch()  # what a Mac leaves behind
    assert [path.name for path in boxed(open_dataset(tmp_path)).frames] == ["5.jpg", "10.jpg", "15.jpg"]


def test_sequences_of_one_name_are_told_apart(tmp_path: Path) -> None:
    make_otb(tmp_path / "one", 3)
    make_otb(tmp_path / "two", 3)
    names = [s.name for s in open_dataset(tmp_path).sequences]
    assert names == ["one/Square/groundtruth_rect", "two/Square/groundtruth_rect"]


def test_boxes_without_an_area_or_a_number_are_absent(tmp_path: Path) -> None:
    folder = make_otb(tmp_path, 4) / "Square"
    (folder / "groundtruth_rect.txt").write_text("1,1,9,9\nNaN,NaN,NaN,NaN\n0,0,0,0\n5,5,2,2\n\n")
    assert boxed(open_dataset(tmp_path)).visible.tolist() == [True, False, False, True]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("1,1,9,9\n1,1,9\n1,1,9,9\n", "groundtruth_rect.txt', line 2: expected 4 numbers"),
        ("1,1,9,9\n1,1,9,x\n1,1,9,9\n", "line 2"),
        ("1,1,9,9\n\n1,1,9,9\n", "line 2"),
        ("1,1,9,9\n1,1,inf,9\n1,1,9,9\n", "line 2"),
        ("1,1,9,9\n1,1,9,9\n", "3 frames and 2 entries"),
        ("1,1,9,9\n" * 4, "3 frames and 4 entries"),
        ("", "3 frames and 0 entries"),
        ("90,1,9,9\n1,1,9,9\n1,1,9,9\n", "line 1: expected the box of the object to follow"),
        ("0,0,0,0\n1,1,9,9\n1,1,9,9\n", "line 1"),
    ],
)
def test_lists_of_boxes_that_are_wrong(tmp_path: Path, text: str, says: str) -> None:
    (make_otb(tmp_path, 3) / "Square" / "groundtruth_rect.txt").write_text(text)
    error = first_break(tmp_path)
    assert isinstance(error, AnnotationError)
    assert says in str(error)


def test_flags_that_are_wrong(tmp_path: Path) -> None:
    label = make_got(tmp_path, 3) / "GOT-10k_Val_000001" / "absence.label"
    label.write_text("0\n2\n0\n")
    assert "absence.label', line 2: expected flags 0 or 1, but got '2'" in str(first_break(tmp_path))
    label.write_text("0\n0\n")
    assert "3 frames and 2 entries" in str(first_break(tmp_path))
    label.write_bytes(b"\xff\xfe\x00")
    assert "cannot be read" in str(first_break(tmp_path))


def test_box_folders_in_which_something_is_missing(tmp_path: Path) -> None:
    root = make_otb(tmp_path / "a", 3)
    (root / "Square" / "groundtruth_rect.txt").rename(tmp_path / "list.txt")
    error = first_break(root)
    assert isinstance(error, AnnotationError)
    assert "beside its img folder" in str(error)
    (tmp_path / "list.txt").rename(root / "Square" / "groundtruth_rect.txt")
    for path in (root / "Square" / "img").iterdir():
        path.unlink()
    assert "there are none" in str(first_break(root))
    save_frame(root / "Square" / "img" / "1.jpg", 0)
    (root / "Square" / "groundtruth_rect.txt").write_text("1,1,9,9\n")
    assert "at least 2 frames" in str(first_break(root))


def test_a_split_needs_image_sets(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--split val"):
        open_dataset(make_otb(tmp_path), "val")
