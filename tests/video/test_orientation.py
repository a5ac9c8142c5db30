import struct

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from keepsight.video.orientation import Orientation


@given(
    st.sampled_from([(1, 0, 0, 1), (0, 1, -1, 0), (-1, 0, 0, -1), (0, -1, 1, 0), (-1, 0, 0, 1), (0, 1, 1, 0)])
)
def test_display_matrix_moves_each_pixel_as_written(matrix: tuple[int, int, int, int]) -> None:
    a, b, c, d = matrix
    image = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    packed = struct.pack("=9i", a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
    upright = Orientation.from_display_matrix(packed).apply(image)
    points = [(a * x + c * y, b * x + d * y) for y in range(2) for x in range(3)]
    left, top = (min(values) for values in zip(*points, strict=True))
    for (x, y), pixel in zip(points, image.reshape(-1, 3), strict=True):
        np.testing.assert_array_equal(upright[y - top, x - left], pixel)


def test_matrix_that_is_none_changes_nothing() -> None:
    assert Orientation.from_display_matrix(b"short") == Orientation()
