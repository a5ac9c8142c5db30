"""Datasets: which layout a folder has, and its sequences."""

from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from keepsight.errors import SourceError, UsageError
from keepsight.evaluation.box_folders import box_sequences
from keepsight.evaluation.davis import davis_sequences, is_davis
from keepsight.evaluation.sequence import BoxSequence, MaskSequence

__all__ = ["Dataset", "open_dataset"]


class Dataset(NamedTuple):
    """A benchmark's folder.

    Attributes:
        root: the folder.
        layout: "DAVIS", "LaSOT", "GOT-10k" or "OTB".
        sequences: all of one kind: masks in DAVIS, boxes in the others.
    """

    root: Path
    layout: str
    sequences: tuple[MaskSequence, ...] | tuple[BoxSequence, ...]

    def only(self, names: Collection[str]) -> "Dataset":
        """The dataset with some of its sequences.

        Args:
            names: of sequences; all if empty.

        Raises:
            UsageError: there is no sequence of this name.
        """
        known = [sequence.name for sequence in self.sequences]
        for name in names:
            if name not in known:
                listed = ", ".join(known[:10]) + (", ..." if len(known) > 10 else "")
                raise UsageError(
                    f"Expected a sequence of '{self.root}' ({listed}), but got {name!r}. Choose one of these."
                )
        chosen = tuple(s for s in self.sequences if not names or s.name in names)
        return Dataset(self.root, self.layout, chosen)  # type: ignore[arg-type]  # still all of one kind


def open_dataset(root: Path, split: str | None = None) -> Dataset:
    """Tells a folder's layout and lists its sequences; no ground truth is read yet.

    Args:
        root: a folder in the layout of DAVIS, LaSOT, GOT-10k or OTB.
        split: of DAVIS' ImageSets; see `davis_sequences`.

    Raises:
        SourceError: no such folder, no known layout, several layouts at once, or something is missing.
        AnnotationError: frames and annotations do not belong together.
        UsageError: an unknown split, or a split where there are none.
    """
    if not root.is_dir():
        what = "is a file" if root.exists() else "does not exist"
        raise SourceError(f"Expected a dataset's folder, but '{root}' {what}. Check the path.")
    if is_davis(root):
        return Dataset(root, "DAVIS", davis_sequences(root, split))
    if split is not None:
        raise UsageError(
            f"--split {split}: expected a dataset with ImageSets (DAVIS), but '{root}' has none. Name the "
            f"folder of the split itself."
        )
    found = box_sequences(root)
    layouts = sorted({listed.layout for listed in found})
    if len(layouts) != 1:
        got = " and ".join(layouts) if layouts else "nothing of the kind"
        raise SourceError(
            f"Expected '{root}' to be DAVIS (JPEGImages, Annotations), or to hold LaSOT or GOT-10k "
            f"(groundtruth.txt) or OTB (groundtruth_rect.txt) sequences, but found {got}. Name the folder of "
            f"one benchmark."
        )
    return Dataset(root, layouts[0], tuple(listed.sequence for listed in found))
