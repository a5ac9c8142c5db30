"""The project as files of other programs, and their files into the project.

formats.py    which there are
outgoing.py   the project, frame by frame, for the writers of keepsight.export
incoming.py   what a file holds, as objects and shapes
placing.py    which frames its files belong to
cvat.py       CVAT's XML 1.1, written and read
coco.py       COCO and YouTube-VIS JSON, read
davis.py      DAVIS palette PNGs in a zip, read
jsonlines.py  keepsight's JSON lines, read
"""

from keepsight.apps.annotator.exchange.formats import FORMATS, read_file, write_file
from keepsight.apps.annotator.exchange.incoming import Incoming

__all__ = ["FORMATS", "Incoming", "read_file", "write_file"]
