"""A network small enough to be written, damaged and read again many times."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from keepsight.nn.sam2 import Sam2
from keepsight.weights.keys_meta import META
from tests.weights.miniature import TINY


@pytest.fixture(scope="session")
def tiny() -> Sam2:
    torch.manual_seed(0)
    return Sam2(TINY).eval().requires_grad_(False)


@pytest.fixture(scope="session")
def tiny_sam2() -> Sam2:
    """As SAM 2: no time on pointers, no mark for absence."""
    torch.manual_seed(1)
    config = replace(TINY, pointer_time=False, absence_in_memory=False)
    return Sam2(config).eval().requires_grad_(False)


@pytest.fixture(scope="session")
def meta_state(tiny: Sam2) -> dict[str, Tensor]:
    """The tiny network's weights under Meta's names."""
    state = tiny.state_dict()
    shapes: dict[str, tuple[int, ...]] = {}
    for key, tensor in state.items():
        names = META.theirs(key)
        for name in names:
            rows = len(tensor) if len(names) == 1 else 4 if name.endswith("mask_tokens.weight") else 1
            shapes[name] = (rows, *tensor.shape[1:]) if tensor.dim() else ()
    return {**META.revert(state, shapes), "no_mem_pos_enc": torch.zeros(1, 1, TINY.width)}


@pytest.fixture
def meta_file(tmp_path: Path, meta_state: dict[str, Tensor]) -> Callable[..., Path]:
    """Writes Meta's kind of checkpoint, with changes."""

    def write(**changes: Tensor | None) -> Path:
        state = {**meta_state, **changes}
        path = tmp_path / "checkpoint.pt"
        torch.save({"model": {name: tensor for name, tensor in state.items() if tensor is not None}}, path)
        return path

    return write
