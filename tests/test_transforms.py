"""What a network gets to see of a frame."""

import numpy as np
import pytest
import torch
from PIL import Image

from keepsight.nn.io import InputSpec
from keepsight.transforms import image_to_input
from keepsight.types import ImageArray

CPU = torch.device("cpu")


def plain(side: int, *, as_reference: bool) -> InputSpec:
    return InputSpec(side, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), as_reference)


def picture(height: int, width: int) -> ImageArray:
    """Edges, ramps and noise in three colours."""
    y, x = np.mgrid[:height, :width]
    planes = (
        255 * ((x // 7 + y // 5) % 2),
        255 * x // width,
        np.random.default_rng(0).integers(0, 256, x.shape),
    )
    return np.stack(planes, axis=-1).astype(np.uint8)


@pytest.mark.parametrize("size", [(480, 854), (1080, 1920), (96, 100)])
@pytest.mark.parametrize("side", [384, 1024])
@pytest.mark.parametrize("exact", [True, False])
def test_a_frame_is_resized_as_the_reference_does_it(size: tuple[int, int], side: int, exact: bool) -> None:
    image = picture(*size)
    expected = np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC), int)
    found = image_to_input(image, plain(side, as_reference=exact), CPU)
    assert found.shape == (1, 3, side, side)
    off = np.abs((255 * found[0]).round().permute(1, 2, 0).numpy().astype(int) - expected)
    assert off.max() <= (0 if exact else 2)
    assert (off > 0).mean() < 0.02


@pytest.mark.parametrize("exact", [True, False])
def test_a_frame_of_the_right_size_stays_as_it_is(exact: bool) -> None:
    image = picture(32, 32)
    found = image_to_input(image, plain(32, as_reference=exact), CPU)
    assert np.array_equal((255 * found[0]).round().permute(1, 2, 0).numpy(), image)


def test_values_are_centred_and_scaled() -> None:
    image = np.full((8, 8, 3), (0, 51, 255), np.uint8)
    found = image_to_input(image, InputSpec(4, (0.5, 0.2, 0.0), (0.5, 0.1, 2.0)), CPU)
    torch.testing.assert_close(found[0, :, 0, 0], torch.tensor([-1.0, 0.0, 0.5]))


@pytest.mark.parametrize("exact", [True, False])
def test_read_only_and_mirrored_frames_are_taken_and_left_as_they_are(exact: bool) -> None:
    image, spec = picture(40, 60), plain(32, as_reference=exact)
    expected = image_to_input(image[:, ::-1].copy(), spec, CPU)
    image.flags.writeable = False
    before = image.copy()
    assert torch.equal(image_to_input(image[:, ::-1], spec, CPU), expected)
    assert np.array_equal(image, before)
