"""Drop-ins: keepsight behind the interfaces that other people's programs are written for.

`keepsight.compat.sam2` stands in for the video predictor of Meta's `sam2` package.
"""
