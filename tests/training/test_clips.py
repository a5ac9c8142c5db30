"""Clips: reproducible, within their shapes, showing the object first, moving it, hiding it now and then."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco

from training.absences import covered, cut_away, nothing
from training.clips import (
    LARGEST_PROMPT,
    MOST_OBJECTS,
    SMALLEST_PROMPT,
    close_twin,
    curtain,
    make_clip,
    passer_by,
    prompt_shares,
)
from training.cutouts import textured_blob
from training.layers import TARGET, Clip, Layer, paste
from training.paths import approach, random_path, slide, turn, vanish
from training.scenes import real_frames
from training.shares import KINDS, Shares
from training.sources import (
    Cutout,
    Sources,
    Tracklet,
    blob_mask,
    clothing_regions,
    cut_out,
    labelled_photos,
    labelled_tracklets,
    load_sources,
    polygon_regions,
)

SIZE = 64

# pycocotools 2.0.11 has not caught up with NumPy 2 (in decode).
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept:DeprecationWarning")


def test_a_clip_is_the_same_every_time_and_another_for_another_number(sources: Sources) -> None:
    first, again, other = (make_clip(sources, 3, index, 4, SIZE) for index in (5, 5, 6))
    np.testing.assert_array_equal(first.frames, again.frames)
    np.testing.assert_array_equal(first.objects, again.objects)
    assert not np.array_equal(first.frames, other.frames)


def test_many_clips_keep_their_promises(sources: Sources) -> None:
    clips = [make_clip(sources, 0, index, 5, SIZE) for index in range(24)]
    for clip in clips:
        assert clip.frames.shape == (5, SIZE, SIZE, 3)
        assert clip.frames.dtype == np.uint8
        assert clip.objects.shape == (5, SIZE, SIZE)
        assert clip.objects.max() <= MOST_OBJECTS
        assert SMALLEST_PROMPT < (clip.objects[0] == TARGET).mean() < LARGEST_PROMPT
    moved = [np.logical_xor(*(c.objects[[0, -1]] == TARGET)).mean() > 0 for c in clips]
    assert np.mean(moved) > 0.9
    absent = [not (c.objects[t] == TARGET).any() for c in clips for t in range(5)]
    assert 0 < np.mean(absent) < 0.3
    assert np.mean([len(np.unique(c.objects[0])) > 2 for c in clips]) > 0.2  # others to follow


def test_shares_name_what_can_be_prompted() -> None:
    objects = np.zeros((2, 20, 20), np.uint8)
    objects[0, :10, :10] = 1  # a quarter
    objects[1, 0, 0] = 1  # too small
    objects[1, 5:, :] = 2
    shares = prompt_shares(objects)
    assert shares.shape == (2, MOST_OBJECTS)
    assert shares[0].tolist() == [0.25, 0, 0, 0]
    assert (shares[1] == 0).all()  # three quarters are too much


def test_what_comes_near_grows_and_what_turns_keeps_its_outline() -> None:
    factors = []
    for seed in range(12):
        random = np.random.default_rng(seed)
        path = random_path(random, 9, 0.5, 0.2)
        scale = approach(random, path).scale / path.scale
        assert (np.diff(scale) > 0).all() or (np.diff(scale) < 0).all()
        factors.append(max(scale[-1] / scale[0], scale[0] / scale[-1]))
        turned = slide(random, path)
        stripes = np.arange(0, 160, dtype=np.uint8).repeat(160 * 3).reshape(160, 160, 3).transpose(1, 0, 2)
        layer = Layer(
            Cutout(np.ascontiguousarray(stripes), blob_mask(random, 160), filled=True), path, TARGET
        )
        shown, alphas = [], []
        for shape in (layer, replace(layer, path=turned)):
            canvas = np.zeros((SIZE, SIZE, 3), np.uint8)
            alphas.append(paste(canvas, shape, 8))
            shown.append(canvas)
        np.testing.assert_array_equal(alphas[0], alphas[1])
        assert (shown[0] != shown[1]).any() or not alphas[0].any()
    assert 1.4 < min(factors)
    assert 2 < max(factors) < 3.6


def test_the_surface_of_what_was_cut_out_does_not_move_under_its_outline() -> None:
    random = np.random.default_rng(0)
    path = slide(random, random_path(random, 9, 0.5, 0.2))
    image = random.integers(0, 255, (40, 40, 3), dtype=np.uint8)
    layer = Layer(Cutout(image, np.full((40, 40), 255, np.uint8)), path, TARGET)
    still = replace(layer, path=replace(path, slide=np.zeros_like(path.slide)))
    canvases = [np.zeros((SIZE, SIZE, 3), np.uint8) for _ in range(2)]
    for canvas, shape in zip(canvases, (layer, still), strict=True):
        paste(canvas, shape, 8)
    np.testing.assert_array_equal(canvases[0], canvases[1])


def test_what_turns_becomes_narrow_and_then_faces_the_other_way() -> None:
    image = np.zeros((40, 40, 3), np.uint8)
    image[:, :20] = 255  # white on its left
    path = replace(
        random_path(np.random.default_rng(0), 3, 0.5, 0.2), center=np.full((3, 2), 0.5, np.float32)
    )
    upright = replace(path, angle=path.angle * 0, bend=path.bend * 0, scale=path.scale * 0 + np.float32(0.5))
    turned = replace(upright, yaw=np.array([0, np.pi / 2, np.pi], np.float32))
    layer = Layer(Cutout(image, np.full((40, 40), 255, np.uint8)), turned, TARGET)
    shown, widths = [], []
    for t in range(3):
        canvas = np.zeros((SIZE, SIZE, 3), np.uint8)
        widths.append((paste(canvas, layer, t) > 0.5).any(axis=0).sum())
        shown.append(canvas[SIZE // 2, :, 0] > 127)
    assert widths[1] < 0.4 * widths[0]
    assert widths[2] == pytest.approx(widths[0], abs=2)
    middle = SIZE // 2
    assert shown[0][:middle].sum() > 5 > shown[0][middle + 2 :].sum()
    assert shown[2][middle:].sum() > 5 > shown[2][: middle - 2].sum()


def test_a_turn_begins_as_things_are() -> None:
    facing = []
    for seed in range(40):
        random = np.random.default_rng(seed)
        path = turn(random, random_path(random, 9, 0.5, 0.2))
        assert path.yaw[0] == 0
        facing.append(np.cos(path.yaw).min())
    assert 0.2 < np.mean(np.array(facing) < 0) < 0.8


def test_what_vanishes_may_return_elsewhere() -> None:
    moved = []
    for seed in range(30):
        random = np.random.default_rng(seed)
        path = random_path(random, 9, 0.3, 0.2)
        gone = vanish(random, path)
        away = np.abs(gone.center - path.center).max(axis=1)
        assert away[0] == 0
        assert away.max() > 2
        if away[-1] < 2:
            moved.append(away[-1] > 0)
    assert 0.2 < np.mean(moved) < 0.8


def test_clips_without_anything_to_see_are_refused(sources: Sources, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.clips.SMALLEST_PROMPT", 0.99)
    with pytest.raises(RuntimeError, match="Clip 7 of seed 0 shows no object"):
        make_clip(sources, 0, 7, 2, SIZE)


def test_regions_of_labels_and_polygons() -> None:
    labels = np.zeros((10, 10), np.uint8)
    labels[2:8, 2:8] = 5
    labels[4:6, 2:8] = 9
    person, *parts = clothing_regions(labels)
    assert (person > 0).sum() == 36
    assert sorted((part > 0).sum() for part in parts) == [12, 24]
    half, *none = polygon_regions("0 0 0 0.5 0 0.5 1 0 1\n1 0 0 0.01 0 0.01 0.01\n", (20, 40))
    assert none == []
    assert 0.45 < (half > 0).mean() < 0.56


def test_a_cutout_holds_the_whole_object() -> None:
    region = np.zeros((30, 30), np.uint8)
    region[0:9, 20:30] = 255
    cutout = cut_out(np.zeros((30, 30, 3), np.uint8), region)
    assert (cutout.alpha > 0).sum() == 90
    assert cutout.image.shape[:2] == cutout.alpha.shape == (11, 12)


def test_blobs_have_an_area() -> None:
    random = np.random.default_rng(0)
    areas = [(blob_mask(random, 64) > 0).mean() for _ in range(20)]
    assert min(areas) > 0.02
    assert max(areas) < 0.9


def test_missing_data_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="pass --data"):
        load_sources(tmp_path)


def test_pictures_are_read_from_their_folders(tmp_path: Path) -> None:
    for folder in ("clothing/images", "clothing/labels", "cats/images", "cats/polygons", "photos", "clips"):
        (tmp_path / folder).mkdir(parents=True)
    picture = np.full((40, 30, 3), (10, 20, 200), np.uint8)
    for name in ("clothing/images/0001.jpg", "cats/images/0101.jpg", "photos/1005.jpg"):
        cv2.imwrite(str(tmp_path / name), picture)
    labels = np.zeros((40, 30), np.uint8)
    labels[10:30, 5:25] = 7
    cv2.imwrite(str(tmp_path / "clothing/labels/0001.png"), labels)
    (tmp_path / "cats/polygons/0101.txt").write_text("0 0.1 0.1 0.9 0.1 0.9 0.9\n0 0.1 0.1 0.1 0.9 0.9 0.9\n")
    sources = load_sources(tmp_path)
    assert [len(photo.regions) for photo in sources.photos] == [2, 2]
    assert sources.photos[0].image[0, 0, 0] > 150  # red first, unlike OpenCV
    assert len(sources.backgrounds) == 1
    assert list(sources.clips) == []


def test_labels_of_a_model_are_read_and_lost_frames_left_out(tmp_path: Path) -> None:
    data, labels = tmp_path / "data", tmp_path / "labels"
    for folder in (data / "photos", data / "clips", labels / "photos", labels / "clips"):
        folder.mkdir(parents=True)
    cv2.imwrite(str(data / "photos/7.jpg"), np.full((80, 60, 3), 90, np.uint8))
    writer = cv2.VideoWriter(str(data / "clips/a.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 25, (64, 48))
    for index in range(12):
        writer.write(np.full((48, 64, 3), 20 * index, np.uint8))
    writer.release()

    def code(shape: tuple[int, int], column: int) -> dict[str, object]:
        mask = np.zeros((*shape, 1), np.uint8, order="F")
        mask[10:30, column : column + 10] = 1
        (found,) = coco.encode(mask)
        return {"size": list(shape), "counts": found["counts"].decode()}

    photo = {"size": [40, 30], "objects": [code((40, 30), 5)]}
    (labels / "photos/7.json").write_text(json.dumps(photo))
    followed = [[code((48, 64), 10), code((48, 64), 14), None], [code((48, 64), 40)] * 3]
    clip = {"clip": "a.mp4", "frames": [2, 5, 8], "size": [48, 64], "objects": followed}
    (labels / "clips/a_00002.json").write_text(json.dumps(clip))
    (found,) = labelled_photos(data, labels)
    assert found.image.shape == (40, 30, 3)
    assert found.regions[0].sum() == 255 * 200
    lost, kept = labelled_tracklets(data, labels)
    assert [len(lost.frames), len(kept.frames)] == [2, 3]
    assert [round(float(frame.mean()) / 20) for frame in kept.frames] == [2, 5, 8]
    assert lost.liveliness > kept.liveliness == pytest.approx(0.1)


def test_real_clips_go_there_and_back_with_their_masks(sources: Sources) -> None:
    frames, regions = [], []
    for index in range(4):
        image, region = (np.zeros((48, 64, 3), np.uint8), np.zeros((48, 64), np.uint8))
        image[16:36, 10 + 6 * index : 30 + 6 * index] = 255
        region[16:36, 10 + 6 * index : 30 + 6 * index] = 255
        frames.append(image)
        regions.append(region)
    real = replace(sources, tracklets=[Tracklet(frames, regions)])
    for seed in range(5):
        shown, masks = real_frames(np.random.default_rng(seed), real, 7, SIZE)
        assert shown.shape == (7, SIZE, SIZE, 3)
        agreement = ((shown[..., 0] > 127) == (masks > 127)).mean()
        assert agreement > 0.95
        assert all((masks[t] != masks[t + 1]).any() for t in range(6))


def test_a_passer_by_hides_the_object_and_moves_on(sources: Sources) -> None:
    hidden = []
    for seed in range(12):
        random = np.random.default_rng(seed)
        target = random_path(random, 9, 0.3, 0.2)
        passer = passer_by(random, sources, target)
        away = np.abs(passer.path.center - target.center).max(axis=1) / passer.path.scale
        assert away.min() < 0.6 < away.max()
        assert (passer.path.scale > target.scale).all()
        hidden.append(int(away.argmin()))
    assert len(set(hidden)) > 3


def test_a_curtain_covers_a_part_at_first_and_then_lets_it_come_into_view(sources: Sources) -> None:
    for seed in range(12):
        random = np.random.default_rng(seed)
        target = random_path(random, 9, 0.3, 0.2)
        path = curtain(random, sources, target).path
        away = np.linalg.norm(path.center - target.center, axis=1) / path.scale
        assert (np.diff(away) > 0).all()
        assert away[0] < 0.65


def test_a_close_twin_looks_like_the_object_and_meets_it(sources: Sources) -> None:
    for seed in range(12):
        random = np.random.default_rng(seed)
        target = Layer(textured_blob(random, sources), random_path(random, 9, 0.3, 0.2), TARGET)
        twin = close_twin(random, target)
        away = np.linalg.norm(twin.path.center - target.path.center, axis=1) / twin.path.scale
        assert away.min() < 0.3
        assert twin.group != target.group
        assert twin.cutout.alpha.sum() == target.cutout.alpha.sum()


def test_a_cut_shows_something_else_for_a_while(sources: Sources) -> None:
    blanks = 0
    for seed in range(12):
        frames = np.full((9, SIZE, SIZE, 3), 200, np.uint8)
        clip = Clip(frames, np.full((9, SIZE, SIZE), TARGET, np.uint8))
        away = cut_away(np.random.default_rng(seed), sources, clip)
        gone = [not objects.any() for objects in away.objects]
        assert not gone[0]
        assert any(gone)
        changes = np.diff(np.array(gone, int))
        assert np.abs(changes).sum() <= 2  # one stretch
        for shown, is_gone in zip(away.frames, gone, strict=True):
            assert is_gone or (shown == 200).all()
        blanks += len(np.unique(away.frames[gone].reshape(-1, 3), axis=0)) == 1
        assert (clip.frames == 200).all()  # what is given stays as it was
        assert clip.objects.all()
    assert 0 < blanks < 12


def test_noise_without_a_picture_is_shown_now_and_then(sources: Sources) -> None:
    spreads = [nothing(np.random.default_rng(seed), 3, SIZE).std(axis=(1, 2)) for seed in range(12)]
    flat = [spread.max() == 0 for spread in spreads]
    assert 0 < sum(flat) < 12
    assert all((spread.min() > 0) or still for spread, still in zip(spreads, flat, strict=True))


def moving_square(shade: int) -> Clip:
    """A square of one shade on another that goes right."""
    objects = np.zeros((8, SIZE, SIZE), np.uint8)
    for t, region in enumerate(objects):
        region[24:34, 10 + 4 * t : 20 + 4 * t] = TARGET
    frames = np.full((*objects.shape, 3), 200, np.uint8)
    frames[objects == TARGET] = shade
    return Clip(frames, objects)


def test_a_cover_goes_with_the_object_and_lies_over_it_for_a_while(sources: Sources) -> None:
    sources = replace(sources, shares=Shares(twin=0.0))
    clip = moving_square(200)
    was = clip.objects == TARGET
    full, ends = 0, 0
    for seed in range(40):
        over = covered(np.random.default_rng(seed), sources, clip)
        seen = over.objects == TARGET
        assert (seen <= was).all()
        lost = was & ~seen
        assert (over.frames[lost] != 200).any(axis=-1).mean() > 0.9  # by what can be seen
        hidden = ~seen.any(axis=(1, 2))
        full += bool(hidden.any())
        ends += bool(hidden[-1])
        if hidden.any():  # for one stretch, during which the object moves on
            first, last = np.flatnonzero(hidden)[[0, -1]]
            assert hidden[first : last + 1].mean() > 0.6
    assert full > 10
    assert 0 < ends < full
    assert (clip.frames == 200).all()  # what is given stays as it was


def test_a_twin_that_stays_in_sight_is_not_the_object(sources: Sources) -> None:
    clip = moving_square(40)
    likenesses = []
    for seed in range(20):
        both = []
        for share in (0.0, 1.0):
            given = replace(sources, shares=Shares(twin=share))
            both.append(covered(np.random.default_rng(seed), given, clip))  # under the same cover
        lone, joined = both
        twin = np.ptp([lone.frames[0], joined.frames[0]], axis=0).max(axis=-1) > 90  # more than half its own
        assert not (joined.objects[0][twin] == TARGET).any()
        likenesses.append(twin.any() and joined.frames[0][twin].mean() < 120)
    assert np.mean(likenesses) > 0.6  # the others lie outside of the frame, or under the cover


def test_shares_say_what_happens_in_clips(sources: Sources) -> None:
    """In clips of one kind alone the object is hidden by it more often than where nothing hides it."""

    def hidden(shares: Shares) -> int:
        given = replace(sources, shares=shares)
        clips = [make_clip(given, 0, index, 8, SIZE).objects == TARGET for index in range(60)]
        return sum(not region.any(axis=(1, 2)).all() for region in clips)

    never = Shares(real=0, walled=0, covered=0, cut=0)
    bare = hidden(never)
    for name in ("walled", "covered", "cut"):
        assert hidden(replace(never, **{name: 1.0})) > bare + 8
    assert hidden(KINDS["hiding"]) > hidden(KINDS["all"])


def test_nothing_is_put_over_an_object_that_is_not_there(sources: Sources) -> None:
    clip = Clip(np.zeros((3, 8, 8, 3), np.uint8), np.zeros((3, 8, 8), np.uint8))
    assert covered(np.random.default_rng(0), sources, clip) is clip
