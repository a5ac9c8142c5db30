"""Where a model fails, as a picture: the worst frame of each kind of rendered clip, the object in view.

    python -m benchmarks.failures --out training/failures.jpg

The answer is drawn as `keepsight track` draws it, the truth as a white outline, and IoU stands above.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

import keepsight as ks
from benchmarks.rendered_clips import FAMILIES, TARGET, rendered_clip
from keepsight.evaluation import region_iou
from keepsight.export import draw
from keepsight.nn.io import VideoNetwork
from keepsight.types import ImageArray

__all__ = ["Failure", "contact_sheet", "worst_frame"]

TILE = (426, 240)
COLUMNS = 3
WHITE = (255, 255, 255)


class Failure(NamedTuple):
    """The worst frame of a clip."""

    clip: str
    frame: int
    iou: float
    image: ImageArray


def worst_frame(network: VideoNetwork, kind: str, count: int) -> Failure:
    """Follows a clip's target from its first mask and keeps the frame where it is told worst.

    Args:
        network: the model.
        kind: of rendered clip.
        count: frames to track.
    """
    session = ks.Session(network)
    given = 0
    worst = Failure(kind, 0, 2.0, np.zeros((1, 1, 3), np.uint8))
    for index, frame in enumerate(rendered_clip(kind).frames(count)):
        truth = frame.truths[TARGET]
        result = session.step(frame.image, {TARGET: ks.Mask(truth)} if index == 0 else None)
        iou = region_iou(result[TARGET].mask, truth)
        given = given or int(truth.sum())
        # Of a sliver that peeps out of a hiding place nothing is learned.
        if index and iou < worst.iou and truth.sum() > given / 2:
            picture = draw(result)
            outline, _ = cv2.findContours(truth.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
            cv2.drawContours(picture, outline, -1, WHITE, 2)
            worst = Failure(kind, index, iou, picture)
    return worst


def contact_sheet(failures: Sequence[Failure]) -> ImageArray:
    """All of them in rows, each with a line of text."""
    tiles = []
    for failure in failures:
        tile = cv2.resize(failure.image, TILE, interpolation=cv2.INTER_AREA)
        text = f"{failure.clip}, frame {failure.frame}: IoU {failure.iou:.2f}"
        tile[:28] = 0
        cv2.putText(tile, text, (8, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.55, WHITE, 1, cv2.LINE_AA)
        tiles.append(tile)
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % COLUMNS)
    rows = [np.hstack(tiles[i : i + COLUMNS]) for i in range(0, len(tiles), COLUMNS)]
    return np.vstack(rows).astype(np.uint8)


def main() -> None:
    """Draws the picture."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="pocket")
    parser.add_argument("--out", type=Path, required=True, help="a .jpg or .png file")
    parser.add_argument("--frames", type=int, default=200, help="of each clip")
    options = parser.parse_args()
    network = ks.load_model(options.model)
    kinds = [kind for family in FAMILIES.values() for kind in family]
    failures = [worst_frame(network, kind, options.frames) for kind in kinds]
    for failure in failures:
        print(f"{failure.clip:12} frame {failure.frame:3}  IoU {failure.iou:.2f}")
    sheet = contact_sheet(failures)[..., ::-1]
    if not cv2.imwrite(str(options.out), sheet, [cv2.IMWRITE_JPEG_QUALITY, 80]):
        raise SystemExit(
            f"{options.out} cannot be written: check the folder and that it ends in .jpg or .png."
        )


if __name__ == "__main__":
    main()
