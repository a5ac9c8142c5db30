"""CVAT's XML 1.1, as far as more than one app needs it: CVAT's jobs and the annotator both read and write it.

tree.py     elements with their places in the file, and edits at these places
outline.py  outlines as attributes, and back
"""

from keepsight.shapes.cvat_xml.outline import (
    SHAPE_TAGS,
    TAGS,
    number_in,
    outline_in,
    outline_of,
    text_in,
    whole_in,
    whole_number,
)
from keepsight.shapes.cvat_xml.tree import Edit, Element, edited, parsed, start_tag_end

__all__ = [
    "SHAPE_TAGS",
    "TAGS",
    "Edit",
    "Element",
    "edited",
    "number_in",
    "outline_in",
    "outline_of",
    "parsed",
    "start_tag_end",
    "text_in",
    "whole_in",
    "whole_number",
]
