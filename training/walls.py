"""Training clips in which the object goes behind a wall and comes out anywhere, past things like it."""

from dataclasses import dataclass, replace

import numpy as np

from training.cutouts import panel, random_cutout, twin_of
from training.layers import PASSER, TARGET, Layer
from training.paths import Floats, Path, curve, random_path, turn, until_arrival
from training.sources import Sources

__all__ = ["walled"]

REACH = 1.8  # length of a wall in units of the frame's side
SIZES = 0.13, 0.32  # of the object, likewise
HALF = 0.6  # how far an object reaches from its centre, in units of its size
PACES = 0.1, 1.0  # how far it goes in a frame, likewise
FARTHEST = 0.2  # from where it can just be seen, in units of the frame's side
TURNS = 0.4  # share of the objects that turn about themselves on their way
STAYS = 0.3  # share of the objects that don't come out again


@dataclass(frozen=True)
class Wall:
    """A strip across the frame."""

    middle: Floats  # (2,) x and y of the frame, 0..1
    angle: float  # of its length, radians
    half: float  # of its thickness, in units of the frame's side

    def place(self, along: Floats, across: Floats) -> Floats:
        """Places (T, 2) so far along it and so far from its middle line, (T,) both."""
        way = np.array([np.cos(self.angle), np.sin(self.angle)])
        places = self.middle + along[:, None] * way + across[:, None] * np.array([-way[1], way[0]])
        return np.asarray(places, np.float32)


def walled(random: np.random.Generator, sources: Sources, length: int) -> list[Layer]:
    """The layers of such a clip, lowest first."""
    size = float(np.exp(random.uniform(*np.log(SIZES))))
    wall = Wall(
        random.uniform(0.35, 0.65, 2).astype(np.float32),
        random.uniform(0, np.pi),
        size * HALF * random.uniform(1.1, 1.6),
    )
    what = random_cutout(random, sources)
    path = random_path(random, length, size, random.uniform(0.1, 0.8))
    if random.random() < TURNS:
        path = turn(random, path)
    target = Layer(what, replace(path, center=behind(random, wall, size, length)), TARGET)
    twins = [
        beside(random, wall, target, TARGET + 1 + n, sources.shares.late)
        for n in range(int(random.choice(3, p=(0.2, 0.6, 0.2))))
    ]
    still = random_path(random, length, REACH, 0.02)
    over = replace(
        still,
        center=wall.place(np.zeros(length, np.float32), np.zeros(length, np.float32)),
        angle=np.full(length, wall.angle, np.float32),
        aspect=np.ones(length, np.float32),
    )
    return [*twins, target, Layer(panel(random, sources, 2 * wall.half / REACH), over, PASSER)]


def behind(random: np.random.Generator, wall: Wall, size: float, length: int) -> Floats:
    """Centres (T, 2) of something that is in sight first, then hidden, and in most cases in sight again."""
    enters = int(random.integers(1, length))
    leaves = length if random.random() < STAYS else int(random.integers(enters + 1, length + 1))
    frames = np.arange(length)
    hidden = wall.half - HALF * size
    paces = size * np.exp([random.uniform(*np.log(PACES)) for _ in range(2)])
    paces[0] = max(paces[0], 2 * HALF * size / enters)  # all of it is in sight at first
    before = hidden + np.maximum(enters - frames, 0) * paces[0]
    after = hidden + np.maximum(frames - leaves + 1, 0) * paces[1]
    farthest = wall.half + HALF * size + FARTHEST
    sides = random.choice([-1, 1], 2)
    way = np.clip((frames - enters) / max(leaves - enters, 1), 0, 1)
    inside = hidden * ((1 - way) * sides[0] + way * sides[1])
    across = np.where(frames < enters, sides[0] * np.minimum(before, farthest), inside)
    across = np.where(frames >= leaves, sides[1] * np.minimum(after, farthest), across)
    ends = random.uniform(-0.35, 0.35, 2)
    along = (1 - way) * ends[0] + way * ends[1] + curve(random, length, 0.08)
    return wall.place(along.astype(np.float32), across.astype(np.float32))


def beside(random: np.random.Generator, wall: Wall, target: Layer, group: int, late: float) -> Layer:
    """A twin of the object stays on one side of the wall; a share of `late` comes into view later."""
    length, size = len(target.path.scale), float(target.path.scale[0])
    path: Path = random_path(random, length, size * random.uniform(0.8, 1.2), random.uniform(0.1, 0.8))
    outside = until_arrival(random, length, late) * random.uniform(*PACES) * size
    across = wall.half + HALF * size + random.uniform(0, FARTHEST) + outside + curve(random, length, 0.1)
    along = random.uniform(-0.4, 0.4) + curve(random, length, 0.2)
    center = wall.place(along, (random.choice([-1, 1]) * across).astype(np.float32))
    return Layer(twin_of(random, target.cutout), replace(path, center=center), group)
