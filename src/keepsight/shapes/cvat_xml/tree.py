"""XML whose elements know where they stand, so that a file is changed in places and else stays as it is."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from xml.parsers import expat

from keepsight.errors import AnnotationError

__all__ = ["Edit", "Element", "edited", "parsed", "start_tag_end"]

_START_TAG = re.compile(rb"""<[^\s/>]+(?:\s+[^\s=/>]+\s*=\s*(?:"[^"]*"|'[^']*'))*\s*/?>""")


@dataclass(eq=False)
class Element:
    """An element and where its bytes lie.

    Attributes:
        tag: its name.
        attributes: in the order of the file.
        start: its first byte.
        end: the byte after it.
        text: what stands in it beside elements.
        children: the elements in it.
    """

    tag: str
    attributes: dict[str, str]
    start: int
    end: int = 0
    text: str = ""
    children: list["Element"] = field(default_factory=list)

    def __iter__(self) -> Iterator["Element"]:
        return iter(self.children)

    def find(self, path: str) -> "Element | None":
        """The first element of a path such as "meta/task"."""
        found: Element | None = self
        for tag in path.split("/"):
            found = next((child for child in found or () if child.tag == tag), None)
        return found

    def text_of(self, path: str) -> str:
        """The text of the first element of a path, without spaces around it; empty where there is none."""
        found = self.find(path)
        return found.text.strip() if found is not None else ""


class Edit(NamedTuple):
    """Bytes to be put in the place of others; an empty stretch to put them between two."""

    start: int
    end: int
    content: bytes


def parsed(data: bytes, name: str) -> Element:
    """The tree of an XML file in UTF-8.

    Args:
        data: the file.
        name: for messages.

    Raises:
        AnnotationError: it is no XML, of another encoding, or declares a document type: entities are how a
            small file grows without bound, and CVAT declares none.
    """
    root = Element("", {}, 0)
    path = [root]
    parser = expat.ParserCreate()
    parser.ordered_attributes = True

    def start(tag: str, attributes: list[str]) -> None:
        pairs = dict(zip(attributes[::2], attributes[1::2], strict=True))
        path.append(Element(tag, pairs, parser.CurrentByteIndex))
        path[-2].children.append(path[-1])

    def end(_tag: str) -> None:
        element = path.pop()
        element.end = start_tag_end(data, element)
        if data[element.end - 2 : element.end] != b"/>":
            element.end = data.index(b">", parser.CurrentByteIndex) + 1

    def text(content: str) -> None:
        path[-1].text += content

    def declared(encoding: str | None) -> None:
        if encoding is not None and encoding.lower() not in ("utf-8", "utf8", "us-ascii"):
            raise AnnotationError(f"{name}: expected XML in UTF-8, as CVAT writes it, but got {encoding}.")

    def refused(*_: object) -> None:
        raise AnnotationError(f"{name}: expected CVAT's XML, but it declares a document type.")

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = text
    parser.XmlDeclHandler = lambda _version, encoding, _standalone: declared(encoding)
    parser.StartDoctypeDeclHandler = refused
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        declared("UTF-16")
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise AnnotationError(f"{name} is not well-formed XML: {error}.") from error
    return root.children[0]


def start_tag_end(data: bytes, element: Element) -> int:
    """The byte after an element's start tag; a ">" within an attribute does not end it."""
    found = _START_TAG.match(data, element.start)
    return found.end() if found else data.index(b">", element.start) + 1


def edited(data: bytes, edits: Sequence[Edit]) -> bytes:
    """The bytes with all edits made; they must not overlap."""
    parts, place = [], 0
    for edit in sorted(edits, key=lambda edit: (edit.start, edit.end)):
        parts += [data[place : edit.start], edit.content]
        place = edit.end
    return b"".join([*parts, data[place:]])
