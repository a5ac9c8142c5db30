"""The names of models and policies, known before PyTorch is loaded; a test holds them to the originals."""

from collections.abc import Sequence

from keepsight.errors import PolicyError, UnknownModelError

__all__ = ["MODELS", "POLICIES", "known_model", "known_policy"]

MODELS = (
    "pocket",
    "sam2.1_hiera_tiny",
    "sam2.1_hiera_small",
    "sam2.1_hiera_base_plus",
    "sam2.1_hiera_large",
    "sam2_hiera_tiny",
    "sam2_hiera_small",
    "sam2_hiera_base_plus",
    "sam2_hiera_large",
    "sam3",
)
POLICIES = ("sam2", "samurai", "sam2long")


def known_model(name: str, models: Sequence[str]) -> str:
    """A model's name, if it is one that a page may ask for: never a path.

    Raises:
        UnknownModelError: it is not.
    """
    if name not in models:
        raise UnknownModelError(f"Expected a model, one of {', '.join(models)}, but got {name!r}.")
    return name


def known_policy(name: str) -> str:
    """A policy's name, if there is such a policy.

    Raises:
        PolicyError: there is not.
    """
    if name not in POLICIES:
        raise PolicyError(f"Expected a policy, one of {', '.join(POLICIES)}, but got {name!r}.")
    return name
