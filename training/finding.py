"""Finding objects in a picture and following them over a few frames, by asking a segmenter that knows clicks.

Nobody looks at the masks, so every rule here prefers to lose an object to keeping a doubtful one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from keepsight.evaluation import region_iou
from training.mobile_sam import Answer

__all__ = [
    "Labeller",
    "Rules",
    "View",
    "click_grid",
    "find_objects",
    "flow_back",
    "follow_objects",
    "moving_first",
]

Image = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Floats = NDArray[np.float32]

CERTAIN = 1.0  # logit; the masks at plus and minus this are compared
SPECK = 0.02  # islands and holes smaller than this share of the object are the segmenter's noise
EDGE = 0.01  # share of a side; masks of things that go on beyond the picture often end this close to its edge
ON_OBJECT, TOP_LEFT, BOTTOM_RIGHT = 1, 2, 3


class View(Protocol):
    """An encoded picture."""

    def ask(self, points: Floats, kinds: Sequence[int]) -> Answer:
        """Answers one prompt: (N, 2) points x, y and their kinds."""
        ...


class Labeller(Protocol):
    """A segmenter."""

    def look(self, image: Image) -> View:
        """Encodes an (H, W, 3) RGB picture."""
        ...


@dataclass(frozen=True)
class Rules:
    """Which masks are believed."""

    score: float = 0.9  # expected IoU
    stability: float = 0.9
    smallest: float = 0.01  # share of the picture
    largest: float = 0.6
    sides: int = 2  # of the picture that an object may touch; more than that is background
    whole: float = 0.8  # share of the object that its largest piece must hold
    same: float = 0.8  # IoU from which on two masks show one object
    agreed: float = 0.9  # IoU of the answers to two prompts that makes up for a little less of the above
    agreed_score: float = 0.88
    agreed_stability: float = 0.87
    kept_score: float = 0.85  # expected IoU while following
    kept_stability: float = 0.85
    kept_overlap: float = 0.7  # IoU with where the motion carried the mask
    clicks: int = 32  # to make in a picture at most
    most: int = 12  # objects in a picture


def stability(logits: Floats) -> float:
    """How little the mask changes with the threshold, 0..1."""
    wide = int((logits > -CERTAIN).sum())
    return int((logits > CERTAIN).sum()) / wide if wide else 0.0


def without_specks(mask: Mask, smallest: float) -> Mask:
    """The mask without the pieces that cover fewer pixels than that."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
    large = stats[:, cv2.CC_STAT_AREA] >= smallest
    large[0] = False  # what is not in the mask
    return np.asarray(large[labels], dtype=np.bool_)


def tidy(mask: Mask) -> Mask:
    """The mask without specks and pinholes."""
    smallest = SPECK * float(mask.sum())
    filled = ~without_specks(~mask, smallest)
    return without_specks(filled, smallest)


def sides_touched(mask: Mask) -> tuple[bool, bool, bool, bool]:
    """Whether the mask reaches the picture's left, right, top and bottom."""
    high, wide = (max(round(EDGE * extent), 1) for extent in mask.shape)
    sides = (mask[:, :wide], mask[:, -wide:], mask[:high], mask[-high:])
    left, right, top, bottom = (bool(side.any()) for side in sides)
    return left, right, top, bottom


def largest_piece(mask: Mask) -> float:
    """The share of the mask that lies in its largest connected piece."""
    stats = cv2.connectedComponentsWithStats(mask.astype(np.uint8))[2]
    return float(stats[1:, cv2.CC_STAT_AREA].max(initial=0)) / max(int(mask.sum()), 1)


def believable(mask: Mask, rules: Rules) -> bool:
    """Whether a mask looks like an object rather than background or crumbs."""
    left, right, top, bottom = sides_touched(mask)
    return (
        rules.smallest <= float(mask.mean()) <= rules.largest
        and left + right + top + bottom <= rules.sides
        and not (left and right)  # as ground and sky do
        and largest_piece(mask) >= rules.whole
    )


def click_grid(size: tuple[int, int], grid: int) -> Floats:
    """The centres of grid x grid cells, x and y, shuffled: any first part of them covers the picture."""
    height, width = size
    steps = (np.arange(grid) + 0.5) / grid
    xs, ys = np.meshgrid(steps * width, steps * height)
    points = np.stack([xs.ravel(), ys.ravel()], 1).astype(np.float32)
    return np.asarray(np.random.default_rng(0).permutation(points), dtype=np.float32)


def moving_first(points: Floats, flow: Floats, count: int) -> Floats:
    """Puts the points that move most against the rest of the picture before all others.

    Args:
        points: (N, 2) x and y.
        flow: (H, W, 2) motion of every pixel.
        count: how many to move to the front.
    """
    xs, ys = points.astype(np.int64).T
    motion = flow[ys, xs]
    terms = np.concatenate([points, np.ones((len(points), 1), np.float32)], 1)
    camera = np.linalg.lstsq(terms, motion, rcond=None)[0]
    strangeness = np.linalg.norm(motion - terms @ camera, axis=1)
    front = np.argsort(-strangeness, kind="stable")[:count]
    rest = np.setdiff1d(np.arange(len(points)), front)
    return np.asarray(points[np.concatenate([front, rest])], dtype=np.float32)


def sure(answer: Answer, score: float, steady: float) -> bool:
    """Whether an answer reaches both limits."""
    return answer.score >= score and stability(answer.logits) >= steady


def believed(view: View, point: Floats, rules: Rules) -> Answer | None:
    """The answer to one click if it is certain, or nearly so and confirmed by the prompt of a box."""
    first = view.ask(point[None], [ON_OBJECT])
    if sure(first, rules.score, rules.stability):
        return first
    mask = tidy(first.logits > 0)
    if first.score < rules.agreed_score or not believable(mask, rules):
        return None
    second = view.ask(*prompt_of(mask))
    confirmed = region_iou(tidy(second.logits > 0), mask) >= rules.agreed
    return second if confirmed and sure(second, rules.agreed_score, rules.agreed_stability) else None


def candidates(view: View, size: tuple[int, int], points: Floats, rules: Rules) -> list[tuple[float, Mask]]:
    """What clicks find, with the expected IoU.

    A click into what was found already would mostly find it again, so it is spared; background, which may
    hide a small object in it, gets a second one.

    Args:
        view: the encoded picture.
        size: its (H, W).
        points: (N, 2) where to click, the most promising first.
        rules: what is believed.
    """
    settled = np.zeros(size, np.uint8)
    found: list[tuple[float, Mask]] = []
    clicks = 0
    for point in points:
        if clicks == rules.clicks:
            break
        if settled[int(point[1]), int(point[0])] >= 2:
            continue
        clicks += 1
        answer = believed(view, point, rules)
        if answer is None:
            continue
        mask = tidy(answer.logits > 0)
        is_object = believable(mask, rules)
        settled += mask.astype(np.uint8) * np.uint8(2 if is_object else 1)
        if is_object:
            found.append((answer.score, mask))
    return found


def find_objects(view: View, size: tuple[int, int], points: Floats, rules: Rules) -> list[Mask]:
    """The objects in a picture, those at the most promising points first; arguments as for `candidates`."""
    found = candidates(view, size, points, rules)
    kept: list[int] = []
    for i in sorted(range(len(found)), key=lambda i: found[i][0], reverse=True):
        if all(region_iou(found[i][1], found[j][1]) <= rules.same for j in kept):
            kept.append(i)
    return [found[i][1] for i in sorted(kept)[: rules.most]]


def flow_back(old: Image, new: Image) -> Floats:
    """For every pixel of the new frame the shift (H, W, 2) to where it was in the old one."""
    motion = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in (new, old)]
    start = np.zeros((*old.shape[:2], 2), np.float32)
    return np.asarray(motion.calc(grey[0], grey[1], start), dtype=np.float32)


def carried(mask: Mask, flow: Floats) -> Mask:
    """The mask moved along with the picture."""
    height, width = mask.shape
    xs, ys = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    moved = cv2.remap(
        mask.astype(np.float32), xs + flow[..., 0], ys + flow[..., 1], cv2.INTER_LINEAR, borderValue=(0,)
    )
    return np.asarray(moved > 0.5, dtype=np.bool_)


def prompt_of(mask: Mask) -> tuple[Floats, list[int]]:
    """The box around a mask and its most inner point."""
    padded = np.pad(mask.astype(np.uint8), 1)  # the picture's edge is an edge of the object too
    depth = cv2.distanceTransform(padded, cv2.DIST_L2, 5)[1:-1, 1:-1]
    inner_y, inner_x = np.unravel_index(int(depth.argmax()), depth.shape)
    x, y, width, height = cv2.boundingRect(mask.astype(np.uint8))
    points = np.array([[inner_x, inner_y], [x, y], [x + width, y + height]], np.float32)
    return points, [ON_OBJECT, TOP_LEFT, BOTTOM_RIGHT]


def found_again(view: View, expected: Mask, rules: Rules) -> Mask | None:
    """The object about where it is expected, or None if that is doubtful."""
    if float(expected.mean()) < rules.smallest / 4:
        return None
    answer = view.ask(*prompt_of(expected))
    if not sure(answer, rules.kept_score, rules.kept_stability):
        return None
    mask = tidy(answer.logits > 0)
    return mask if region_iou(mask, expected) >= rules.kept_overlap else None


def follow_objects(
    labeller: Labeller, frames: Sequence[Image], objects: Sequence[Mask], rules: Rules
) -> list[list[Mask | None]]:
    """Follows objects of the first frame, each until it is doubtful.

    Args:
        labeller: the segmenter.
        frames: a few consecutive frames.
        objects: masks on the first of them.
        rules: what is believed.

    Returns:
        For every object its mask on every frame, None from where it was lost.
    """
    tracks: list[list[Mask | None]] = [[mask] for mask in objects]
    for old, new in pairwise(frames):
        if all(track[-1] is None for track in tracks):
            for track in tracks:
                track.append(None)
            continue
        view, flow = labeller.look(new), flow_back(old, new)
        for track in tracks:
            last = track[-1]
            track.append(None if last is None else found_again(view, carried(last, flow), rules))
    return tracks
