"""Drop-ins: keepsight behind the interfaces that other people's programs are written for.

`keepsight.compat.sam2` stands in for the video predictor of Meta's `sam2` package,
`keepsight.compat.sam3_tracker_video` and `keepsight.compat.sam2_video` for transformers' video classes.
"""
