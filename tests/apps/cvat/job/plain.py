"""CVAT's XML 1.1 the slow and plain way: written as CVAT's exporter writes it, read as its importer reads it.

After cvat/apps/dataset_manager/formats/cvat.py (`dump_as_cvat_interpolation`, `dump_as_cvat_annotation`,
`load_anno`), in words of our own.
"""

from collections.abc import Sequence
from typing import Any
from xml.etree import ElementTree
from xml.sax.saxutils import escape

__all__ = ["exported_images", "exported_video", "imported"]

META = """<meta>
    <task>
      <id>42</id>
      <name>clip &amp; co</name>
      <size>{size}</size>
      <mode>interpolation</mode>
      <start_frame>{first}</start_frame>
      <stop_frame>{last}</stop_frame>
      <frame_filter>{rule}</frame_filter>
      <labels>
        <label>
          <name>car</name>
          <attributes>
            <attribute>
              <name>colour</name><mutable>False</mutable><input_type>text</input_type>
              <default_value>grey</default_value><values>grey</values>
            </attribute>
            <attribute>
              <name>seen</name><mutable>True</mutable><input_type>text</input_type>
              <default_value>yes</default_value><values>yes</values>
            </attribute>
          </attributes>
        </label>
        <label><name>dog</name><attributes></attributes></label>
      </labels>
      <original_size><width>{width}</width><height>{height}</height></original_size>
    </task>
    <dumped>2026-01-01</dumped>
  </meta>"""
HEAD = '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n  '


def exported_video(
    objects: Sequence[dict[str, Any]], size: tuple[int, int], first: int = 0, last: int = 9, step: int = 1
) -> bytes:
    """Objects as "CVAT for video 1.1": tracks have "keyframes", shapes a "frame"; both have an outline."""
    meta = META.format(
        size=(last - first) // step + 1,
        first=first,
        last=last,
        rule=f"step={step}" if step > 1 else "",
        width=size[0],
        height=size[1],
    )
    tracks = [_track(number, one, last, step) for number, one in enumerate(objects)]
    return (HEAD + meta + "".join(f"\n  {track}" for track in tracks) + "\n</annotations>\n").encode()


def exported_images(
    objects: Sequence[dict[str, Any]], size: tuple[int, int], frames: Sequence[int], name: str = "{}.png"
) -> bytes:
    """Shapes as "CVAT for images 1.1"."""
    meta = META.format(
        size=len(frames), first=0, last=max(frames), rule="", width=size[0], height=size[1]
    ).replace("interpolation", "annotation")
    images = ""
    for frame in frames:
        inside = "".join(f"\n    {_tag(one, _label_first(one))}" for one in objects if one["frame"] == frame)
        start = f'<image id="{frame}" name="{name.format(frame)}" width="{size[0]}" height="{size[1]}">'
        images += f"\n  {start}{inside}\n  </image>"
    return (HEAD + meta + images + "\n</annotations>\n").encode()


def imported(data: bytes) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Tracks and shapes as CVAT imports them: only keyframes count, and of a track of masks the first one."""
    tracks, shapes = [], []
    for element in ElementTree.fromstring(data):
        if element.tag == "track":
            keyframes = [_read(child) for child in element if child.attrib["keyframe"] == "1"]
            track = {
                "label": element.attrib["label"],
                "group": int(element.attrib.get("group_id", 0)),
                "keyframes": keyframes,
            }
            if keyframes[0]["kind"] == "mask":
                shapes.append({"label": track["label"], **keyframes[0]})
            else:
                tracks.append(track)
        elif element.tag == "image":
            for child in element:
                frame = {"frame": int(element.attrib["id"]), "label": child.attrib["label"]}
                shapes.append({**_read(child), **frame, "group": int(child.attrib.get("group_id", 0))})
    return tracks, shapes


def _read(element: ElementTree.Element) -> dict[str, Any]:
    given = element.attrib
    if element.tag == "box":
        points = [float(given[edge]) for edge in ("xtl", "ytl", "xbr", "ybr")]
    elif element.tag == "mask":
        left, top, width, height = (int(given[side]) for side in ("left", "top", "width", "height"))
        points = [*map(float, given["rle"].split(",")), left, top, left + width - 1, top + height - 1]
    else:
        points = [float(part) for pair in given["points"].split(";") for part in pair.split(",")]
    return {
        "kind": {"box": "rectangle"}.get(element.tag, element.tag),
        "frame": int(given.get("frame", -1)),
        "outside": given.get("outside", "0") == "1",
        "occluded": given.get("occluded", "0") == "1",
        "z_order": int(given.get("z_order", 0)),
        "rotation": float(given.get("rotation", 0)),
        "points": points,
        "attributes": {a.attrib["name"]: a.text or "" for a in element},
    }


def _track(number: int, one: dict[str, Any], last: int, step: int) -> str:
    keyframes = one.get("keyframes")
    if keyframes is None:
        keyframes = [{"frame": one["frame"]}]
        keyframes += [{"frame": one["frame"] + step, "outside": True}] if one["frame"] + step < last else []
        entries = [{**one, **keyframe, "keyframe": True} for keyframe in keyframes]
    else:
        entries = _interpolated([{**one, **keyframe} for keyframe in keyframes], last, step)
    group = f' group_id="{one["group"]}"' if one.get("group") else ""
    inside = "".join(f"\n    {_tag(entry, _frame_first(entry))}" for entry in entries)
    source = one.get("source", "manual")
    return f'<track id="{number}" label="{one["label"]}" source="{source}"{group}>{inside}\n  </track>'


def _interpolated(keyframes: list[dict[str, Any]], last: int, step: int) -> list[dict[str, Any]]:
    """Keyframes with the figures between them; none after an outside one. Rectangles only."""
    entries = []
    for one, two in zip(keyframes, [*keyframes[1:], None], strict=True):
        entries.append({**one, "keyframe": True})
        end = last + 1 if two is None else two["frame"]
        for frame in range(one["frame"] + step, end, step) if not one.get("outside") else ():
            share = 0.0 if two is None else (frame - one["frame"]) / (two["frame"] - one["frame"])
            moved = [a + (b - a) * share for a, b in zip(one["points"], (two or one)["points"], strict=True)]
            entries.append({**one, "frame": frame, "points": moved, "keyframe": False})
    return entries


def _frame_first(one: dict[str, Any]) -> str:
    outside = int(one.get("outside", False))
    return f' frame="{one["frame"]}" keyframe="{int(one["keyframe"])}" outside="{outside}"'


def _label_first(one: dict[str, Any]) -> str:
    return f' label="{one["label"]}" source="{one.get("source", "manual")}"'


def _tag(one: dict[str, Any], first: str) -> str:
    points, kind = one["points"], one["kind"]
    if kind == "rectangle":
        edges = zip(("xtl", "ytl", "xbr", "ybr"), points, strict=True)
        outline = "".join(f' {edge}="{value:.2f}"' for edge, value in edges)
        outline += f' rotation="{one["rotation"]:.2f}"' if one.get("rotation") else ""
    elif kind == "mask":
        *runs, left, top, right, bottom = points
        outline = f' rle="{", ".join(map(str, runs))}" left="{left}" top="{top}"'
        outline += f' width="{right - left + 1}" height="{bottom - top + 1}"'
    else:
        pairs = zip(points[::2], points[1::2], strict=True)
        outline = f' points="{";".join(f"{x:.2f},{y:.2f}" for x, y in pairs)}"'
    tag = {"rectangle": "box"}.get(kind, kind)
    flags = f' occluded="{int(one.get("occluded", False))}"'
    order = f' z_order="{one.get("z_order", 0)}"'
    group = f' group_id="{one["group"]}"' if one.get("group") and " label=" in first else ""
    inside = "".join(
        f'\n      <attribute name="{name}">{escape(value)}</attribute>'
        for name, value in one.get("attributes", {}).items()
    )
    return f"<{tag}{first}{flags}{outline}{order}{group}>{inside}</{tag}>"
