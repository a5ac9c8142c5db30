"""Long clips with ground truth, rendered: what memory policies are for, one difficulty at a time.

A creature is to be followed (object 1) among stones, under bridges and past others of its kind. Every clip
begins with an easy stretch; the same kind and seed give the same frames, one at a time.

    for frame in rendered_clip("occluded", seed=0).frames():
        frame.image, frame.truths[1], 1 in frame.absent
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

import numpy as np

from benchmarks.rendered_motion import HERO, LONG, Knot, Track, crawling, crossing, passing, reach, smooth
from benchmarks.rendered_scene import (
    SIZE,
    Actor,
    Colour,
    Pose,
    RenderedFrame,
    Sprite,
    Stage,
    creature,
    ground,
    planks,
)

__all__ = ["EASY", "FAMILIES", "LENGTH", "TARGET", "RenderedClip", "crowd", "rendered_clip"]

LENGTH = 320  # frames of a clip
EASY = 40  # frames before anything difficult happens
TARGET = 1  # the object to be followed; its look-alikes are 2, 3, ...

# In rising order: a tracker that loses the target at once would show nothing of how it does with the others.
HIDINGS = (8, 24, 60)  # frames for which the target is hidden completely
AWAY = (12, 30, 50)  # frames for which it is out of the frame
OPEN = 60  # frames between one such event and the next

PALETTES: tuple[tuple[Colour, ...], ...] = (
    ((0.80, 0.62, 0.22), (0.42, 0.16, 0.06), (0.88, 0.46, 0.14), (0.98, 0.86, 0.55)),
    ((0.30, 0.42, 0.66), (0.08, 0.14, 0.36), (0.34, 0.56, 0.88), (0.90, 0.93, 0.96)),
    ((0.72, 0.24, 0.22), (0.40, 0.05, 0.08), (0.86, 0.26, 0.22), (0.10, 0.08, 0.10)),
    ((0.86, 0.84, 0.78), (0.52, 0.50, 0.50), (0.96, 0.95, 0.92), (0.22, 0.20, 0.22)),
)
GROUNDS: tuple[tuple[Colour, Colour], ...] = (
    ((0.20, 0.17, 0.11), (0.50, 0.44, 0.30)),
    ((0.13, 0.20, 0.09), (0.40, 0.48, 0.24)),
    ((0.26, 0.26, 0.27), (0.55, 0.54, 0.52)),
)


@dataclass(frozen=True, eq=False)
class RenderedClip:
    """A clip, not drawn yet.

    Attributes:
        kind: what happens in it.
        seed: of its textures, its places and whether it is mirrored.
        length: number of frames.
        hidden: first frame and first frame after, of every stretch in which the target is to be invisible,
            covered or out of the frame; true to some frames.
        crossings: by look-alike, the frames on which it meets the target.
    """

    kind: str
    seed: int
    stage: Stage
    length: int = LENGTH
    hidden: tuple[tuple[int, int], ...] = ()
    crossings: tuple[tuple[int, int], ...] = ()

    @property
    def name(self) -> str:
        """Kind and seed."""
        return f"{self.kind}-{self.seed}"

    def frames(self, count: int | None = None) -> Iterator[RenderedFrame]:
        """Draws the first `count` frames, or all, one at a time."""
        for index in range(self.length if count is None else min(count, self.length)):
            yield self.stage.draw(index)


@dataclass(eq=False)
class _Set:
    """What a clip is made with: its random numbers, the colours, whether it is mirrored."""

    kind: str
    seed: int
    random: np.random.Generator = field(init=False)
    look: int = field(init=False)
    mirror: tuple[bool, bool] = field(init=False)

    def __post_init__(self) -> None:
        self.random = np.random.default_rng([self.seed, crc32(self.kind.encode())])
        kinds = [kind for family in FAMILIES.values() for kind in family]
        # Counted, not drawn, so that the kinds of one seed and the seeds of one kind look different.
        self.look = self.seed + (kinds.index(self.kind) if self.kind in kinds else 0)
        across, down = self.random.random(2) < 0.5
        self.mirror = bool(across), bool(down)

    def creature(self, size: float = HERO) -> Sprite:
        """One of the kind that is followed in this clip."""
        return creature(self.random, PALETTES[self.look % len(PALETTES)], size)

    def route(self, knots: Sequence[Knot], soft: float = 4.0) -> Track:
        """A smooth path through places at certain frames; straight where they lie on a line."""
        frames, *places = np.asarray(sorted(knots), np.float64).T
        axes = [smooth(np.interp(np.arange(LENGTH), frames, place), soft) for place in places]
        return np.stack([s - a if m else a for a, s, m in zip(axes, SIZE, self.mirror, strict=True)], axis=1)

    def clip(
        self, actors: Sequence[Actor], camera: Sequence[Pose] | None = None, **facts: Any
    ) -> RenderedClip:
        """The clip of these actors, lowest first."""
        below = ground(self.random, *GROUNDS[self.look % len(GROUNDS)])
        still = [Pose(SIZE[0] / 2, SIZE[1] / 2)] * LENGTH
        return RenderedClip(
            self.kind, self.seed, Stage.lit(self.random, below, actors, camera or still), **facts
        )


def rendered_clip(kind: str, seed: int = 0) -> RenderedClip:
    """Makes a clip.

    Args:
        kind: one of those in `FAMILIES`.
        seed: another seed is another clip of the same kind.
    """
    builders = {name: builder for kinds in FAMILIES.values() for name, builder in kinds.items()}
    return builders[kind](_Set(kind, seed))


def crowd(objects: int, seed: int = 0) -> RenderedClip:
    """A clip in which many objects are to be followed, all in view from the first frame on.

    Args:
        objects: how many, 1 to 32; they stay apart from each other.
        seed: another seed is another clip.
    """
    made = _Set("crowd", seed)
    columns = int(np.ceil(np.sqrt(1.6 * objects)))
    rows = -(-objects // columns)
    cell = SIZE[0] / columns, SIZE[1] / rows
    size = min(HERO, 0.36 * min(cell))
    actors = []
    for number in range(objects):
        middle = (number % columns + 0.5) * cell[0], (number // columns + 0.5) * cell[1]
        knots = [
            (f, *(middle + made.random.uniform(-1, 1, 2) * cell * 0.2)) for f in range(0, LENGTH + 40, 40)
        ]
        sprite = creature(made.random, PALETTES[number % len(PALETTES)], size)
        actors.append(Actor(sprite, crawling(made.route(knots), size), number + 1))
    return made.clip(actors)


def _lookalikes(made: _Set) -> RenderedClip:
    """Three of its kind cross the target's way, now above it, now below it, twice each."""
    path = made.route([(0, 180, 120), (70, 300, 230), (150, 440, 130), (230, 300, 200), (330, 170, 150)])
    meetings = [(2, 100), (3, 150), (4, 185), (2, 215), (3, 255), (4, 285)]
    below, *above = _twins(made, path, meetings)
    target = Actor(made.creature(), crawling(path, HERO), TARGET)
    return made.clip([below, target, *above], crossings=tuple(meetings))


def _occluded(made: _Set) -> RenderedClip:
    """Three times under one bridge and straight on, each time for another while."""
    half = 94.0
    slack = half - LONG * HERO
    knots: list[Knot] = [(0, 110, 210), (36, 175, 165)]
    hidden, start, side = [], EASY + 24, -1
    for length in HIDINGS:
        y = float(made.random.uniform(150, 210))
        stop = start + length
        knots += [(f, 330 + side * d, y) for f, d in passing(start, stop, slack)]
        knots.append((stop + OPEN // 2, 330 - side * 215, float(made.random.uniform(90, 270))))
        hidden.append((start, stop))
        start, side = stop + OPEN, -side
    bridge = Actor(
        planks(made.random, 2 * int(half), 420, (0.56, 0.42, 0.28)), _at_rest(made, 330, 180, half)
    )
    target = Actor(made.creature(), crawling(made.route(knots), HERO), TARGET)
    return made.clip([target, bridge], hidden=tuple(hidden))


def _overtaken(made: _Set) -> RenderedClip:
    """A raft is pushed over the target and past it, three times, each time for another while."""
    path = made.route([(0, 190, 110), (80, 300, 230), (160, 420, 140), (240, 300, 230), (330, 190, 150)])
    poses = crawling(path, HERO)
    half = 98.0
    hidden, start, side = [], EASY + 24, -1.0
    knots: list[Knot] = [(0, -560, 0)]
    for length in HIDINGS:
        stop = start + length
        first, last = (half - reach(poses[f].angle)[0] for f in (start, stop))
        speed = (first + last) / length
        approach = ((start - 30, 560), (start - 8, first + 8 * speed), (start, first))
        onward = ((stop, -last), (stop + 8, -last - 8 * speed), (stop + 30, -560))
        knots += [(f, side * d, 0) for f, d in approach + onward]
        hidden.append((start, stop))
        start, side = stop + OPEN + 4, -side
    frames, ahead, _ = np.asarray(knots).T
    offset = smooth(np.interp(np.arange(LENGTH), frames, ahead), 2.5)
    raft = planks(made.random, 2 * int(half), 216, (0.50, 0.45, 0.36))
    over = [Pose(p.x + o, p.y, half) for p, o in zip(poses, offset, strict=True)]
    return made.clip([Actor(made.creature(), poses, TARGET), Actor(raft, over)], hidden=tuple(hidden))


def _elsewhere(made: _Set) -> RenderedClip:
    """Under a long bridge, along below it, and out where its motion does not say, past a look-alike."""
    half, middle = 82.0, 186.0
    slack = half - LONG * HERO
    exits = ((220.0, 260.0, -1), (400.0, 140.0, 1), (150.0, 480.0, 1))  # in at x, out at x, through or back
    knots: list[Knot] = [(0, 80, 60), (EASY, 140, 62)]
    hidden, start, side = [], EASY + 24, -1
    for (enter, leave, through), length in zip(exits, HIDINGS, strict=True):
        stop, out = start + length, -side * through
        knots += [(start - 10, enter, middle + side * (slack + 35)), (start, enter, middle + side * slack)]
        knots += [
            (start + 3, enter, middle + side * slack * 0.6),
            (stop - 3, leave, middle + out * slack * 0.6),
        ]
        knots += [(stop, leave, middle + out * slack), (stop + 10, leave, middle + out * (slack + 35))]
        knots.append((stop + OPEN // 2, 0.5 * leave + 170, middle + out * 128))
        hidden.append((start, stop))
        start, side = stop + OPEN, out
    bridge = planks(made.random, 2 * int(half), 720, (0.46, 0.36, 0.27))
    over = [p._replace(angle=np.pi / 2) for p in _at_rest(made, 320, middle, half)]
    # The look-alike comes when the easy stretch is over.
    wander: list[Knot] = [(0, 470, 440), (EASY + 4, 470, 440)]
    wander += [(f, 470 + 90 * np.sin(f / 21), 312 + 10 * np.cos(f / 17)) for f in range(68, LENGTH + 8, 8)]
    twin = Actor(made.creature(), crawling(made.route(wander), HERO), 2)
    target = Actor(made.creature(), crawling(made.route(knots, 2.5), HERO), TARGET)
    return made.clip([twin, target, Actor(bridge, over)], hidden=tuple(hidden))


def _leaving(made: _Set) -> RenderedClip:
    """Out of the frame and back: where it left, then on the other side, then at the top."""
    right, left, top = SIZE[0] + LONG * HERO, -LONG * HERO, -LONG * HERO
    # Per stay in the frame: from where it comes, which way it goes, where it leaves; none at the clip's ends.
    stays = (
        (None, ((0, 330, 220), (EASY, 470, 170)), (right, 190, 9, 0)),
        ((right, 150, -8, 0), ((0.5, 390, 230),), (right, 160, 8, 0)),
        ((left, 210, 8, 0), ((0.5, 230, 130),), (left, 190, -8, 0)),
        ((430, top, 0, 7), ((1, 410, 200), (1.6, 300, 250)), None),
    )
    lengths = AWAY
    poses: list[Pose] = []
    hidden, start = [], EASY + 24
    for number, (enters, inner, leaves) in enumerate(stays):
        first, stop = (start - OPEN, start) if number else (0, start)
        knots: list[Knot] = [(first + f * (OPEN if number else 1), x, y) for f, x, y in inner]
        for frame, end in ((first, enters), (stop, leaves)):
            if end is not None:
                x, y, dx, dy = end
                # Straight on for as long as it is away; straight, too, just inside the frame.
                knots += [
                    (frame + n, x + n * dx, y + n * dy)
                    for n in ((-4, 0, 40) if frame == stop else (-40, 0, 4))
                ]
        until = LENGTH if leaves is None else start + lengths[number] // 2
        poses += crawling(made.route(knots), HERO)[len(poses) : until]
        if leaves is not None:
            hidden.append((start, start + lengths[number]))
            start += lengths[number] + OPEN
    return made.clip([Actor(made.creature(), poses, TARGET)], hidden=tuple(hidden))


def _scale(made: _Set) -> RenderedClip:
    """Grows to four times its size and shrinks again, twice, while it writhes, stretches and turns."""
    path = made.route([(0, 150, 120), (90, 320, 200), (170, 460, 140), (250, 320, 190), (330, 180, 170)])
    frames = np.arange(LENGTH)
    grown = np.interp(frames, [0, EASY, 105, 165, 225, 270, LENGTH], [56, 56, 130, 34, 120, 40, 60])
    sizes, later = smooth(grown, 6), np.clip((frames - EASY) / 25, 0, 1)
    poses = [
        p._replace(
            aspect=float(1 + a * 0.28 * np.sin(f / 13)),
            bend=float(0.04 + a * 0.20),
            angle=float(p.angle + a * 1.3 * np.sin(f / 37)),
        )
        for p, a, f in zip(crawling(path, sizes), later, frames, strict=True)
    ]
    return made.clip([Actor(made.creature(130), poses, TARGET)])


def _mixed(made: _Set) -> RenderedClip:
    """A camera in the hand, two look-alikes that cross, and twice under a bridge."""
    half = 92.0
    slack = half - LONG * HERO
    first, last = 16, 36
    knots: list[Knot] = [(0, 140, 150), (EASY, 205, 215), (74, 245, 175)]
    hidden, start, side = [], 100, -1
    for length in (first, last):
        stop = start + length
        knots += [(f, 420 + side * d, 190) for f, d in passing(start, stop, slack)]
        knots.append((stop + 36, 420 - side * 200, float(made.random.uniform(120, 240))))
        hidden.append((start, stop))
        start, side = stop + 100, -side
    path = made.route(knots)
    meetings = [(2, hidden[0][1] + 34), (3, hidden[0][1] + 80), (2, hidden[1][1] + 33)]
    twins = _twins(made, path, meetings)
    bridge = Actor(
        planks(made.random, 2 * int(half), 620, (0.56, 0.42, 0.28)), _at_rest(made, 420, 180, half)
    )
    target = Actor(made.creature(), crawling(path, HERO), TARGET)
    camera = _in_the_hand(made, path)
    return made.clip(
        [twins[0], target, twins[1], bridge], camera, hidden=tuple(hidden), crossings=tuple(meetings)
    )


FAMILIES: dict[str, dict[str, Callable[[_Set], RenderedClip]]] = {
    "look-alikes": {"lookalikes": _lookalikes},
    "occlusion": {"occluded": _occluded, "overtaken": _overtaken, "elsewhere": _elsewhere},
    "leaving": {"leaving": _leaving},
    "scale": {"scale": _scale},
    "mixed": {"mixed": _mixed},
}
"""The kinds of clip by family."""


def _twins(made: _Set, path: Track, meetings: Sequence[tuple[int, int]]) -> list[Actor]:
    """Look-alikes by number, each of which meets what follows a path on certain frames."""
    routes = {
        n: crossing(made.random, path, [f for m, f in meetings if m == n])
        for n in sorted({n for n, _ in meetings})
    }
    return [Actor(made.creature(), crawling(route, HERO), number) for number, route in routes.items()]


def _at_rest(made: _Set, x: float, y: float, size: float) -> list[Pose]:
    places = [s - v if m else v for v, s, m in zip((x, y), SIZE, made.mirror, strict=True)]
    return [Pose(places[0], places[1], size)] * LENGTH


def _in_the_hand(made: _Set, path: Track) -> list[Pose]:
    """A camera that follows a path late and not all the way, sways, rolls and zooms."""
    frames = np.arange(LENGTH)
    middle = np.array(SIZE) / 2
    centre = middle + 0.55 * (np.stack([smooth(axis, 14) for axis in path.T], axis=1) - middle)
    sway = [smooth(made.random.normal(0, 9, LENGTH), 5) for _ in range(2)]
    zoom, roll = 1 + 0.18 * np.sin(frames / 41), 0.10 * np.sin(frames / 29 + made.seed)
    return [
        Pose(float(c[0] + a), float(c[1] + b), float(z), float(r))
        for c, a, b, z, r in zip(centre, *sway, zoom, roll, strict=True)
    ]
