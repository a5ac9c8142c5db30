"""Memory: the bank, and the policies that say what of it is used."""

from collections.abc import Callable
from typing import Any

from keepsight.errors import PolicyError
from keepsight.memory.latest import LatestPolicy
from keepsight.memory.policy import MemoryPolicy
from keepsight.memory.sam2long import Sam2LongPolicy
from keepsight.memory.samurai import SamuraiPolicy
from keepsight.nn.io import VideoNetwork

__all__ = ["POLICIES", "LatestPolicy", "Sam2LongPolicy", "SamuraiPolicy", "make_policy"]


def _recalled(network: VideoNetwork | None) -> int | None:
    """How many prompted frames the network should be shown."""
    return None if network is None else network.max_conditioning


def _latest(network: VideoNetwork | None) -> LatestPolicy:
    if network is None:
        return LatestPolicy()
    return LatestPolicy(max_conditioning=_recalled(network), recalls_sighting=network.recalls_sighting)


def _samurai(network: VideoNetwork | None) -> SamuraiPolicy:
    if network is None:
        return SamuraiPolicy()
    return SamuraiPolicy(kf_score_weight=network.motion_weight, max_conditioning=_recalled(network))


POLICIES: dict[str, Callable[[VideoNetwork | None], MemoryPolicy[Any]]] = {
    "sam2": _latest,
    "samurai": _samurai,
    "sam2long": lambda network: Sam2LongPolicy(max_conditioning=_recalled(network)),
}


def make_policy(policy: "str | MemoryPolicy[Any]", network: VideoNetwork | None = None) -> MemoryPolicy[Any]:
    """Makes a policy of a name with its default numbers; a policy object is returned as it is.

    Args:
        policy: "sam2", "samurai", "sam2long", or a policy object.
        network: what it will work with; some numbers were published per network.

    Raises:
        PolicyError: no policy has this name.
    """
    if not isinstance(policy, str):
        return policy
    if policy not in POLICIES:
        raise PolicyError(
            f"Expected a memory policy, one of {', '.join(sorted(POLICIES))}, but got {policy!r}. "
            f"Choose one of these, or hand in a policy object of your own."
        )
    return POLICIES[policy](network)
