"""Passes over a video as SAM 2's predictor and its followers count their frames."""

__all__ = ["frame_order"]


def frame_order(start: int, most: int | None, frames: int, *, reverse: bool) -> range:
    """The frames of a pass: the first and at most `most` after it; backward from frame 0 none.

    Args:
        start: the first frame.
        most: how many to go on; None for all.
        frames: how many the video has.
        reverse: towards frame 0.
    """
    most = frames if most is None else most
    if reverse:
        return range(start, max(start - most, 0) - 1, -1) if start > 0 else range(0)
    return range(start, min(start + most, frames - 1) + 1)
