"""Trains `pocket`: `python -m training.train --out training/runs/x`.

Start it again with the same folder to resume. A second process makes the clips beside it (`training.pool`);
they are small for most of the run and larger at its end.
"""

import argparse
import contextlib
import json
import math
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from keepsight.nn.efficientnet import LEVEL_WIDTHS, EfficientNetLevels
from keepsight.nn.sam2 import Sam2
from keepsight.weights.device import pick_dtype
from training.config import POCKET
from training.imagenet import imagenet_weights
from training.pool import Batch, ClipPool, PoolShape
from training.unroll import Schedule, light_encoder, track_clips
from training.validate import Validation, draw_curve

__all__ = ["Recipe", "average_model", "main"]

STATE_FILE = "state.pt"
# Frames of a clip until so much of the run is done.
FROM_SCRATCH = ((0.12, 2), (0.5, 3), (0.85, 4), (1.0, 5))
FROM_TRAINED = ((0.15, 4), (0.4, 6), (0.65, 8), (1.0, 12))


@dataclass(frozen=True)
class Recipe:
    """The numbers of a run."""

    steps: int = 2400
    batch: int = 8
    learning_rate: float = 1e-3
    warmup: int = 60
    weight_decay: float = 0.02
    clip_norm: float = 1.0
    average_decay: float = 0.997
    seed: int = 0
    save_every: float = 180.0  # seconds

    minutes: float | None = None  # when given, the run is as long as this rather than `steps`
    half: bool = False  # whether products are computed in bfloat16
    lengths: tuple[tuple[float, int], ...] = FROM_SCRATCH
    longest: int = PoolShape().length  # frames of the clips there are
    taught: float = 0.2  # until so much is done, true masks are remembered less and less often

    def progress(self, step: int, seconds: float) -> float:
        """How much of the run is done, 0..1."""
        return step / self.steps if self.minutes is None else seconds / (60 * self.minutes)

    def schedule(self, progress: float) -> Schedule:
        """Few frames with true memories at first, more frames with its own at last."""
        teacher = max(0.1, 1 - progress / self.taught) if self.taught else 0.1
        length = next((length for end, length in self.lengths if progress < end), self.lengths[-1][1])
        return Schedule(min(length, self.longest), teacher)

    def rate(self, step: int, progress: float) -> float:
        """Learning rate: a short rise, then half a cosine to a hundredth."""
        rise = min(1.0, (step + 1) / self.warmup)
        return self.learning_rate * rise * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(progress, 1))))


@dataclass
class Run:
    """Everything that a resumed run must find again."""

    model: Sam2
    optimiser: torch.optim.Optimizer
    average: dict[str, Tensor]
    scale: list[tuple[Tensor, Tensor]]  # mean and standard deviation of each backbone level's channels
    random: np.random.Generator
    step: int = 0
    seconds: float = 0.0  # spent in steps so far

    def save(self, path: Path) -> None:
        """Writes the run beside its place and then moves it there."""
        partial = path.with_suffix(".part")
        torch.save(
            {
                "model": trainable(self.model),
                "optimiser": self.optimiser.state_dict(),
                "average": self.average,
                "scale": self.scale,
                "random": json.dumps(self.random.bit_generator.state),
                "step": self.step,
                "seconds": self.seconds,
            },
            partial,
        )
        partial.replace(path)

    def load(self, path: Path) -> None:
        """Continues where `save` left off."""
        state = torch.load(path, map_location=self.model.device, weights_only=True)
        self.model.load_state_dict(state["model"], strict=False)
        self.optimiser.load_state_dict(state["optimiser"])
        self.average, self.scale, self.step = state["average"], state["scale"], state["step"]
        self.seconds = state["seconds"]
        self.random.bit_generator.state = json.loads(state["random"])


def trainable(model: nn.Module) -> dict[str, Tensor]:
    """The parameters that training changes, and what else was drawn at random when the network was made."""
    learned = {name: p.detach().clone() for name, p in model.named_parameters() if p.requires_grad}
    kept = model.state_dict().keys() - dict(model.named_parameters()).keys()
    return learned | {name: model.state_dict()[name].clone() for name in kept}


def level_scales(pool: ClipPool, random: np.random.Generator) -> list[tuple[Tensor, Tensor]]:
    """Mean and deviation of every backbone channel over some clips; the neck learns from unit scale."""
    sample = pool.read(random, 48, 2)
    return [
        (level.mean((0, 1, 3, 4))[:, None, None], level.std((0, 1, 3, 4))[:, None, None] + 1e-3)
        for level in sample.levels
    ]


def average_model(average: dict[str, Tensor], scale: list[tuple[Tensor, Tensor]], size: int) -> Sam2:
    """The network as it is shipped: averaged weights, the features' scale folded into the neck."""
    model = Sam2(replace(POCKET, image_size=size))
    encoder = light_encoder(model)
    encoder.backbone.load_state_dict(imagenet_weights())
    model.load_state_dict(average, strict=False)
    with torch.no_grad():
        for lateral, (mean, deviation) in zip(encoder.laterals, scale, strict=True):
            assert isinstance(lateral, nn.Conv2d)  # narrows for the type checker
            assert lateral.bias is not None
            lateral.weight /= deviation[None]
            lateral.bias -= lateral.weight.flatten(1) @ mean.flatten()
    return model.eval()


def begin(recipe: Recipe, pool: ClipPool, device: str, trained: Path | None = None) -> Run:
    """A run before its first step, from scratch or from weights that `training.export` wrote."""
    torch.manual_seed(recipe.seed)
    model = Sam2(replace(POCKET, image_size=pool.shape.size)).train()
    light_encoder(model).backbone.requires_grad_(False)
    model.to(device)
    random = np.random.default_rng(recipe.seed)
    parameters = [p for p in model.parameters() if p.requires_grad]
    matrices = [p for p in parameters if p.ndim > 1]
    vectors = [p for p in parameters if p.ndim <= 1]
    optimiser = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": recipe.weight_decay}, {"params": vectors, "weight_decay": 0.0}],
        lr=recipe.learning_rate,
        betas=(0.9, 0.98),
        fused=True,
    )
    if trained is None:
        return Run(model, optimiser, trainable(model), level_scales(pool, random), random)
    weights = {name: tensor.float() for name, tensor in load_file(trained).items()}
    missing, unknown = model.load_state_dict(weights, strict=False)
    if unknown or len(missing) > len(weights) // 2:
        raise SystemExit(
            f"Expected weights of pocket, as training.export writes them, but {trained} "
            f"{f'holds {unknown[0]}' if unknown else f'lacks {missing[0]} and more'}. Pass another --trained."
        )
    if missing:
        print(f"{len(missing)} tensors are not in {trained} and start at random, such as {missing[0]}.")
    # Exported weights have the features' scale in them.
    unit = [(torch.zeros(width, 1, 1), torch.ones(width, 1, 1)) for width in LEVEL_WIDTHS]
    return Run(model, optimiser, trainable(model), unit, random)


def prepare(batch: Batch, scale: list[tuple[Tensor, Tensor]], device: torch.device) -> Batch:
    """Brings features to unit scale on the training device."""
    levels = [
        (level.to(device) - mean) / deviation
        for level, (mean, deviation) in zip(batch.levels, scale, strict=True)
    ]
    return Batch(EfficientNetLevels(*levels), batch.masks.to(device))


def take_step(run: Run, recipe: Recipe, pool: ClipPool) -> dict[str, float]:
    """One update; returns what to log."""
    started = time.monotonic()
    progress = recipe.progress(run.step, run.seconds)
    schedule = recipe.schedule(progress)
    batch = prepare(pool.read(run.random, recipe.batch, schedule.length), run.scale, run.model.device)
    for group in run.optimiser.param_groups:
        group["lr"] = recipe.rate(run.step, progress)
    with torch.autocast(run.model.device.type, torch.bfloat16, enabled=recipe.half):
        losses = track_clips(run.model, batch, run.random, schedule)
    losses.total.backward()  # type: ignore[no-untyped-call]
    parameters = [p for p in run.model.parameters() if p.requires_grad]
    norm = nn.utils.clip_grad_norm_(parameters, recipe.clip_norm)
    run.optimiser.step()
    run.optimiser.zero_grad(set_to_none=True)
    decay = min(recipe.average_decay, (1 + run.step) / (10 + run.step))
    current = {name: p.detach() for name, p in run.model.named_parameters() if p.requires_grad}
    torch._foreach_lerp_([run.average[name] for name in current], list(current.values()), 1 - decay)
    run.step += 1
    run.seconds += time.monotonic() - started
    values = {name: float(value.detach()) for name, value in losses._asdict().items()}
    return {**values, "norm": float(norm), "frames": schedule.length}


@contextlib.contextmanager
def clip_maker(pool: ClipPool, options: argparse.Namespace) -> Iterator[subprocess.Popen[bytes]]:
    """Runs `training.pool` beside the training."""
    values = {name: getattr(options, name) for name in ("data", "labels", "rate")}
    values |= {"folder": pool.folder, "seed": options.seed + pool.shape.size, **pool.shape._asdict()}
    words = [text for name, value in values.items() for text in (f"--{name}", str(value))]
    process = subprocess.Popen([sys.executable, "-m", "training.pool", *words])
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def train(run: Run, recipe: Recipe, pool: ClipPool, watch: Validation, until: float = 1.0) -> None:
    """Steps until `until` of the run is done, logging every 20 steps and saving every few minutes."""
    saved = time.monotonic()
    since, rows = saved, []
    out = watch.log.parent
    with (out / "log.jsonl").open("a") as log:
        while recipe.progress(run.step, run.seconds) < until:
            rows.append(take_step(run, recipe, pool))
            if watch.is_due(run.seconds / 60):
                run.save(out / STATE_FILE)
                watch_run(run, recipe, watch)
                since += watch.spent
            if run.step % 20 == 0:
                now = time.monotonic()
                means = {k: round(sum(r[k] for r in rows) / len(rows), 4) for k in rows[0]}
                line = {"step": run.step, **means, "seconds": round((now - since) / len(rows), 3)}
                log.write(json.dumps(line) + "\n")
                log.flush()
                print(line, flush=True)
                since, rows = now, []
            if time.monotonic() - saved > recipe.save_every:
                run.save(out / STATE_FILE)
                saved = time.monotonic()
    run.save(out / STATE_FILE)


def watch_run(run: Run, recipe: Recipe, watch: Validation) -> None:
    """Measures the averaged weights on validation clips and draws the curve."""
    model = average_model(run.average, run.scale, run.model.config.image_size)
    j = watch.measure(model.to(pick_dtype("auto")) if recipe.half else model, run.step, run.seconds / 60)
    print(f"step {run.step}: validation J {j:.3f} ({draw_curve(watch.log.parent)})", flush=True)


def train_stage(recipe: Recipe, shape: PoolShape, until: float, options: argparse.Namespace) -> None:
    """Trains on clips of one size, from where the folder's run stands, until `until` of it is done."""
    state = options.out / STATE_FILE
    if state.exists():
        stored = torch.load(state, map_location="cpu", weights_only=True)
        if recipe.progress(stored["step"], stored["seconds"]) >= until:
            return
    pool = ClipPool(options.out / f"pool{shape.size}", shape)
    with clip_maker(pool, options) as maker:
        while pool.written < options.first_clips:
            if maker.poll() is not None:
                raise SystemExit("The process that makes clips stopped; it says above why.")
            time.sleep(1)
        run = begin(recipe, pool, options.device, options.trained)
        if state.exists():
            run.load(state)
        watch = Validation(options.validation, options.out / "validation.jsonl", options.validate_every)
        train(run, recipe, pool, watch, until)
        if until == 1.0 and watch.sequences:
            watch_run(run, recipe, watch)


def main() -> None:
    """Trains a model and leaves its state in a folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder of the run; resumed if it exists")
    parser.add_argument("--data", type=Path, default=Path("../shared/data/train"))
    parser.add_argument("--labels", type=Path, default=Path("training/runs/labels"))
    parser.add_argument("--capacity", type=int, default=1800, help="clips kept in each pool")
    parser.add_argument("--length", type=int, default=PoolShape().length, help="frames of a clip")
    parser.add_argument("--rate", type=float, default=2.0, help="clips a second once half of a pool is full")
    parser.add_argument("--size", type=int, default=256, help="side of the clips at first")
    parser.add_argument("--fine-size", type=int, default=320, help="side of the clips at last")
    parser.add_argument("--fine-from", type=float, default=0.8, help="how much of the run is done by then")
    parser.add_argument("--steps", type=int, default=Recipe.steps)
    parser.add_argument("--minutes", type=float, help="train for so long rather than for --steps")
    parser.add_argument("--batch", type=int, default=Recipe.batch)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first-clips", type=int, default=300, help="clips to wait for at first")
    parser.add_argument("--bfloat16", action="store_true", help="compute products in bfloat16")
    parser.add_argument("--learning-rate", type=float, default=Recipe.learning_rate)
    parser.add_argument("--trained", type=Path, help="weights to go on from, such as the shipped ones")
    parser.add_argument(
        "--validation", type=Path, default=Path("../shared/data/davis/train240"), help="clips to measure on"
    )
    parser.add_argument("--validate-every", type=float, default=10.0, help="minutes between measurements")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args()
    torch.set_flush_denormal(True)  # the optimiser's running means of unused rows decay into slow numbers
    options.out.mkdir(parents=True, exist_ok=True)
    recipe = Recipe(
        steps=options.steps,
        batch=options.batch,
        seed=options.seed,
        minutes=options.minutes,
        learning_rate=options.learning_rate,
        half=options.bfloat16,
        longest=options.length,
    )
    if options.trained is not None:
        recipe = replace(recipe, lengths=FROM_TRAINED, taught=0.0)
    for size, until in ((options.size, options.fine_from), (options.fine_size, 1.0)):
        train_stage(recipe, PoolShape(options.capacity, options.length, size), until, options)


if __name__ == "__main__":
    main()
