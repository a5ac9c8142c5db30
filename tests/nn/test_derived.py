"""What is made of weights is made again when they change, and only then."""

import copy
import pickle

import pytest
import torch
from torch import Tensor, nn

from keepsight.nn.layers.derived import Derived


class Doubled:
    """A weight times two, and how often it was computed."""

    def __init__(self, weight: Tensor) -> None:
        self.weight, self.derived, self.times = weight, Derived[Tensor](), 0

    def __call__(self, detail: int = 0) -> Tensor:
        return self.derived.get((self.weight,), detail, self._make)

    def _make(self) -> Tensor:
        self.times += 1
        return 2 * self.weight


@torch.no_grad()
def test_it_is_made_again_when_a_weight_or_a_detail_changes() -> None:
    doubled = Doubled(nn.Parameter(torch.ones(3)))
    first = doubled()
    assert doubled() is first
    doubled.weight.add_(1)
    assert torch.equal(doubled(), torch.full((3,), 4.0))
    doubled(1)
    assert doubled.times == 3
    doubled.weight.data = torch.zeros(3)
    assert torch.equal(doubled(1), torch.zeros(3))


@torch.no_grad()
def test_a_new_weight_is_never_taken_for_one_that_lay_at_its_place() -> None:
    doubled = Doubled(nn.Parameter(torch.ones(1000)))
    for value in range(2, 20):
        doubled()
        doubled.weight = nn.Parameter(torch.full((1000,), float(value)))  # the old one is let go of
        assert torch.equal(doubled(), torch.full((1000,), 2.0 * value))


def test_in_training_it_is_always_made_afresh_and_has_a_gradient() -> None:
    doubled = Doubled(nn.Parameter(torch.ones(3)))
    (doubled() + doubled()).sum().backward()  # type: ignore[no-untyped-call]
    assert doubled.times == 2
    assert doubled.weight.grad is not None
    assert torch.equal(doubled.weight.grad, torch.full((3,), 4.0))


def test_what_inference_made_may_meet_a_gradient_later() -> None:
    with torch.inference_mode():
        doubled = Doubled(torch.ones(3))
        made = doubled()
    assert not made.is_inference()


@pytest.mark.parametrize("way", [copy.deepcopy, lambda derived: pickle.loads(pickle.dumps(derived))])
def test_copies_begin_empty(way: object) -> None:
    doubled = Doubled(torch.ones(3))
    doubled()
    assert doubled.derived._made is not None
    assert way(doubled.derived)._made is None  # type: ignore[operator]


@torch.no_grad()
def test_autocast_leaves_no_trace() -> None:
    weight, derived = torch.ones(2, 2), Derived[Tensor]()
    with torch.autocast("cpu", torch.bfloat16):
        assert derived.get((weight,), None, lambda: weight @ weight).dtype == torch.float32
