"""Trains `pocket`: `python -m training.train --out training/runs/x`.

Start it again with the same folder to resume. Other processes make the clips beside it (`training.stream`).
"""

import argparse
import json
import math
import time
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from keepsight.errors import WeightsError
from keepsight.nn.sam2 import Sam2
from keepsight.weights.device import pick_dtype
from keepsight.weights.files import read_tensors
from training.config import POCKET
from training.imagenet import imagenet_weights
from training.pool import ClipPool, Made, PoolShape, pixels_of
from training.shares import KINDS
from training.sources import Sources, load_sources
from training.stream import ClipStream, clip_stream
from training.unroll import GRADED, Networks, Schedule, light_encoder, track_clips
from training.validate import Validation, draw_curve

__all__ = ["TEACHER", "Recipe", "average_model", "main"]

STATE_FILE = "state.pt"
# Frames of a clip until so much of the run is done.
FROM_SCRATCH = ((0.12, 2), (0.5, 3), (0.85, 4), (1.0, 5))
FROM_TRAINED = ((0.3, 6), (0.7, 12), (1.0, 16))
# How often a true mask is remembered at last. What has taken a look-alike for the object can't know better
# later on: such frames teach nothing.
TEACHER = 0.2


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
    until: float = 1.0  # how much of the run is done when its clips change size
    fresh: int = 1  # new clips in every step
    encoder_rate: float = 0.1  # learning rate of the backbone, in units of `learning_rate`
    only: tuple[str, ...] = ("",)  # nothing but parameters whose names begin with one of these is learned
    half: bool = False  # whether products are computed in bfloat16
    lengths: tuple[tuple[float, int], ...] = FROM_SCRATCH
    longest: int = 16  # frames of the clips there are
    taught: float = 0.2  # until so much is done, true masks are remembered less and less often
    teacher: float = TEACHER
    graded: int = GRADED

    def progress(self, step: int, seconds: float) -> float:
        """How much of the run is done, 0..1."""
        return step / self.steps if self.minutes is None else seconds / (60 * self.minutes)

    def schedule(self, progress: float) -> Schedule:
        """Few frames with true memories at first, more frames with its own at last."""
        teacher = max(self.teacher, 1 - progress / self.taught) if self.taught else self.teacher
        length = next((length for end, length in self.lengths if progress < end), self.lengths[-1][1])
        return Schedule(min(length, self.longest), teacher, self.graded)

    def rate(self, step: int, progress: float) -> float:
        """Learning rate: a short rise, then half a cosine to a hundredth."""
        rise = min(1.0, (step + 1) / self.warmup)
        return self.learning_rate * rise * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(progress, 1))))


@dataclass
class Run:
    """Everything that a resumed run must find again."""

    model: Sam2
    follower: Sam2  # the same in the type that is computed in, for frames that are not learned from
    optimiser: torch.optim.Optimizer
    average: dict[str, Tensor]
    random: np.random.Generator
    step: int = 0
    seconds: float = 0.0  # spent in steps so far
    made: int = 0  # clips that were asked for so far

    def save(self, path: Path) -> None:
        """Writes the run beside its place and then moves it there."""
        partial = path.with_suffix(".part")
        torch.save(
            {
                "model": self.model.state_dict(),
                "optimiser": self.optimiser.state_dict(),
                "average": self.average,
                "random": json.dumps(self.random.bit_generator.state),
                "step": self.step,
                "seconds": self.seconds,
                "made": self.made,
            },
            partial,
        )
        partial.replace(path)

    def load(self, path: Path) -> None:
        """Continues where `save` left off."""
        state = torch.load(path, map_location=self.model.device, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.average, self.step, self.seconds = state["average"], state["step"], state["seconds"]
        self.random.bit_generator.state = json.loads(state["random"])


def average_model(average: dict[str, Tensor], size: int) -> Sam2:
    """The network as it is shipped: averaged weights."""
    model = Sam2(replace(POCKET, image_size=size))
    model.load_state_dict(average)
    return model.eval()


@torch.no_grad()
def bring_to_unit_scale(model: Sam2, pool: ClipPool, random: np.random.Generator) -> None:
    """Lets the neck of a new network see every backbone channel with mean 0 and deviation 1."""
    encoder = light_encoder(model)
    batch = pool.read(random, 48, 2)
    for lateral, level in zip(
        encoder.laterals, encoder.backbone(pixels_of(batch.frames, batch.gains)), strict=True
    ):
        assert isinstance(lateral, nn.Conv2d)  # narrows for the type checker
        assert lateral.bias is not None
        lateral.weight /= level.std((0, 2, 3))[None, :, None, None] + 1e-3
        lateral.bias -= lateral.weight.flatten(1) @ level.mean((0, 2, 3))


def optimiser_for(model: Sam2, recipe: Recipe) -> torch.optim.Optimizer:
    """AdamW; vectors don't decay, and the backbone learns at a rate of its own or not at all.

    Raises:
        SystemExit: there is nothing to learn.
    """
    backbone = light_encoder(model).backbone.requires_grad_(recipe.encoder_rate > 0)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(parameter.requires_grad and name.startswith(recipe.only))
    inside = {id(p) for p in backbone.parameters()}
    groups = [
        {
            "params": [
                p
                for p in model.parameters()
                if p.requires_grad and (p.ndim > 1) == matrix and (id(p) in inside) == encoder
            ],
            "weight_decay": recipe.weight_decay if matrix else 0.0,
            "factor": recipe.encoder_rate if encoder else 1.0,
        }
        for matrix in (True, False)
        for encoder in (True, False)
    ]
    learned = [group for group in groups if group["params"]]
    if not learned:
        names = " or ".join(map(repr, recipe.only))
        raise SystemExit(f"No parameter of the network begins with {names}; pass another --only.")
    return torch.optim.AdamW(learned, lr=recipe.learning_rate, betas=(0.9, 0.98), fused=True)


def begin(recipe: Recipe, pool: ClipPool, trained: Path | None = None) -> Run:
    """A run before its first step, from scratch or from weights that `training.export` wrote."""
    torch.manual_seed(recipe.seed)
    random = np.random.default_rng(recipe.seed)
    model = Sam2(replace(POCKET, image_size=pool.shape.size)).train().to(pool.device)
    if trained is None:
        light_encoder(model).backbone.load_state_dict(imagenet_weights())
        bring_to_unit_scale(model, pool, random)
    else:
        load_trained(model, trained)
    average = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
    optimiser = optimiser_for(model, recipe)
    return Run(model, follower_of(model, recipe), optimiser, average, random)


def follower_of(model: Sam2, recipe: Recipe) -> Sam2:
    """A copy in bfloat16, as the network is used, where the recipe computes in that; else the network."""
    return deepcopy(model).to(torch.bfloat16).requires_grad_(requires_grad=False) if recipe.half else model


def load_trained(model: Sam2, trained: Path) -> None:
    """Takes over exported weights; what they lack stays random and is named.

    Raises:
        SystemExit: they cannot be read, or are those of another kind of network.
    """
    try:
        file = read_tensors(trained)
    except WeightsError as problem:
        raise SystemExit(str(problem)) from problem
    weights = {name: file[name].float() for name in file}
    missing, unknown = model.load_state_dict(weights, strict=False)
    if unknown or len(missing) > len(weights) // 2:
        raise SystemExit(
            f"Expected weights of pocket, as training.export writes them, but {trained} "
            f"{f'holds {unknown[0]}' if unknown else f'lacks {missing[0]} and more'}. Pass another --trained."
        )
    if missing:
        print(f"{len(missing)} tensors are not in {trained} and start at random, such as {missing[0]}.")


def take_step(run: Run, recipe: Recipe, pool: ClipPool) -> dict[str, float]:
    """One update; returns what to log."""
    progress = recipe.progress(run.step, run.seconds)
    schedule = recipe.schedule(progress)
    batch = pool.read(run.random, recipe.batch, schedule.length)
    for group in run.optimiser.param_groups:
        group["lr"] = recipe.rate(run.step, progress) * group["factor"]
    if run.follower is not run.model:
        run.follower.load_state_dict(run.model.state_dict())
    with torch.autocast(run.model.device.type, torch.bfloat16, enabled=recipe.half):
        losses = track_clips(Networks(run.model, run.follower), batch, run.random, schedule)
    losses.total.backward()  # type: ignore[no-untyped-call]
    current = {name: p for name, p in run.model.named_parameters() if p.requires_grad}
    norm = nn.utils.clip_grad_norm_(current.values(), recipe.clip_norm)
    run.optimiser.step()
    run.optimiser.zero_grad(set_to_none=True)
    decay = min(recipe.average_decay, (1 + run.step) / (10 + run.step))
    with torch.no_grad():
        torch._foreach_lerp_([run.average[name] for name in current], list(current.values()), 1 - decay)
    run.step += 1
    values = torch.stack([*(value.detach() for value in losses), norm]).tolist()
    return {**dict(zip((*losses._fields, "norm"), values, strict=True)), "frames": schedule.length}


def train(run: Run, recipe: Recipe, pool: ClipPool, clips: Iterator[Made], watch: Validation) -> None:
    """Steps until the recipe's part for this size is done, logging every 20 steps and saving now and then."""
    saved = time.monotonic()
    since, rows = saved, []
    out = watch.log.parent
    with (out / "log.jsonl").open("a") as log:
        while recipe.progress(run.step, run.seconds) < recipe.until:
            started = time.monotonic()
            pool.write(next(clips))
            rows.append(take_step(run, recipe, pool))
            run.made += recipe.fresh
            run.seconds += time.monotonic() - started
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
    model = average_model(run.average, run.model.config.image_size)
    j = watch.measure(model.to(pick_dtype("auto")) if recipe.half else model, run.step, run.seconds / 60)
    print(f"step {run.step}: validation J {j:.3f} ({draw_curve(watch.log.parent)})", flush=True)


def train_stage(recipe: Recipe, shape: PoolShape, sources: Sources, options: argparse.Namespace) -> None:
    """Trains on clips of one size, from where the folder's run stands."""
    state = options.out / STATE_FILE
    stored = torch.load(state, map_location="cpu", weights_only=True) if state.exists() else None
    if stored and recipe.progress(stored["step"], stored["seconds"]) >= recipe.until:
        return
    stream = ClipStream(sources, shape, options.seed + shape.size, stored["made"] if stored else 0)
    clips = clip_stream(stream, options.workers, recipe.fresh)
    pool = ClipPool(shape, options.device)
    while pool.written < min(options.first_clips, shape.capacity):
        pool.write(next(clips))
    run = begin(recipe, pool, options.trained)
    if stored:
        run.load(state)
    run.made = stream.first + pool.written
    watch = Validation(options.validation, options.out / "validation.jsonl", options.validate_every)
    train(run, recipe, pool, clips, watch)
    if recipe.until == 1.0 and watch.sequences:
        watch_run(run, recipe, watch)


def parsed_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder of the run; resumed if it exists")
    parser.add_argument("--data", type=Path, default=Path("../shared/data/train"))
    parser.add_argument("--labels", type=Path, default=Path("training/runs/labels"))
    parser.add_argument("--capacity", type=int, default=800, help="clips kept to be drawn from")
    parser.add_argument("--length", type=int, default=Recipe.longest, help="frames of a clip")
    parser.add_argument("--clips", choices=KINDS, default="all", help="hiding: more walls, covers and twins")
    parser.add_argument("--teacher", type=float, default=TEACHER, help="how often a true mask is remembered")
    parser.add_argument("--graded", type=int, default=GRADED, help="last frames of a clip, learned from")
    parser.add_argument("--fresh", type=int, default=Recipe.fresh, help="new clips in every step")
    parser.add_argument("--workers", type=int, default=1, help="processes that make clips")
    parser.add_argument("--first-clips", type=int, default=80, help="clips to wait for at first")
    parser.add_argument("--size", type=int, default=320, help="side of the clips at first")
    parser.add_argument("--fine-size", type=int, default=320, help="side of the clips at last")
    parser.add_argument("--fine-from", type=float, default=0.5, help="how much of the run is done by then")
    parser.add_argument("--steps", type=int, default=Recipe.steps)
    parser.add_argument("--minutes", type=float, help="train for so long rather than for --steps")
    parser.add_argument("--batch", type=int, default=Recipe.batch)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--bfloat16", action="store_true", help="compute products in bfloat16")
    parser.add_argument("--learning-rate", type=float, default=Recipe.learning_rate)
    parser.add_argument(
        "--encoder-rate", type=float, default=Recipe.encoder_rate, help="the backbone's, of it; 0 freezes it"
    )
    parser.add_argument(
        "--only",
        nargs="+",
        default=list(Recipe.only),
        help="learn parameters whose names begin so, such as mask_decoder.presence_head",
    )
    parser.add_argument("--trained", type=Path, help="weights to go on from, such as the shipped ones")
    parser.add_argument("--save-every", type=float, default=Recipe.save_every, help="seconds")
    parser.add_argument(
        "--validation", type=Path, default=Path("../shared/data/davis/train240"), help="clips to measure on"
    )
    parser.add_argument("--validate-every", type=float, default=10.0, help="minutes between measurements")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args()
    if min(options.workers, options.fresh, options.batch, options.first_clips, options.graded) < 1:
        parser.error("--workers, --fresh, --batch, --first-clips and --graded: expected 1 or more of each")
    if not 0 <= options.teacher <= 1:
        parser.error(f"--teacher: expected a share from 0 to 1, but got {options.teacher}")
    for size in (options.size, options.fine_size):
        if size < 32 or size % 32:
            parser.error(f"--size and --fine-size: expected multiples of 32, but got {size}")
    return options


def main() -> None:
    """Trains a model and leaves its state in a folder."""
    options = parsed_options()
    torch.set_flush_denormal(True)  # the optimiser's running means of unused rows decay into slow numbers
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.benchmark = True  # a run has few shapes
    options.out.mkdir(parents=True, exist_ok=True)
    names = (
        "steps",
        "batch",
        "seed",
        "minutes",
        "learning_rate",
        "encoder_rate",
        "fresh",
        "save_every",
        "teacher",
        "graded",
    )
    recipe = Recipe(
        half=options.bfloat16,
        longest=options.length,
        only=tuple(options.only),
        **{name: getattr(options, name) for name in names},
    )
    if options.trained is not None:
        recipe = replace(recipe, lengths=FROM_TRAINED, taught=0.0)
    try:
        sources = replace(load_sources(options.data, options.labels), shares=KINDS[options.clips])
    except (FileNotFoundError, ValueError) as problem:
        raise SystemExit(str(problem)) from problem
    stages = {options.size: options.fine_from} | {options.fine_size: 1.0}  # one where the sizes are equal
    for size, until in stages.items():
        shape = PoolShape(options.capacity, options.length, size)
        train_stage(replace(recipe, until=until), shape, sources, options)


if __name__ == "__main__":
    main()
