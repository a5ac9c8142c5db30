"""Packs the training data into one small archive, to be carried to a machine with an accelerator.

`python -m training.pack --out training/runs/packed.zip` writes the same folders with pictures made smaller,
and the labels that `training.labels` found; unpacked, the archive is what `--data` and `--labels` expect:

    python -m zipfile -e packed.zip packed
    python -m training.train --data packed/data --labels packed/labels ...
"""

import argparse
import zipfile
from pathlib import Path

import cv2
import numpy as np

from training.sources import read_image, shrunk

__all__ = ["pack"]

LONGEST = 512  # side of a packed photograph; clips are shown to the network at 256 to 384 pixels
QUALITY = 70  # of the WebP images inside, which keep the names of the JPEG files that they stand for
LABEL_FOLDERS = ("photos", "clips")


def packed(path: Path) -> bytes:
    """A file's content, photographs and label images made smaller."""
    if path.suffix == ".jpg":
        pixels = shrunk(read_image(path), LONGEST, cv2.INTER_AREA)[..., ::-1]
        return cv2.imencode(".webp", pixels, [cv2.IMWRITE_WEBP_QUALITY, QUALITY])[1].tobytes()
    if path.suffix == ".png":  # label values, which must not be blended
        labels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        if labels is None:
            raise ValueError(f"{path} cannot be read as an image; check the training data folder.")
        return cv2.imencode(".png", shrunk(labels.astype(np.uint8), LONGEST, cv2.INTER_NEAREST))[1].tobytes()
    return path.read_bytes()


def pack(data: Path, labels: Path, target: Path) -> int:
    """Writes the archive and returns its size in bytes.

    Args:
        data: the training data folder.
        labels: what `training.labels` wrote; left out where it does not exist.
        target: the archive, replaced when it is complete.

    Raises:
        FileNotFoundError: the data folder does not exist or is empty.
        ValueError: a picture cannot be read.
    """
    files = sorted(path for path in data.rglob("*") if path.is_file())
    if not files:
        raise FileNotFoundError(f"No files under {data}: pass --data with the training data.")
    partial = target.with_suffix(".part")
    with zipfile.ZipFile(partial, "w") as archive:
        for path in files:
            name = f"data/{path.relative_to(data).as_posix()}"
            archive.writestr(name, packed(path), compress_type=zipfile.ZIP_DEFLATED)
        for folder in LABEL_FOLDERS:
            for path in sorted((labels / folder).glob("*.json")):
                name = f"labels/{folder}/{path.name}"
                archive.writestr(name, path.read_bytes(), compress_type=zipfile.ZIP_DEFLATED)
    partial.replace(target)
    return target.stat().st_size


def main() -> None:
    """Packs the training data."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/train"))
    parser.add_argument("--labels", type=Path, default=Path("training/runs/labels"))
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    print(f"{options.out}: {pack(options.data, options.labels, options.out) / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
