"""Shapes: polygons, rectangles and CVAT's masks, from bool masks and to them.

figure.py           shapes of any kind, as prompts and pixels
polygon.py          polygon to mask and back
rectangle.py        rectangle to mask and back
cvat_rle.py         CVAT's run-length code
cvat_xml/           CVAT's XML: elements and outlines
filling.py          the pixels inside a ring
outline.py          the ring around a mask's pixels
alignment.py        where a ring begins
simplification.py   fewer vertices
extent.py           where in the frame a mask lies
"""

from keepsight.shapes import cvat_rle
from keepsight.shapes.figure import figure_to_mask, figure_to_prompt, mask_to_figure
from keepsight.shapes.polygon import Parts, mask_to_polygon, polygon_to_mask
from keepsight.shapes.rectangle import mask_to_rectangle, rectangle_corners, rectangle_to_mask

__all__ = [
    "Parts",
    "cvat_rle",
    "figure_to_mask",
    "figure_to_prompt",
    "mask_to_figure",
    "mask_to_polygon",
    "mask_to_rectangle",
    "polygon_to_mask",
    "rectangle_corners",
    "rectangle_to_mask",
]
