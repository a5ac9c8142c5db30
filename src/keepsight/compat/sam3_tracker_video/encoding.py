"""What a processor answers."""

from typing import Any

import torch
from torch import Tensor

from keepsight.errors import UsageError

__all__ = ["Encoding"]


class Encoding(dict[str, Any]):
    """What a processor answers: a dictionary whose entries are attributes too."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(
                f"Expected one of {', '.join(self)}, which the processor made, but got {name!r}."
            ) from None

    def to(self, *args: Any, **kwargs: Any) -> "Encoding":
        """Moves all tensors to a device, and those of floating point to a type; returns itself.

        Args:
            *args: as of `Tensor.to`: a device, a type, or both in this order.
            **kwargs: likewise: `device`, `dtype`, `non_blocking`.

        Raises:
            UsageError: the first is neither a device nor a type.
        """
        device = kwargs.get("device", None if not args or isinstance(args[0], torch.dtype) else args[0])
        if not isinstance(device, str | int | torch.device | None):
            raise UsageError(f"Expected a device or a torch.dtype, but got {device!r}. Write .to('cuda').")
        for name, value in self.items():
            self[name] = _moved(value, device, args, kwargs)
        return self

    def converted(self, kind: str | None) -> "Encoding":
        """Lists of tensors and of numbers as one tensor ("pt") or array ("np") each; as they are if None.

        Raises:
            UsageError: another kind, or pictures of different sizes.
        """
        if kind is None:
            return self
        if kind not in ("pt", "np"):
            raise UsageError(f"Expected return_tensors to be 'pt', 'np' or None, but got {kind!r}.")
        for name, value in self.items():
            tensor = _stacked(value)
            self[name] = tensor if kind == "pt" else tensor.cpu().numpy()
        return self


def _moved(value: Any, device: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if isinstance(value, list | tuple):
        return type(value)(_moved(item, device, args, kwargs) for item in value)
    if not isinstance(value, Tensor):
        return value
    if value.is_floating_point():
        return value.to(*args, **kwargs)
    return value if device is None else value.to(device, non_blocking=kwargs.get("non_blocking", False))


def _stacked(value: Any) -> Tensor:
    if isinstance(value, Tensor):
        return value
    if not isinstance(value[0], Tensor):
        return torch.tensor(value)
    shapes = {tuple(tensor.shape) for tensor in value}
    if len(shapes) > 1:
        raise UsageError(
            f"Expected pictures of one size to stack, but got {', '.join(map(str, sorted(shapes)))}. "
            f"Leave do_resize at True, or return_tensors out."
        )
    return torch.stack(value)
