"""Tiny benchmarks on the disk: the toy network's squares as frames, with their truth."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from tests.toy import blob_frame, place

WIDTH, HEIGHT, SIDE = 80, 48, 12


def labels(index: int, ids: Sequence[int], hidden: Sequence[int] = ()) -> npt.NDArray[np.uint8]:
    """(48, 80), the number of the square at every pixel, 0 elsewhere."""
    values = np.zeros((HEIGHT, WIDTH), np.uint8)
    for i in ids:
        if i not in hidden:
            x, y = place(i, index)
            values[y : y + SIDE, x : x + SIDE] = i
    return values


def save_labels(path: Path, values: npt.NDArray[np.uint8]) -> None:
    """As DAVIS 2017 stores them: a palette PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(values, "L")
    image.putpalette([(i * 37 + c * 85) % 256 for i in range(256) for c in range(3)])
    image.save(path)


def save_frame(path: Path, index: int, hidden: tuple[int, ...] = ()) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(blob_frame(index, hidden)).save(path, quality=100, subsampling=0)


def make_davis(
    root: Path,
    names: Sequence[str] = ("calm",),
    frames: int = 5,
    *,
    ids: Sequence[int] = (1, 2),
    part: str = "",
) -> Path:
    """A DAVIS 2017 folder; with one id, a DAVIS 2016 folder of 0 and 255."""
    for name in names:
        for index in range(frames):
            save_frame(root / "JPEGImages" / part / name / f"{index:05d}.jpg", index)
            path = root / "Annotations" / part / name / f"{index:05d}.png"
            if len(ids) > 1:
                save_labels(path, labels(index, ids))
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray((labels(index, ids) > 0).astype(np.uint8) * 255).save(path)
    return root


def box_line(index: int, between: str = ",") -> str:
    """Square 1's box as benchmarks write it: x, y, width, height, counted from 1."""
    x, y = place(1, index)
    return between.join(str(v) for v in (x + 1, y + 1, SIDE, SIDE))


def make_lasot(root: Path, frames: int = 5, absent: Sequence[int] = ()) -> Path:
    folder = root / "square" / "square-1"
    for index in range(frames):
        save_frame(folder / "img" / f"{index + 1:08d}.jpg", index, (1,) if index in absent else ())
    (folder / "groundtruth.txt").write_text("\n".join(box_line(i) for i in range(frames)) + "\n")
    (folder / "full_occlusion.txt").write_text(",".join(str(int(i in absent)) for i in range(frames)))
    (folder / "out_of_view.txt").write_text(",".join("0" * frames))
    return root


def make_got(root: Path, frames: int = 5, absent: Sequence[int] = ()) -> Path:
    folder = root / "GOT-10k_Val_000001"
    for index in range(frames):
        save_frame(folder / f"{index + 1:08d}.jpg", index, (1,) if index in absent else ())
    lines = [box_line(i).replace(",", ".0000,") + ".0000" for i in range(frames)]
    (folder / "groundtruth.txt").write_text("\n".join(lines) + "\n")
    (folder / "absence.label").write_text("\n".join(str(int(i in absent)) for i in range(frames)) + "\n")
    (root / "list.txt").write_text("GOT-10k_Val_000001\n")
    return root


def make_otb(root: Path, frames: int = 5, name: str = "Square", between: str = "\t") -> Path:
    for index in range(frames):
        save_frame(root / name / "img" / f"{index + 1:04d}.jpg", index)
    lines = [box_line(i, between) for i in range(frames)]
    (root / name / "groundtruth_rect.txt").write_text("\r\n".join(lines) + "\r\n")
    return root
