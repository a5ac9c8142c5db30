"""Memory: the bank, and the policies that say what of it is used."""

from typing import Any

from keepsight.errors import PolicyError
from keepsight.memory.latest import LatestPolicy
from keepsight.memory.policy import MemoryPolicy

__all__ = ["POLICIES", "make_policy"]

POLICIES: dict[str, type[LatestPolicy]] = {"sam2": LatestPolicy}


def make_policy(policy: "str | MemoryPolicy[Any]") -> MemoryPolicy[Any]:
    """Makes a policy of a name with its default numbers; a policy object is returned as it is.

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
    return POLICIES[policy]()
