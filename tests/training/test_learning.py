"""Pool, prompts, losses and one whole step: what is learned is what was meant."""

from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from keepsight.nn.io import MaskCandidates, PromptBatch
from keepsight.nn.sam2 import Sam2
from training.clips import prompt_shares
from training.config import POCKET
from training.layers import TARGET, Clip
from training.losses import frame_losses, overlap
from training.memory import Entry, Memory
from training.pool import ClipPool, Made, PoolShape, pixels_of
from training.prompts import BOTTOM_RIGHT, TOP_LEFT, box_prompt, click_prompt, correction_prompt
from training.sources import Sources
from training.stream import ClipStream, clip_stream
from training.train import FROM_TRAINED, TEACHER, Recipe, average_model, begin, parsed_options, take_step
from training.unroll import Networks, Schedule, Told, light_encoder, neck, track_clips

SIZE = 64
SMALL = replace(POCKET, image_size=SIZE, width=32, memory_width=16, attention_layers=1, attention_ffn=32)


def square(size: int = SIZE) -> torch.Tensor:
    mask = torch.zeros(2, 1, size, size)
    mask[0, :, 10:30, 20:50] = 1
    mask[1, :, 40:60, 8:20] = 1
    return mask


def moving_squares(clips: int, length: int = 5) -> Made:
    """Clips of noise in which a bright square moves; the first clip's is the smallest."""
    random = np.random.default_rng(0)
    frames = random.integers(0, 90, (clips, length, SIZE, SIZE, 3), dtype=np.uint8)
    objects = np.zeros((clips, length, SIZE, SIZE), np.uint8)
    for index in range(clips):
        for t in range(length):
            objects[index, t, 8 : 8 + 4 * (index + 1), 4 * t : 4 * t + 24] = TARGET
    frames[objects == TARGET] += 120
    shares = np.stack([prompt_shares(clip) for clip in objects])
    return Made(*(torch.from_numpy(part) for part in (frames, objects, shares)))


def filled(clips: int = 6) -> ClipPool:
    """A pool that was gone round once and a half."""
    pool = ClipPool(PoolShape(capacity=4, length=5, size=SIZE))
    made = moving_squares(clips)
    for start in range(0, clips, 3):
        pool.write(Made(*(part[start : start + 3] for part in made)))
    return pool


def test_a_pool_gives_back_what_was_written_and_goes_round() -> None:
    pool = filled()
    assert pool.written == 6
    batch = pool.read(np.random.default_rng(0), 32, 3)
    assert batch.masks.shape == (32, 3, SIZE, SIZE)
    assert batch.frames.shape == (32, 3, SIZE, SIZE, 3)
    heights = {int(clip[0].any(dim=1).sum()) // 4 for clip in batch.masks}
    assert heights == {3, 4, 5, 6}  # clips 1 and 2 were overwritten by 5 and 6
    starts = batch.masks.any(dim=2).float().argmax(dim=2)
    assert bool((starts[:, 1:] != starts[:, :-1]).all())
    assert {bool(row[0] < row[-1]) for row in starts} == {True, False}  # both ways, and mirrored
    assert bool((batch.frames[batch.masks > 0] >= 120).all())
    assert bool((batch.frames[batch.masks == 0] < 90).all())


def test_every_object_of_a_clip_is_drawn_where_it_can_be_prompted() -> None:
    objects = np.zeros((1, 3, SIZE, SIZE), np.uint8)
    objects[0, 0, :20, :20] = TARGET
    objects[0, 1:, 30:50, 30:50] = 2
    made = (np.zeros((*objects.shape, 3), np.uint8), objects, prompt_shares(objects[0])[None])
    pool = ClipPool(PoolShape(capacity=2, length=3, size=SIZE))
    pool.write(Made(*(torch.from_numpy(part) for part in made)))
    batch = pool.read(np.random.default_rng(0), 64, 2)
    assert bool(batch.masks[:, 0].flatten(1).any(dim=1).all())
    shown_later = batch.masks[:, 1].flatten(1).any(dim=1)
    assert 0 < int(shown_later.sum()) < 64  # the second object is seen twice, the target never


def test_pixels_are_those_of_the_shipped_network() -> None:
    frames = torch.tensor([0, 127, 255], dtype=torch.uint8).expand(2, 3, 4, 4, 3)
    pixels = pixels_of(frames, torch.tensor([[1.0] * 3, [2.0] * 3]))
    assert pixels.shape == (6, 3, 4, 4)
    spec = Sam2(SMALL).input_spec
    expected = [
        (v / 255 - mean) / std for v, mean, std in zip((0, 127, 255), spec.mean, spec.std, strict=True)
    ]
    torch.testing.assert_close(pixels[0, :, 0, 0], torch.tensor(expected))
    assert pixels[3, 1:, 0, 0].tolist() == pytest.approx(
        [1.0, 1.0], abs=0.01
    )  # brighter, and no more than white


def test_workers_share_out_a_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    made = moving_squares(1)

    def numbered(_: object, seed: int, index: int, length: int, size: int) -> Clip:
        return Clip(np.full((length, size, size, 3), index + seed, np.uint8), made.objects[0].numpy())

    monkeypatch.setattr("training.stream.make_clip", numbered)
    stream = ClipStream(Sources([], [], []), PoolShape(4, 5, SIZE), seed=100, first=6)
    clips = clip_stream(stream, workers=2, at_once=3)
    found = [next(clips) for _ in range(4)]
    numbers = [part.frames[:, 0, 0, 0, 0].tolist() for part in found]
    assert sorted(n for part in numbers for n in part) == list(range(106, 118))
    torch.testing.assert_close(found[0].shares[0], torch.from_numpy(prompt_shares(made.objects[0].numpy())))


def test_boxes_enclose_and_clicks_hit() -> None:
    random = np.random.default_rng(0)
    exact = [box_prompt(random, square()) for _ in range(20)]
    assert all(box.labels.tolist() == [[TOP_LEFT, BOTTOM_RIGHT]] * 2 for box in exact)
    closest = min(
        exact, key=lambda box: float((box.points[0] - torch.tensor([[20, 10], [50, 30]])).abs().sum())
    )
    assert closest.points[0].tolist() == [[20, 10], [50, 30]]
    clicks = click_prompt(random, square(), 3)
    for mask, points in zip(square(), clicks.points, strict=True):
        assert all(mask[0, int(y), int(x)] == 1 for x, y in points.tolist())


def test_corrections_hit_the_error() -> None:
    truth = square()
    logits = torch.full((2, 1, SIZE // 4, SIZE // 4), -5.0)
    logits[1] = 5.0  # the first object was missed, the second spilled over everything
    nothing = PromptBatch(torch.zeros(2, 0, 2), torch.zeros(2, 0, dtype=torch.int32))
    prompt = correction_prompt(np.random.default_rng(0), nothing, logits, truth)
    assert prompt.labels.tolist() == [[1], [0]]
    (x, y), (u, v) = prompt.points[:, 0].long().tolist()
    assert truth[0, 0, y, x] == 1
    assert truth[1, 0, v, u] == 0
    assert prompt.mask_logits is not None


def candidates(logits: torch.Tensor, ious: float, presence: float) -> MaskCandidates:
    batch, masks = logits.shape[:2]
    return MaskCandidates(
        logits,
        torch.full((batch, masks), ious),
        torch.zeros(batch, masks, 4),
        torch.full((batch, 1), presence),
    )


def test_losses_vanish_for_the_truth_and_grow_with_error() -> None:
    truth = square()
    small = torch.nn.functional.interpolate(truth, scale_factor=0.25, mode="area")
    right = frame_losses(candidates((small * 2 - 1) * 40, 1.0, 20.0), truth)
    assert right.overlap > 0.9
    assert right.dice < 0.06
    assert right.presence < 1e-6
    wrong = frame_losses(candidates((1 - small * 2) * 40, 1.0, -20.0), truth)
    assert wrong.cross_entropy > 10 * right.cross_entropy + 1
    assert wrong.dice > 0.9
    assert wrong.iou > 0.9
    assert wrong.presence > 10


def test_absent_objects_teach_presence_alone() -> None:
    losses = frame_losses(candidates(torch.randn(2, 3, 16, 16), 0.5, 3.0), torch.zeros(2, 1, SIZE, SIZE))
    assert losses.cross_entropy == losses.dice == losses.iou == 0
    assert losses.presence > 2


def test_overlap_counts_pixels() -> None:
    logits = torch.full((1, 1, 4, 4), -1.0)
    logits[..., :2] = 1
    truth = torch.zeros(1, 1, 4, 4)
    truth[..., 1:3] = 1
    assert overlap(logits, truth).item() == pytest.approx(1 / 3)
    assert overlap(-logits.abs(), truth * 0).item() == 1


def entry(number: int) -> Entry:
    maps = torch.full((2, 4, 3), float(number), dtype=torch.bfloat16)
    return Entry(maps, torch.zeros(2, 8), torch.tensor([True, True]))


def test_recalled_ages_are_those_the_network_will_meet() -> None:
    memory = Memory({0: entry(0)}, [entry(t) for t in range(1, 5)])
    for seed in range(20):
        recalled = memory.recall(5, np.random.default_rng(seed), torch.float32)
        ages = recalled.ages[0].tolist()
        assert ages[0] == 0
        assert ages[1:] == sorted(set(ages[1:]), reverse=True)
        assert ages[-1] == 1
        assert max(ages) <= 6
        assert recalled.maps.shape == (2, len(ages), 4, 3)
        assert recalled.maps.dtype == recalled.pointers.dtype == torch.float32


def test_a_sighting_that_is_out_of_reach_stands_for_the_oldest_map() -> None:
    """Of each object its own: the first was last seen well on frame 2, the second within reach."""
    seen = {1: (True, True), 2: (True, False), 5: (False, True)}
    frames = [entry(t)._replace(sighted=torch.tensor(seen.get(t, (False, False)))) for t in range(1, 7)]
    memory = Memory({0: entry(0)}, frames)
    found, sightings = memory.in_reach(3)
    assert sightings == 1
    assert torch.stack(found, dim=1)[..., 0, 0].tolist() == [[2, 5, 6], [4, 5, 6]]
    everything, none = memory.in_reach(6)
    assert none == 0
    assert [int(m[0, 0, 0]) for m in everything] == [1, 2, 3, 4, 5, 6]
    unseen, none = Memory({}, frames[2:4]).in_reach(1)
    assert none == 0
    assert [int(m[0, 0, 0]) for m in unseen] == [4]
    recalled = [memory.recall(7, np.random.default_rng(seed), torch.float32) for seed in range(60)]
    assert all(
        batch.sightings == (batch.maps[0, 1, 0, 0] == 2) for batch in recalled if len(batch.ages[0]) < 6
    )
    counts = {memory.recall(7, np.random.default_rng(s), torch.float32).maps.shape[1] for s in range(60)}
    assert counts == {3, 4, 5, 6, 7}


def test_prompted_frames_are_recalled_the_closest_first() -> None:
    memory = Memory({t: entry(t) for t in (0, 4, 9)}, [entry(7)])
    for frame, order in ((6, [4, 9, 0]), (9, [9, 4, 0]), (2, [0, 4, 9])):
        recalled = memory.recall(frame, np.random.default_rng(0), torch.float32)
        assert recalled.maps[0, :, 0, 0].tolist() == [*order, 7]
        assert recalled.ages[0].tolist() == [0, 0, 0, 1]


def test_told_frames_leave_some_to_learn_from() -> None:
    random = np.random.default_rng(0)
    counts = []
    for _ in range(300):
        told = Told.draw(random, 8)
        assert not told.frames & {0, *(range(5, 8) if not told.early else ())}
        assert 8 - 1 - len(told.frames) >= 3
        counts.append(len(told.frames))
    assert set(counts) == {0, 1, 2}
    assert not any(Told.draw(random, 4).frames for _ in range(20))


def test_the_short_way_through_the_neck_is_the_networks() -> None:
    torch.manual_seed(0)
    model = Sam2(SMALL).eval()
    pixels = torch.randn(2, 3, SIZE, SIZE)
    with torch.inference_mode():
        expected = model.encode_image(pixels)
        found = neck(model, light_encoder(model).backbone(pixels))
    for part, reference in zip(found, expected[:3], strict=True):
        torch.testing.assert_close(part, reference, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("seed", range(4))
def test_every_prompt_tracks_and_teaches(seed: int) -> None:
    torch.manual_seed(0)
    model = Sam2(SMALL).train()
    batch = filled().read(np.random.default_rng(seed), 2, 3)
    losses = track_clips(Networks(model, model), batch, np.random.default_rng(seed), Schedule(3, 0.5))
    assert all(torch.isfinite(value) for value in losses)
    losses.total.backward()  # type: ignore[no-untyped-call]
    parts = (model.memory_attention, model.memory_encoder, model.mask_decoder, model.matching)
    for part in (*parts, model.image_encoder):
        assert part is not None
        assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in part.parameters())


@pytest.mark.parametrize("seed", range(6))
def test_frames_that_are_not_learned_from_may_be_followed_in_another_type(seed: int) -> None:
    torch.manual_seed(0)
    model = Sam2(SMALL).train()
    batch = filled().read(np.random.default_rng(seed), 2, 5)
    found = []
    for follower in (model, deepcopy(model).bfloat16()):
        networks = Networks(model, follower)
        losses = track_clips(networks, batch, np.random.default_rng(seed), Schedule(5, 0.3))
        found.append(losses.total)
        assert all(p.grad is None for p in follower.parameters())
    torch.testing.assert_close(*found, atol=0.1, rtol=0.05)


@pytest.mark.parametrize("encoder_rate", [0.0, 0.1])
def test_a_run_resumes_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoder_rate: float
) -> None:
    monkeypatch.setattr("training.train.POCKET", SMALL)
    pool, recipe = filled(), Recipe(steps=10, batch=2, warmup=1, encoder_rate=encoder_rate)
    run = begin(recipe, pool)
    before = {name: value.clone() for name, value in run.model.state_dict().items()}
    take_step(run, recipe, pool)
    changed = {name for name, value in run.model.state_dict().items() if not torch.equal(before[name], value)}
    assert changed
    assert any(name.startswith("image_encoder.backbone") for name in changed) == (encoder_rate > 0)
    run.save(tmp_path / "state.pt")
    again = begin(replace(recipe, seed=9), pool)
    again.load(tmp_path / "state.pt")
    first, second = take_step(run, recipe, pool), take_step(again, recipe, pool)
    assert first == second
    assert again.step == 2
    rates = {group["lr"] for group in run.optimiser.param_groups}
    assert len(rates) == (2 if encoder_rate else 1)
    shipped = average_model(again.average, SIZE)
    assert all(torch.equal(value, again.average[name]) for name, value in shipped.state_dict().items())


def test_one_part_may_be_learned_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.train.POCKET", SMALL)
    pool, recipe = filled(), Recipe(steps=10, batch=2, warmup=1, only=("mask_decoder.presence_head",))
    run = begin(recipe, pool)
    before = {name: value.clone() for name, value in run.model.state_dict().items()}
    take_step(run, recipe, pool)
    changed = {name for name, value in run.model.state_dict().items() if not torch.equal(before[name], value)}
    assert changed
    assert all(name.startswith("mask_decoder.presence_head.") for name in changed)


def test_options_that_leave_nothing_to_do_are_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("training.train.POCKET", SMALL)
    with pytest.raises(SystemExit, match="No parameter of the network begins with 'no_such_part'"):
        begin(Recipe(only=("no_such_part",)), filled())
    for option, value in (
        ("--workers", "0"),
        ("--size", "100"),
        ("--graded", "0"),
        ("--teacher", "2"),
        ("--clips", "x"),
    ):
        monkeypatch.setattr("sys.argv", ["train", "--out", "x", option, value])
        with pytest.raises(SystemExit):
            parsed_options()
        assert option in capsys.readouterr().err
    with pytest.raises(SystemExit, match="does not exist"):
        begin(Recipe(), filled(), Path("no-such.safetensors"))


def test_the_neck_of_a_new_network_sees_features_of_unit_scale(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.train.POCKET", SMALL)
    pool = filled()
    model = begin(Recipe(), pool).model
    plain = Sam2(SMALL)
    torch.manual_seed(0)  # as `begin` does
    plain = Sam2(SMALL)
    encoder, reference = light_encoder(model), light_encoder(plain)
    batch = pool.read(np.random.default_rng(0), 48, 2)
    with torch.inference_mode():
        levels = encoder.backbone(pixels_of(batch.frames, batch.gains))
    for level, found, unit in zip(levels, encoder.laterals, reference.laterals, strict=True):
        mean, deviation = (part[:, None, None] for part in (level.mean((0, 2, 3)), level.std((0, 2, 3))))
        with torch.inference_mode():
            torch.testing.assert_close(
                found(level), unit((level - mean) / (deviation + 1e-3)), atol=1e-3, rtol=1e-3
            )


def test_the_schedule_grows_longer_and_harder() -> None:
    recipe = Recipe(steps=1000)
    schedules = [recipe.schedule(recipe.progress(step, 0.0)) for step in range(0, 1000, 10)]
    assert schedules[0] == Schedule(2, 1.0)
    assert schedules[-1].length == 5
    assert [s.length for s in schedules] == sorted(s.length for s in schedules)
    assert recipe.rate(0, 0.0) < recipe.rate(60, 0.06)
    assert recipe.rate(999, 0.999) < 0.02 * recipe.learning_rate


def test_a_run_may_be_measured_in_minutes() -> None:
    assert Recipe(minutes=10).progress(3, 300.0) == pytest.approx(0.5)


def test_a_run_may_go_on_from_exported_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.train.POCKET", SMALL)
    pool = filled()
    weights = Sam2(SMALL).state_dict()
    save_file(
        {name: tensor.half().contiguous() for name, tensor in weights.items()},
        tmp_path / "trained.safetensors",
    )
    recipe = Recipe(steps=10, batch=2, warmup=1, half=True, lengths=FROM_TRAINED, taught=0.0)
    run = begin(recipe, pool, tmp_path / "trained.safetensors")
    for name, value in run.model.state_dict().items():
        torch.testing.assert_close(value, weights[name].half().float(), msg=name)
    assert recipe.schedule(0.0) == Schedule(6, TEACHER)
    assert recipe.schedule(1.0) == Schedule(16, TEACHER)
    assert replace(recipe, longest=5).schedule(1.0) == Schedule(5, TEACHER)
    assert run.follower.dtype == torch.bfloat16
    assert take_step(run, replace(recipe, longest=5), pool)["frames"] == 5


def test_weights_of_something_else_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.train.POCKET", SMALL)
    weights = Sam2(SMALL).state_dict()
    known = {name: tensor for name, tensor in list(weights.items())[:3]}
    for wrong, told in (({**known, "trunk.patches.weight": torch.zeros(1)}, "holds trunk"), (known, "lacks")):
        save_file({name: t.clone() for name, t in wrong.items()}, tmp_path / "wrong.safetensors")
        with pytest.raises(SystemExit, match=f"weights of pocket.*{told}"):
            begin(Recipe(), filled(), tmp_path / "wrong.safetensors")
