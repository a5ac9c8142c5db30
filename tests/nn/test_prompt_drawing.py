"""Boxes and clicks in pixels: at the right places, with the right signs, on top of what was there."""

import torch

from keepsight.nn.io import PromptBatch
from keepsight.nn.prompt_drawing import draw_prompts

GRID, SIZE = (16, 16), 64


def drawn(points: list[list[float]], labels: list[int], earlier: torch.Tensor | None = None) -> torch.Tensor:
    prompts = PromptBatch(
        torch.tensor([points]).reshape(1, -1, 2), torch.tensor([labels], dtype=torch.int32), earlier
    )
    logits = draw_prompts(prompts, GRID, SIZE).mask_logits
    assert logits is not None
    assert logits.shape == (1, 1, *GRID)
    return logits[0, 0]


def test_a_box_marks_its_inside() -> None:
    logits = drawn([[8, 16], [40, 60]], [2, 3])
    expected = torch.zeros(GRID, dtype=torch.bool)
    expected[4:15, 2:10] = True
    assert torch.equal(logits > 0, expected)
    assert torch.equal(logits < 0, ~expected)


def test_clicks_mark_their_surroundings_by_sign() -> None:
    logits = drawn([[10, 50], [50, 10]], [1, 0])
    assert divmod(int(logits.argmax()), 16) == (12, 2)
    assert divmod(int(logits.argmin()), 16) == (2, 12)
    assert logits[8, 8].abs() < 1e-3


def test_padding_draws_nothing() -> None:
    assert not drawn([[10, 50]], [-1]).any()
    assert not drawn([], []).any()


def test_a_click_in_a_box_and_on_an_earlier_answer_adds_up() -> None:
    earlier = torch.randn(1, 1, *GRID)
    box, click = drawn([[8, 16], [40, 60]], [2, 3]), drawn([[20, 20]], [0])
    both = drawn([[8, 16], [40, 60], [20, 20]], [2, 3, 0], earlier)
    torch.testing.assert_close(both, earlier[0, 0] + box + click)


def test_objects_do_not_mix() -> None:
    points = torch.tensor([[[8.0, 16.0], [40.0, 60.0]], [[30.0, 30.0], [0.0, 0.0]]])
    logits = draw_prompts(PromptBatch(points, torch.tensor([[2, 3], [1, -1]])), GRID, SIZE).mask_logits
    assert logits is not None
    assert torch.equal(logits[0, 0], drawn([[8, 16], [40, 60]], [2, 3]))
    torch.testing.assert_close(logits[1, 0], drawn([[30, 30]], [1]))
