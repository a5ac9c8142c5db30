"""Ours, Meta's predictor (rf-sam-2) and transformers' port on the same weights, clip and type, in one run.

    python benchmarks/side_by_side.py --objects 1 4 8 --dtype bfloat16 --peers meta transformers
    python benchmarks/side_by_side.py --size sam3 --objects 1 4 --peers transformers

The engines take turns frame by frame, so that a noisy machine is noisy for all of them; the ratio of the
medians is what counts. Weights are drawn at random: time does not depend on them. Peak memory is measured
in a process of its own per engine (`--rss`), since a process remembers only its highest.
"""

import argparse
import json
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

import keepsight as ks
from keepsight.nn.sam2 import VARIANTS
from keepsight.video import open_source
from keepsight.weights.keys_transformers import TRANSFORMERS
from keepsight.weights.load import load_network

CLIP = Path(__file__).parents[2] / "shared" / "data" / "videos" / "bedroom.mp4"
YAML = {"tiny": "t", "small": "s", "base_plus": "b+", "large": "l"}
SAM3 = "sam3"
Masks = npt.NDArray[np.bool_]


class Case(NamedTuple):
    """What all engines are given."""

    size: str
    folder: Path  # JPEG frames
    checkpoint: Path  # in Meta's format; of SAM 3 a folder as transformers writes it
    boxes: list[tuple[float, float, float, float]]
    dtype: torch.dtype


def engine_ours(case: Case) -> Iterator[Masks]:
    """Ours, through the public door."""
    config = None if case.size == SAM3 else VARIANTS[f"sam2.1_hiera_{case.size}"]
    model = ks.load_model(case.checkpoint, config=config, device="cpu", dtype=str(case.dtype)[6:])
    prompts = {i: ks.Box(*box) for i, box in enumerate(case.boxes)}
    for result in ks.track(str(case.folder), prompts, model=model):
        yield np.stack([result[i].mask for i in result])


def engine_meta(case: Case) -> Iterator[Masks]:
    """Meta's predictor, under autocast where the type is not float32, as its examples do."""
    from sam2.build_sam import build_sam2_video_predictor

    yaml = f"configs/sam2.1/sam2.1_hiera_{YAML[case.size]}.yaml"
    predictor: Any = build_sam2_video_predictor(yaml, str(case.checkpoint), device="cpu")
    autocast = torch.autocast("cpu", case.dtype, enabled=case.dtype != torch.float32)
    with autocast, torch.inference_mode():
        state = predictor.init_state(str(case.folder))
        for i, box in enumerate(case.boxes):
            predictor.add_new_points_or_box(state, 0, i, box=box)
        for _, _, logits in predictor.propagate_in_video(state):
            yield (logits[:, 0] > 0).numpy()


def engine_transformers(case: Case) -> Iterator[Masks]:
    """Transformers' port, as its documentation shows."""
    model = _transformers_sam3(case) if case.size == SAM3 else _transformers_sam2(case)
    model.to(case.dtype)
    processor: Any = _processor(case.size)
    frames = [Image.open(path).convert("RGB") for path in sorted(case.folder.glob("*.jpg"))]
    session = processor.init_video_session(video=frames, inference_device="cpu", dtype=case.dtype)
    processor.add_inputs_to_inference_session(
        session, 0, obj_ids=list(range(len(case.boxes))), input_boxes=[[list(box) for box in case.boxes]]
    )
    model(inference_session=session, frame_idx=0)
    size = [session.video_height, session.video_width]
    for output in model.propagate_in_video_iterator(session, start_frame_idx=0):
        masks = processor.post_process_masks([output.pred_masks], original_sizes=[size], binarize=True)[0]
        yield masks[:, 0].numpy()


def _transformers_sam3(case: Case) -> Any:
    from transformers import Sam3TrackerVideoModel

    return Sam3TrackerVideoModel.from_pretrained(case.checkpoint).eval()


def _transformers_sam2(case: Case) -> Any:
    from transformers import Sam2VideoConfig, Sam2VideoModel

    ours = load_network(
        case.checkpoint, config=VARIANTS[f"sam2.1_hiera_{case.size}"], device="cpu", dtype="float32"
    )
    model: Any = Sam2VideoModel(Sam2VideoConfig()).eval()
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    model.load_state_dict(TRANSFORMERS.revert(ours.state_dict(), shapes), strict=False)
    # The port keeps this table twice, and its checkpoints hold it once.
    twin = model.prompt_encoder.shared_embedding.positional_embedding
    twin.copy_(model.shared_image_embedding.positional_embedding)
    return model


def _processor(size: str) -> Any:
    import transformers

    if size != SAM3:
        return transformers.Sam2VideoProcessor(
            image_processor=transformers.Sam2ImageProcessor(),
            video_processor=transformers.Sam2VideoVideoProcessor(),
            target_size=1024,
        )
    spec = VARIANTS[SAM3]
    side = {"height": spec.image_size, "width": spec.image_size}
    video = transformers.Sam2VideoVideoProcessor(
        size=side, image_mean=list(spec.mean), image_std=list(spec.std)
    )
    return transformers.Sam3TrackerVideoProcessor(
        image_processor=transformers.Sam2ImageProcessor(size=side),
        video_processor=video,
        target_size=spec.image_size,
    )


ENGINES = {"ours": engine_ours, "meta": engine_meta, "transformers": engine_transformers}


def prepare(size: str, clip: Path, objects: int, frames: int, dtype: torch.dtype, folder: Path) -> Case:
    """Writes the clip's frames as JPEG and a random checkpoint, once per run."""
    images = folder / "frames"
    if not images.exists():
        images.mkdir()
        with open_source(str(clip)) as source:
            for frame in source.frames(0, frames):
                Image.fromarray(frame.image).save(images / f"{frame.index:05d}.jpg", quality=95)
    checkpoint = folder / ("sam3" if size == SAM3 else "random.pt")
    if not checkpoint.exists() and size == SAM3:
        save_random_sam3(checkpoint)
    elif not checkpoint.exists():
        torch.save({"model": random_state(size)}, checkpoint)
    with Image.open(next(iter(images.glob("*.jpg")))) as image:
        width, height = image.size
    # Boxes side by side over the middle of the frame.
    step = width / (objects + 1)
    boxes = [(step * (i + 0.5), height * 0.3, step * (i + 1.4), height * 0.8) for i in range(objects)]
    return Case(size, images, checkpoint, boxes, dtype)


def random_state(size: str) -> dict[str, torch.Tensor]:
    """Weights as Meta's code draws them, with a presence head that calls objects present."""
    from sam2.build_sam import build_sam2_video_predictor

    torch.manual_seed(0)
    predictor: Any = build_sam2_video_predictor(
        f"configs/sam2.1/sam2.1_hiera_{YAML[size]}.yaml", device="cpu"
    )
    predictor.sam_mask_decoder.pred_obj_score_head.layers[-1].bias.data += 5.0
    state: dict[str, torch.Tensor] = predictor.state_dict()
    return state


def save_random_sam3(folder: Path) -> None:
    """The same for SAM 3's tracker, with its configuration, as transformers writes it (1.9 GB)."""
    from transformers import Sam3TrackerVideoConfig, Sam3TrackerVideoModel

    torch.manual_seed(0)
    model: Any = Sam3TrackerVideoModel(Sam3TrackerVideoConfig())
    model.mask_decoder.pred_obj_score_head.proj_out.bias.data += 5.0
    twin = model.prompt_encoder.shared_embedding.positional_embedding
    twin.data.copy_(model.shared_image_embedding.positional_embedding)
    model.save_pretrained(folder)


def take_turns(
    case: Case, peers: list[str], warmup: int, timed: int, peer_dtype: torch.dtype
) -> dict[str, Any]:
    """Runs the engines frame by frame in turn; seconds per frame and agreement of the masks with ours."""
    theirs = case._replace(dtype=peer_dtype)
    runs = {"ours": ENGINES["ours"](case)} | {name: ENGINES[name](theirs) for name in peers}
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    agreement: dict[str, list[float]] = {name: [] for name in peers}
    for frame in range(warmup + timed):
        masks = {}
        for name, run in runs.items():
            began = time.perf_counter()
            masks[name] = next(run)
            if frame >= warmup:
                seconds[name].append(time.perf_counter() - began)
        for name in peers:
            agreement[name].append(float((masks[name] == masks["ours"]).mean()))
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    return {
        "objects": len(case.boxes),
        "dtype": str(case.dtype)[6:],
        "peer_dtype": str(peer_dtype)[6:],
        "seconds": medians,
        "ratio": {name: medians[name] / medians["ours"] for name in peers},
        "equal_pixels": {name: min(values) for name, values in agreement.items()},
    }


def peak_rss(case: Case, name: str, frames: int) -> None:
    """Runs one engine alone and prints its peak resident memory in MiB."""
    run = ENGINES[name](case)
    for _ in range(frames):
        next(run)
    print(json.dumps({"peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))


def measured_rss(arguments: list[str], name: str) -> float:
    """Peak memory of one engine in a process of its own."""
    command = [sys.executable, __file__, *arguments, "--only", name]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return float(json.loads(output.strip().splitlines()[-1])["peak_mib"])


def machine() -> str:
    """The processor, in a line."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "?")
    flags = next((line for line in lines if line.startswith("flags")), "")
    native = [flag for flag in ("amx_bf16", "avx512_bf16") if flag in flags]
    return (
        f"{platform.machine()}, {model}, {torch.get_num_threads()} threads, "
        f"native bfloat16: {', '.join(native) or 'none'}, torch {torch.__version__}"
    )


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--size", choices=[*YAML, SAM3], default="tiny")
    parser.add_argument("--clip", type=Path, default=CLIP)
    parser.add_argument("--objects", type=int, nargs="+", default=[1, 4, 8])
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="bfloat16")
    parser.add_argument("--peer-dtype", choices=["float32", "bfloat16"], help="theirs, if another")
    parser.add_argument("--peers", nargs="+", choices=["meta", "transformers"], default=["meta"])
    parser.add_argument("--warmup", type=int, default=8, help="frames before timing; 7 fill the memory")
    parser.add_argument("--timed", type=int, default=5)
    parser.add_argument("--rss", action="store_true", help="measure peak memory too")
    parser.add_argument("--only", choices=list(ENGINES), help=argparse.SUPPRESS)
    return parser


def main() -> None:
    """Prints a line of JSON per number of objects."""
    given = arguments().parse_args()
    if given.size == SAM3 and "meta" in given.peers:
        raise SystemExit("Meta's sam2 package has no SAM 3: pass --peers transformers.")
    dtype = getattr(torch, given.dtype)
    frames = given.warmup + given.timed
    with tempfile.TemporaryDirectory(prefix="keepsight-benchmark-") as folder:
        if given.only:
            case = prepare(given.size, given.clip, given.objects[0], frames, dtype, Path(folder))
            peak_rss(case, given.only, frames)
            return
        print(machine())
        for objects in given.objects:
            case = prepare(given.size, given.clip, objects, frames, dtype, Path(folder))
            peer_dtype = getattr(torch, given.peer_dtype or given.dtype)
            row = take_turns(case, given.peers, given.warmup, given.timed, peer_dtype)
            if given.rss:
                options = ["--size", given.size, "--clip", str(given.clip), "--dtype", given.dtype]
                options += ["--objects", str(objects), "--warmup", str(given.warmup)]
                options += ["--timed", str(given.timed)]
                row["peak_mib"] = {n: measured_rss(options, n) for n in ["ours", *given.peers]}
            print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
