"""What a memory policy is: the rule that says what is recalled, which mask is chosen, what is remembered."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeVar, runtime_checkable

from torch import Tensor

from keepsight.memory.bank import MemoryBank, MemoryEntry
from keepsight.nn.io import MaskCandidates, MemoryView

__all__ = ["MemoryPolicy", "Pick", "PolicyState", "Revises", "Revision"]


class Pick(NamedTuple):
    """One chosen mask: of which view, which of its candidates, and whether it becomes memory."""

    view: int
    mask: int
    remember: bool = True


class PolicyState(Protocol):
    """One object's state under a policy: frozen, and with a bank of the object's best account so far."""

    @property
    def bank(self) -> MemoryBank:
        """The memory of the best hypothesis."""


S = TypeVar("S", bound=PolicyState)


class MemoryPolicy(Protocol[S]):
    """The rule over a memory bank; it holds no state itself and serves any number of objects."""

    @property
    def presence_threshold(self) -> float:
        """Presence logit above which an object's masks and pointers count."""

    def begin(self, bank: MemoryBank, mask: Tensor, *, ambiguous: bool) -> S:
        """Starts, or after a correction restarts, an object.

        Args:
            bank: the memory with the newest prompt in it.
            mask: (1, 4h, 4w) logits of the prompted mask.
            ambiguous: whether the prompt, a lone click, left the network a choice of masks, as tracking does.
        """

    def recondition(self, state: S, conditioning: Sequence[MemoryEntry]) -> S:
        """The state with its prompted frames replaced, everything else as it was.

        Needed where a person goes back: what was tracked then must learn of prompts given since.
        """

    def recall(self, state: S, frame: int) -> Sequence[MemoryView]:
        """What is recalled on a frame: one view per live hypothesis, the best first."""

    def choose(self, state: S, candidates: MaskCandidates) -> Sequence[Pick]:
        """Chooses among the candidates of the recalled views (B of them); the first pick is the answer.

        IoUs and presence are on the CPU, logits and pointers where the network is. A pick may be named more
        than once; it is computed once.
        """

    def remember(
        self, state: S, picks: Sequence[Pick], entries: Sequence[MemoryEntry], masks: Sequence[Tensor]
    ) -> S:
        """The state after a frame; the old one stays valid.

        Args:
            state: the state before.
            picks: what `choose` returned.
            entries: one per pick; its `map` is None where the pick was not to be remembered.
            masks: the picked (1, 4h, 4w) logits.
        """


@dataclass(frozen=True, eq=False)
class Revision:
    """What an object's answer on an earlier frame has turned out to be, after all.

    Attributes:
        frame: the frame's number.
        logits: (1, 4h, 4w) float32 mask logits, on the CPU.
        iou: predicted IoU, 0..1.
        presence: presence logit.
    """

    frame: int
    logits: Tensor
    iou: float
    presence: float


@runtime_checkable
class Revises(Protocol):
    """A policy that may come to see earlier frames differently than it answered them."""

    def hindsight(self, state: Any) -> Sequence[Revision]:
        """The frames on which the best account so far differs from what was answered, in any order."""
