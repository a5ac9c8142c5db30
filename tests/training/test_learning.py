"""Pool, prompts, losses and one whole step: what is learned is what was meant."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from keepsight.nn.efficientnet import EfficientNetLevels
from keepsight.nn.io import MaskCandidates, PromptBatch
from keepsight.nn.sam2 import Sam2
from training.config import POCKET
from training.losses import frame_losses, overlap
from training.pool import ClipPool, PoolShape
from training.prompts import BOTTOM_RIGHT, TOP_LEFT, box_prompt, click_prompt, correction_prompt
from training.train import FROM_TRAINED, Recipe, average_model, begin, take_step, trainable
from training.unroll import Memory, Schedule, light_encoder, neck, track_clips

SIZE = 64
SMALL = replace(POCKET, image_size=SIZE, width=32, memory_width=16, attention_layers=1, attention_ffn=32)


def square(size: int = SIZE) -> torch.Tensor:
    mask = torch.zeros(2, 1, size, size)
    mask[0, :, 10:30, 20:50] = 1
    mask[1, :, 40:60, 8:20] = 1
    return mask


def filled(folder: Path, clips: int = 6) -> ClipPool:
    """A pool of random features and moving squares."""
    pool = ClipPool(folder, PoolShape(capacity=4, length=5, size=SIZE))
    generator = torch.Generator().manual_seed(0)
    for index in range(clips):
        levels = EfficientNetLevels(
            *(
                torch.randn(5, width, SIZE // stride, SIZE // stride, generator=generator)
                for width, stride in ((24, 4), (40, 8), (112, 16), (320, 32))
            )
        )
        masks = np.zeros((5, SIZE, SIZE), np.uint8)
        for t in range(5):
            masks[t, 8 : 8 + 4 * (index + 1), 4 * t : 4 * t + 24] = 1
        pool.write(index, levels, masks)
    return pool


def test_a_pool_gives_back_what_was_written_and_goes_round(tmp_path: Path) -> None:
    pool = filled(tmp_path)
    again = ClipPool(tmp_path, pool.shape)
    assert again.written == 6
    batch = again.read(np.random.default_rng(0), 32, 3)
    assert batch.masks.shape == (32, 3, SIZE, SIZE)
    assert batch.levels.stride16.shape == (32, 3, 112, 4, 4)
    heights = {int(clip[0].any(dim=1).sum()) // 4 for clip in batch.masks}
    assert heights <= {3, 4, 5, 6}  # clips 1 and 2 were overwritten by 5 and 6
    starts = batch.masks.any(dim=2).float().argmax(dim=2)
    assert bool((starts[:, 1:] != starts[:, :-1]).all())


def test_a_pool_of_another_shape_is_refused(tmp_path: Path) -> None:
    filled(tmp_path, clips=1)
    with pytest.raises(ValueError, match="remove the folder"):
        ClipPool(tmp_path, PoolShape(capacity=8, length=5, size=SIZE))


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


def test_recalled_ages_are_those_the_network_will_meet() -> None:
    memory = Memory([torch.zeros(2, 4, 3)] * 5, [torch.zeros(2, 8)] * 5)
    for seed in range(20):
        recalled = memory.recall(np.random.default_rng(seed))
        ages = recalled.ages[0].tolist()
        assert ages[0] == 0
        assert ages[1:] == sorted(set(ages[1:]), reverse=True)
        assert ages[-1] == 1
        assert max(ages) <= 6
        assert recalled.maps.shape == (2, 5, 4, 3)


def test_the_short_way_through_the_neck_is_the_networks() -> None:
    torch.manual_seed(0)
    model = Sam2(SMALL).eval()
    pixels = torch.randn(2, 3, SIZE, SIZE)
    with torch.inference_mode():
        expected = model.encode_image(pixels)
        found = neck(model, light_encoder(model).backbone(pixels))
    for part, reference in zip(found, expected, strict=True):
        torch.testing.assert_close(part, reference, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("seed", range(4))
def test_every_prompt_tracks_and_teaches(tmp_path: Path, seed: int) -> None:
    torch.manual_seed(0)
    model = Sam2(SMALL).train()
    batch = filled(tmp_path).read(np.random.default_rng(seed), 2, 3)
    losses = track_clips(model, batch, np.random.default_rng(seed), Schedule(3, 0.5))
    assert all(torch.isfinite(value) for value in losses)
    losses.total.backward()  # type: ignore[no-untyped-call]
    for part in (model.memory_attention, model.memory_encoder, model.mask_decoder, model.matching):
        assert part is not None
        assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in part.parameters())


def test_a_run_resumes_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.train.POCKET", SMALL)
    pool, recipe = filled(tmp_path / "pool"), Recipe(steps=10, batch=2, warmup=1)
    run = begin(recipe, pool, "cpu")
    before = trainable(run.model)
    take_step(run, recipe, pool)
    assert any(not torch.equal(before[name], value) for name, value in trainable(run.model).items())
    assert not any(name.startswith("image_encoder.backbone") for name in before)
    run.save(tmp_path / "state.pt")
    again = begin(replace(recipe, seed=9), pool, "cpu")
    again.load(tmp_path / "state.pt")
    first, second = take_step(run, recipe, pool), take_step(again, recipe, pool)
    assert first == second
    assert again.step == 2


def test_the_scale_of_the_features_is_folded_into_the_neck(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.train.POCKET", SMALL)
    monkeypatch.setattr(
        "training.train.imagenet_weights", lambda: light_encoder(Sam2(SMALL)).backbone.state_dict()
    )
    run = begin(Recipe(), filled(tmp_path), "cpu")
    raw = filled(tmp_path).read(np.random.default_rng(0), 1, 1).levels
    scaled = [(level[0] - mean) / deviation for level, (mean, deviation) in zip(raw, run.scale, strict=True)]
    shipped = average_model(run.average, run.scale, SMALL.image_size)
    with torch.inference_mode():
        expected = neck(run.model, EfficientNetLevels(*scaled))
        found = neck(shipped, EfficientNetLevels(*(level[0] for level in raw)))
    for part, reference in zip(found, expected, strict=True):
        torch.testing.assert_close(part, reference, atol=1e-4, rtol=1e-3)


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
    pool = filled(tmp_path / "pool")
    weights = Sam2(SMALL).state_dict()
    save_file(
        {name: tensor.half().contiguous() for name, tensor in weights.items()},
        tmp_path / "trained.safetensors",
    )
    recipe = Recipe(steps=10, batch=2, warmup=1, half=True, lengths=FROM_TRAINED, taught=0.0)
    run = begin(recipe, pool, "cpu", tmp_path / "trained.safetensors")
    for name, value in trainable(run.model).items():
        torch.testing.assert_close(value, weights[name].half().float(), msg=name)
    assert all(float(mean.abs().max()) == 0 and float(std.min()) == 1 for mean, std in run.scale)
    assert recipe.schedule(0.0) == Schedule(4, 0.1)
    assert recipe.schedule(1.0) == Schedule(8, 0.1)
    assert take_step(run, recipe, pool)["frames"] == 4


def test_weights_of_something_else_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.train.POCKET", SMALL)
    weights = Sam2(SMALL).state_dict()
    known = {name: tensor for name, tensor in list(weights.items())[:3]}
    for wrong, told in (({**known, "trunk.patches.weight": torch.zeros(1)}, "holds trunk"), (known, "lacks")):
        save_file({name: t.clone() for name, t in wrong.items()}, tmp_path / "wrong.safetensors")
        with pytest.raises(SystemExit, match=f"weights of pocket.*{told}"):
            begin(Recipe(), filled(tmp_path / "pool"), "cpu", tmp_path / "wrong.safetensors")
