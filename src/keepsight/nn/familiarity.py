"""How familiar what a frame shows is: as the object, and as something beside it that is not the object.

What is read from memory by likeness is a mean, which doesn't tell how alike the places were that it came
from. A look-alike that has stood beside the object all the while and the object itself, come back somewhere
else, read the same mean; but the one looks just like what was in its place a while ago, and that was not the
object. (Distractor-aware memories, Videnovic et al. 2025, keep frames for this; here the oldest frame that
was tracked into says it. The latest would not do: what is missed on the frame on which it begins to come
into view would be known ever after as what isn't the object.)
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["FAINTEST", "Familiarity", "how_alike", "shown_or_not"]

FAINTEST = 1e-6  # sum of likenesses that counts as none
UNIT = 8.0  # logs of likeness are divided by this
READS = 3  # everywhere, nearby, and nearby in the oldest frame that was tracked into


def shown_or_not(evidence: Tensor) -> Tensor:
    """The share of a cell that was the object and the share that was not, (..., 2), of its mask (..., 16)."""
    shown = evidence.mean(dim=-1, keepdim=True)
    return torch.cat((shown, 1 - shown), dim=-1)


def how_alike(sums: Tensor) -> Tensor:
    """Logs of sums of likenesses, 0 or more, in units of `UNIT`; float32."""
    return sums.float().clamp(min=FAINTEST).log() / UNIT


class Familiarity(nn.Module):
    """Adds to every cell how much it looks like remembered places that were the object, and that were not.

    Args:
        hidden: width of its perceptron.
        width: C, the width of the image embedding.
    """

    def __init__(self, hidden: int, width: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(2 * READS, hidden)
        self.out = nn.Linear(hidden, width)
        nn.init.zeros_(self.out.weight)  # it adds nothing until it is trained
        nn.init.zeros_(self.out.bias)

    def forward(self, sums: Tensor) -> Tensor:
        """Weighs the sums of three reads.

        Args:
            sums: (B, n, 6), of each read the likeness to places that were the object, and to others; 0 or
                more, with 1 for one place that looks the same.

        Returns:
            (B, n, C).
        """
        added: Tensor = self.out(F.gelu(self.hidden(how_alike(sums).to(self.hidden.weight.dtype))))
        return added
