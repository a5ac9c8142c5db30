"""Sessions on a toy network: objects are independent, corrections hold, memory is bounded."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from keepsight.errors import PromptError, SourceError, UnknownObjectError, UsageError
from keepsight.nn.io import ImageFeatures, MaskCandidates, MemoryBatch, PromptBatch
from keepsight.session import PreparedFrame, Session
from keepsight.transforms import image_to_input
from keepsight.types import Box, Frame, Mask, Points, Prompt
from tests.toy import COLOURS, SIZE, ToyNetwork, blob_frame, centre, click, equal, overlap, same


def test_follows_objects_and_says_when_one_is_gone() -> None:
    session = Session(ToyNetwork())
    session.step(blob_frame(0), {**click(1), **click(2)})
    for index in range(1, 12):
        hidden = (2,) if 4 <= index < 8 else ()
        result = session.step(blob_frame(index, hidden))
        assert result.index == index
        assert overlap(result, 1) > 0.4
        assert result[2].visible == (not hidden)
        assert (result[2].presence < 0.5) == bool(hidden)
        assert result[2].mask.any() == (not hidden)
    assert overlap(result, 2) > 0.4


@pytest.mark.parametrize(
    "prompt", [Points([centre(1, 0)]), Box(10, 4, 22, 16), [Box(10, 4, 22, 16), Points([(40, 40)], [0])]]
)
def test_every_kind_of_prompt_starts_an_object(prompt: Prompt) -> None:
    assert overlap(Session(ToyNetwork()).step(blob_frame(0), {1: prompt}), 1) > 0.5


def test_a_mask_prompt_is_the_answer() -> None:
    mask = np.zeros((48, 80), dtype=np.uint8)
    mask[4:16, 10:22] = 255
    result = Session(ToyNetwork()).step(Image.fromarray(blob_frame(0)), {1: Mask(mask)})
    assert overlap(result, 1) > 0.7
    assert result[1].score == 1


def test_objects_do_not_influence_one_another() -> None:
    together, alone = Session(ToyNetwork()), Session(ToyNetwork())
    for index in range(10):
        late = click(2, 3) if index == 3 else {}
        result = together.step(blob_frame(index), {**(click(1) if index == 0 else {}), **late})
        expected = alone.step(blob_frame(index), click(1) if index == 0 else None)
        assert equal(result[1], expected[1])
    together.remove(2)
    assert same(together.step(blob_frame(10)), alone.step(blob_frame(10)))


def test_equal_layouts_are_one_batch_and_late_objects_join_when_theirs_is_full() -> None:
    network = ToyNetwork()
    session = Session(network)
    session.step(blob_frame(0), {**click(1), **click(2)})
    session.step(blob_frame(1))
    assert network.batches[-1] == 2
    session.step(blob_frame(2), click(3, 2))
    for index in range(3, 40):
        network.batches.clear()
        session.step(blob_frame(index))
    assert network.batches == [3]


def test_a_correction_changes_the_frame_and_what_follows() -> None:
    session = Session(ToyNetwork())
    session.step(blob_frame(0), click(1))
    session.step(blob_frame(1))
    corrected = session.prompt({1: Points([centre(2, 1)])})
    x, y = centre(2, 1)
    assert corrected[1].mask[y, x]
    conditioning = session.snapshot().tracks[1].after.bank.conditioning
    assert [e.frame for e in conditioning] == [0, 1]
    for index in range(2, 30):
        session.step(blob_frame(index))
    kept = session.snapshot().tracks[1].after.bank.conditioning
    assert all(a is b for a, b in zip(kept, conditioning, strict=True))


def test_clicks_add_up_unless_they_replace() -> None:
    session = Session(ToyNetwork())
    session.step(blob_frame(0), click(1))
    session.prompt({1: Points([(70, 40)], [0])})
    assert len(session.snapshot().tracks[1].prompted[0].clicks.xy) == 2
    session.prompt({1: Box(10, 4, 22, 16)})
    assert session.snapshot().tracks[1].prompted[0].clicks.as_points()[1].tolist() == [2, 3, 1, 0]
    session.prompt(click(1), replace=True)
    assert session.snapshot().tracks[1].prompted[0].clicks.as_points()[1].tolist() == [1]


def test_restoring_a_snapshot_gives_the_same_masks_again() -> None:
    session = Session(ToyNetwork())
    session.step(blob_frame(0), {**click(1), **click(2)})
    for index in range(1, 9):
        session.step(blob_frame(index))
    state = session.snapshot()
    first = [session.step(blob_frame(index)) for index in range(9, 15)]
    session.remove(1)
    session.restore(state)
    second = [session.step(blob_frame(index)) for index in range(9, 15)]
    assert all(same(a, b) for a, b in zip(first, second, strict=True))
    other = Session(ToyNetwork())
    other.restore(state)
    assert same(other.step(blob_frame(9)), first[0])


def test_frames_before_any_prompt_are_not_encoded() -> None:
    session = Session(ToyNetwork())
    assert len(session.step(blob_frame(0))) == 0
    assert len(session.step(blob_frame(1), click(1, 1))) == 1


def tensors(value: Any) -> dict[int, int]:
    """Storage sizes of every tensor that a state holds, by address."""
    from keepsight.api.archive import _mapped

    found: dict[int, int] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        found[storage.data_ptr()] = storage.nbytes()
        return tensor

    _mapped(value, torch.Tensor, note)
    return found


def test_memory_does_not_grow_over_ten_thousand_frames() -> None:
    session = Session(ToyNetwork())
    frames = [blob_frame(index) for index in range(24)]
    sizes = []
    for index in range(10_000):
        session.step(frames[index % 24], click(1) if index == 0 else None)
        if index in (40, 9_999):
            sizes.append(sum(tensors(session.snapshot()).values()))
            recent = session.snapshot().tracks[1].after.bank.recent
            assert len(recent) == 15
            assert sum(e.map is not None for e in recent) == 6
    assert sizes[0] == sizes[1]


def test_backward_sessions_count_down() -> None:
    session = Session(ToyNetwork(), start=9, reverse=True)
    session.step(blob_frame(9), click(1, 9))
    results = [session.step(blob_frame(index)) for index in range(8, 3, -1)]
    assert [r.index for r in results] == [8, 7, 6, 5, 4]
    assert all(overlap(r, 1) > 0.4 for r in results)


BAD_PROMPTS: list[tuple[Any, str]] = [
    ({1: Box(100, 100, 120, 120)}, r"meets the frame of 80x48.*\(100, 100, 120, 120\)"),
    ({1: Points([(90, 10)])}, r"inside the frame of 80x48.*90"),
    ({1: Mask(np.ones((3, 3)))}, r"80x48.*\(3, 3\)"),
    ({1: []}, "Points, Box, Mask"),
    ({1: [Box(0, 0, 2, 2), Box(1, 1, 3, 3)]}, "at most one box"),
    ({1: [Mask(np.ones((48, 80)))]}, "Mask"),
    ({"dog": Points([(3, 3)])}, "integers from 0.*'dog'"),
    ({-1: Points([(3, 3)])}, "integers from 0.*-1"),
]


@pytest.mark.parametrize(("prompts", "message"), BAD_PROMPTS)
def test_a_bad_prompt_is_refused_and_nothing_is_lost(prompts: Any, message: str) -> None:
    session = Session(ToyNetwork())
    session.step(blob_frame(0), click(1))
    state = session.snapshot()
    with pytest.raises(PromptError, match=message):
        session.step(blob_frame(1), {2: Points([(3, 3)]), **prompts})
    with pytest.raises(PromptError, match=message):
        session.prompt(prompts)
    assert session.snapshot() is state
    assert session.next_index == 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Box(20, 10, 10, 30), "x1 < x2"),
        (lambda: Box(0, 0, float("nan"), 3), "finite"),
        (lambda: Points([]), "at least one"),
        (lambda: Points([(1, 2)], [3]), "1 .on the object. or 0"),
        (lambda: Points([(1, 2)], [1, 1]), "one label per point"),
        (lambda: Points([(1, float("inf"))]), "finite"),
        (lambda: Mask(np.zeros((4, 4))), "empty"),
        (lambda: Mask(np.zeros((4, 4, 3))), r"\(H, W\)"),
    ],
)
def test_prompts_that_mean_nothing(make: Any, message: str) -> None:
    with pytest.raises(PromptError, match=message):
        make()


def test_bad_frames_and_calls_out_of_order() -> None:
    session = Session(ToyNetwork())
    with pytest.raises(UsageError, match="Call step first"):
        session.prompt(click(1))
    with pytest.raises(SourceError, match=r"frame 0 to be an array of shape.*\(48,\)"):
        session.step(np.zeros(48, np.uint8))
    with pytest.raises(SourceError, match="float64"):
        session.step(np.zeros((48, 80, 3)))  # type: ignore[arg-type]
    session.step(blob_frame(0), click(1))
    with pytest.raises(SourceError, match=r"80x48.*like those before it.*9x9"):
        session.step(np.zeros((9, 9, 3), np.uint8))
    with pytest.raises(UnknownObjectError, match=r"one of \[1\], but got 7"):
        session.remove(7)
    with pytest.raises(UsageError, match=r"Session\.snapshot"):
        session.restore({})  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="load_model"):
        Session("pocket")  # type: ignore[arg-type]


def test_logits_come_on_demand_and_thresholds_cut_them() -> None:
    assert Session(ToyNetwork()).step(blob_frame(0), click(1))[1].logits is None
    kept = Session(ToyNetwork(), keep_logits=True, mask_threshold=5.0).step(blob_frame(0), click(1))[1]
    assert kept.logits is not None
    assert kept.logits.dtype == np.float32
    np.testing.assert_array_equal(kept.mask, kept.logits > 5.0)
    assert len(COLOURS) == 3


class _Counting(ToyNetwork):
    """Counts how often an image is encoded and notes what was fed back to it."""

    def __init__(self) -> None:
        super().__init__()
        self.encoded = 0
        self.fed_back: list[bool] = []
        self.recalled: list[bool] = []

    def encode_image(self, pixels: torch.Tensor) -> ImageFeatures:
        self.encoded += 1
        return super().encode_image(pixels)

    def segment(
        self,
        features: ImageFeatures,
        memory: MemoryBatch | None,
        prompts: PromptBatch | None,
        *,
        multimask: bool,
        presence_threshold: float = 0.0,
    ) -> MaskCandidates:
        self.fed_back.append(prompts is not None and prompts.mask_logits is not None)
        self.recalled.append(memory is not None)
        return super().segment(
            features, memory, prompts, multimask=multimask, presence_threshold=presence_threshold
        )


def test_clicks_on_one_frame_encode_it_once_and_another_frame_anew() -> None:
    network = _Counting()
    session = Session(network)
    session.step(blob_frame(0), click(1))
    session.prompt({1: Points([(40, 40)], [0])})
    state = session.snapshot()
    session.restore(state, frame=Frame(0, None, blob_frame(0)))
    session.prompt({1: Points([(41, 40)], [0])})
    assert network.encoded == 1
    session.restore(state, frame=Frame(0, None, blob_frame(3)))
    session.prompt({1: Points([(41, 40)], [0])})
    assert network.encoded == 2


def test_without_feedback_an_answer_is_made_from_what_was_said_and_memory_where_tracking_came_by() -> None:
    network = _Counting()
    session = Session(network)
    session.step(blob_frame(0), click(1))
    session.prompt({1: Points([(40, 40)], [0])}, feedback=False)
    assert network.fed_back == [False, False]
    session.prompt({1: Points([(40, 40)], [0])})
    assert network.fed_back[-1]
    session.step(blob_frame(1))
    for _ in range(2):
        session.prompt({1: click(1, 1)[1]}, replace=True, feedback=False)
        assert (network.fed_back[-1], network.recalled[-1]) == (False, True)


def test_prepared_frames_are_tracked_like_the_pictures_they_were_made_from() -> None:
    network = ToyNetwork()
    plain, prepared = Session(network, keep_logits=True), Session(network, keep_logits=True)
    for index in range(6):
        picture = np.ascontiguousarray(np.array(Image.fromarray(blob_frame(index)).resize((SIZE, SIZE))))
        pixels = image_to_input(picture, network.input_spec, network.device)
        said = {1: Points([(16 / 80 * SIZE, 10 / 48 * SIZE)])} if index == 0 else None
        expected = plain.step(picture, said)
        found = prepared.step(PreparedFrame.of(99, pixels[0]), said)
        assert found.index == index
        assert found.image.shape == picture.shape
        assert not found.image.any()
        assert equal(found[1], expected[1])
        assert found[1].mask.any()


def test_a_decoded_frame_brings_its_time() -> None:
    session = Session(ToyNetwork())
    assert session.step(Frame(7, Fraction(1, 3), blob_frame(0))).time == Fraction(1, 3)
    assert session.step(Frame(7, Fraction(1, 3), blob_frame(0)), time=Fraction(2)).time == 2
    assert session.result().index == 1
