"""How often what happens in training clips."""

from dataclasses import dataclass

__all__ = ["KINDS", "Shares"]


@dataclass(frozen=True)
class Shares:
    """Each 0..1.

    Attributes:
        real: of the clips that are pieces of real ones, where there are any.
        walled: of the clips with a pasted object in which that goes behind a wall.
        covered: of the clips in which something lies over the object for a while.
        cut: of the clips that show something else for a while.
        twin: of the covered objects that have one in sight.
        late: of the twins beside covers and walls that are only on their way at first.
    """

    real: float = 0.4
    walled: float = 0.4
    covered: float = 0.35
    cut: float = 0.15
    twin: float = 0.6
    late: float = 0.4


# By what `--clips` calls them.
KINDS = {"all": Shares(), "hiding": Shares(walled=0.8, covered=0.5, cut=0.08, twin=0.9, late=0.1)}
