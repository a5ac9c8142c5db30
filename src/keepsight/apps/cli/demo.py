"""`keepsight demo`: the rendered clip, its prompt, and how close the tracker came."""

from pathlib import Path

import numpy as np

from keepsight.apps.cli.demo_clip import clip_box, render_clip, write_clip
from keepsight.apps.cli.job import TrackJob
from keepsight.apps.cli.prompts import Entry, PromptPlan, make_plan
from keepsight.errors import OutputError
from keepsight.types import BoolArray, Box

__all__ = ["prepare_demo", "score_demo"]


def prepare_demo(
    output_dir: Path, model: str, device: str, overwrite: bool
) -> tuple[TrackJob, PromptPlan, list[BoolArray]]:
    """Renders the clip into the output folder.

    Returns:
        The run to do, its prompt (the fish's box on the first frame), and the true masks.

    Raises:
        OutputError: the folder cannot be written, or holds results and `overwrite` is off.
    """
    from keepsight.export import OutputFolder

    clip = OutputFolder(output_dir, overwrite).path / "demo_clip.mp4"
    frames = list(render_clip())
    try:
        truths = write_clip(clip, iter(frames))
    except OSError as error:
        raise OutputError(f"Expected to write the demo's clip to '{clip}', but got: {error}.") from error
    entry = Entry("the demo's box", name="fish", box=Box(*clip_box(frames[0])))
    job = TrackJob(
        source=str(clip),
        output_dir=output_dir,
        model=model,
        device=device,
        frames=True,
        overwrite=overwrite,
    )
    return job, make_plan([entry]), truths


def score_demo(job: TrackJob, truths: list[BoolArray]) -> str:
    """One sentence on how well the written masks agree with the truth."""
    from PIL import Image

    from keepsight.evaluation import region_iou

    scores = []
    for index, truth in enumerate(truths):
        with Image.open(job.output_dir / "masks" / f"{index:05d}.png") as image:
            scores.append(region_iou(np.asarray(image) > 0, truth))
    hidden = sum(truth.sum() < truths[0].sum() / 4 for truth in truths)
    return (
        f"Mean IoU with the rendered truth: {np.mean(scores):.3f} over {len(truths)} frames, on {hidden} of "
        f"which three quarters of the fish are behind the rock."
    )
