"""Resident memory of a stream through transformers' own classes and through `keepsight.compat`.

    python -m benchmarks.door_memory --frames 500

The same program, weights (random), frames and settings; each library has a process of its own. The network
is SAM 3's tracker with a small image encoder at `--size` pixels: what a frame leaves behind depends on the
size of the input and of the memory, not on the encoder.
"""

import argparse
import importlib
import json
import multiprocessing
import tempfile
from pathlib import Path
from typing import Any

import torch

from benchmarks.memory import CLIP, resident_mib
from keepsight.video import open_source

EARLY = 50  # by then every buffer of bounded size is full
DOORS = {"transformers": "transformers", "keepsight": "keepsight.compat.sam3_tracker_video"}


def save_model(folder: Path, size: int) -> None:
    """A tracker with a small image encoder and random weights, and its processor."""
    import transformers as t

    trunk = t.Sam3ViTConfig(
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        image_size=size,
        window_size=12,
        global_attn_indexes=[1],
    )
    vision = t.Sam3VisionConfig(backbone_config=trunk)
    torch.manual_seed(0)
    model: Any = t.Sam3TrackerVideoModel(
        t.Sam3TrackerVideoConfig(vision_config=vision, image_size=size, memory_attention_num_layers=1)
    )
    model.mask_decoder.pred_obj_score_head.proj_out.bias.data += 5.0
    model.save_pretrained(folder)
    square: Any = {"size": {"height": size, "width": size}, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    t.Sam3TrackerVideoProcessor(
        image_processor=t.Sam2ImageProcessor(**square), video_processor=t.Sam2VideoVideoProcessor(**square)
    ).save_pretrained(folder)


def stream(library: str, folder: Path, frames: int) -> dict[str, float]:
    """Streams a clip over and over; MiB at frame `EARLY` and at the end."""
    module: Any = importlib.import_module(DOORS[library])
    model = module.Sam3TrackerVideoModel.from_pretrained(folder, dtype=torch.float32).eval()
    processor = module.Sam3TrackerVideoProcessor.from_pretrained(folder)
    session = processor.init_video_session(dtype=torch.float32)
    early = 0.0
    with open_source(str(CLIP)) as source:
        for index in range(frames):
            picture = source.read(index % source.count()).image
            inputs = processor(images=picture, return_tensors="pt")
            if index == 0:
                processor.add_inputs_to_inference_session(
                    inference_session=session,
                    frame_idx=0,
                    obj_ids=1,
                    input_points=[[[[480, 270]]]],
                    input_labels=[[[1]]],
                    original_size=inputs.original_sizes[0],
                )
            out = model(inference_session=session, frame=inputs.pixel_values[0])
            masks = processor.post_process_masks([out.pred_masks], inputs.original_sizes)[0]
            assert masks.shape[-2:] == picture.shape[:2]
            if index == EARLY:
                early = resident_mib()
    late = resident_mib()
    return {
        "early": early,
        "late": late,
        "growth": late - early,
        "a_frame": (late - early) / (frames - EARLY),
    }


def measure(library: str, folder: Path, frames: int, answers: Any) -> None:
    """`stream` in a process of its own."""
    answers.put(stream(library, folder, frames))


def main() -> None:
    """Prints a table and one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=500)
    parser.add_argument(
        "--size", type=int, default=336, help="side of the network's input; a multiple of 168"
    )
    parser.add_argument("--libraries", nargs="+", choices=DOORS, default=list(DOORS))
    options = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    rows = {}
    with tempfile.TemporaryDirectory() as folder:
        save_model(Path(folder), options.size)
        for library in options.libraries:
            answers: Any = context.Queue()
            process = context.Process(target=measure, args=(library, Path(folder), options.frames, answers))
            process.start()
            rows[library] = answers.get()
            process.join()
            row = rows[library]
            print(
                f"{library:12}  frame {EARLY}: {row['early']:.0f} MiB  frame {options.frames}: "
                f"{row['late']:.0f} MiB  growth {row['growth']:+.1f} MiB, {row['a_frame']:.2f} MiB a frame"
            )
    print(json.dumps({"frames": options.frames, "size": options.size, **rows}))


if __name__ == "__main__":
    main()
