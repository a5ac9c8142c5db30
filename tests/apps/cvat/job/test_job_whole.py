"""Whole runs with the embedded model, on DAVIS through a server and on a rendered clip through files."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image
from rich.console import Console

from keepsight.apps.cli.demo_clip import render_clip
from keepsight.apps.cvat.job.options import CvatTrackOptions
from keepsight.apps.cvat.job.run import Outcome, run
from keepsight.shapes import cvat_rle, mask_to_polygon, mask_to_rectangle, polygon_to_mask, rectangle_to_mask
from tests.apps.cvat.job.conftest import drawn
from tests.apps.cvat.job.cvat_server import CvatServer, running
from tests.apps.cvat.job.plain import exported_video, imported

DAVIS = Path(__file__).parents[5] / "shared/data/davis/val"
Truth = list[npt.NDArray[np.bool_]]


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def sequence(name: str, count: int) -> tuple[list[npt.NDArray[np.uint8]], Truth]:
    if not DAVIS.exists():
        pytest.skip(f"needs the shared data, {DAVIS}")
    files = sorted((DAVIS / "JPEGImages/480p" / name).glob("*.jpg"))[:count]
    frames = [np.asarray(Image.open(file).convert("RGB")) for file in files]
    masks = sorted((DAVIS / "Annotations/480p" / name).glob("*.png"))[:count]
    return frames, [np.asarray(Image.open(file).convert("L")) > 0 for file in masks]


def pixels(shape: Any, like: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    kind = shape.get("type") or shape["kind"]
    if kind == "mask":
        return cvat_rle.decode(shape["points"], *like.shape)
    if kind == "rectangle":
        return rectangle_to_mask(shape["points"], *like.shape)
    return polygon_to_mask(shape["points"], *like.shape)


def overlap(a: npt.NDArray[np.bool_], b: npt.NDArray[np.bool_]) -> float:
    return float((a & b).sum() / max(1, (a | b).sum()))


def box_of(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    rectangle = mask_to_rectangle(mask)
    assert rectangle is not None
    return rectangle_to_mask(rectangle, *mask.shape)


def track(server: CvatServer, start: int, *targets: int, **options: Any) -> Outcome:
    chosen = CvatTrackOptions(
        start, [*targets] or None, job=7, server_host=server.url, device="cpu", dtype="float32", **options
    )
    return run(chosen, Console(quiet=True))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["car-shadow", "blackswan"])
def test_davis_through_a_server(name: str) -> None:
    pytest.importorskip("cvat_sdk", reason="needs cvat-sdk (in the test extra, from Python 3.11 on)")
    frames, truth = sequence(name, 12)
    polygon, rectangle = mask_to_polygon(truth[6]), mask_to_rectangle(truth[6])
    with running(CvatServer(frames, deleted=(3,))) as server:
        server.put(
            shapes=[
                drawn("polygon", 2, 6, points=polygon),
                drawn("rectangle", 2, 6, points=rectangle),
                drawn("mask", 2, 6, points=cvat_rle.encode(truth[6])),
            ]
        )
        track(server, 6, 10, 1, convert_polygons_to_tracks=True)
        first = server.read()
        scores: dict[str, list[float]] = {"polygon": [], "rectangle": [], "mask": []}
        written = [k for made in first["tracks"] for k in made["shapes"]] + first["shapes"]
        for shape in written:
            seen = truth[shape["frame"]]
            seen = box_of(seen) if shape["type"] == "rectangle" else seen
            if not shape["outside"]:
                scores[shape["type"]].append(overlap(pixels(shape, seen), seen))
        for kind, values in scores.items():
            assert len(values) == 9, kind  # 1 to 10 without 3
            assert np.mean(values) > 0.75, (kind, values)
        assert {k["frame"] for k in first["tracks"][0]["shapes"] if k["outside"]} == {11}
        corners = [
            len(k["points"]) // 2 for t in first["tracks"] for k in t["shapes"] if k["type"] == "polygon"
        ]
        assert max(corners) < 400
        outcome = track(server, 6, 10, 1)
        assert not outcome.changes


@pytest.mark.slow
def test_a_correction_on_davis_holds_and_helps() -> None:
    pytest.importorskip("cvat_sdk", reason="needs cvat-sdk (in the test extra, from Python 3.11 on)")
    frames, truth = sequence("camel", 12)
    head = truth[0].copy()
    head[:, : head.any(axis=0).nonzero()[0].mean().astype(int)] = False  # half of the camel only
    with running(CvatServer(frames)) as server:
        server.put(shapes=[drawn("polygon", 2, 0, points=mask_to_polygon(head))])
        track(server, 0, convert_polygons_to_tracks=True)
        before = server.annotations["tracks"][0]["shapes"]
        wrong = [overlap(pixels(k, t), t) for k, t in zip(before, truth, strict=True)]
        before[5]["points"] = corrected = mask_to_polygon(truth[5])
        server.annotations["tracks"][0]["source"] = "semi-auto"
        track(server, 5)
        after = server.read()["tracks"][0]["shapes"]
        right = [overlap(pixels(k, t), t) for k, t in zip(after, truth, strict=True)]
    assert after[5]["points"] == corrected
    assert right[:5] == wrong[:5]
    assert np.mean(right[6:]) > np.mean(wrong[6:]) + 0.2


@pytest.mark.slow
def test_a_rendered_clip_through_files(tmp_path: Path) -> None:
    clip = [shot for place, shot in enumerate(render_clip()) if place < 24]
    folder = tmp_path / "clip"
    folder.mkdir()
    for number, shot in enumerate(clip):
        Image.fromarray(shot.image).save(folder / f"{number:03}.png")
    size = clip[0].image.shape[1], clip[0].image.shape[0]
    polygon = mask_to_polygon(clip[12].truth)
    objects = [{"label": "dog", "kind": "polygon", "frame": 12, "points": polygon}]
    source, output = tmp_path / "in.xml", tmp_path / "out.xml"
    source.write_bytes(exported_video(objects, size, last=23))
    options = CvatTrackOptions(
        12,
        [22, 2],
        convert_polygons_to_tracks=True,
        annotations=source,
        video=str(folder),
        output=output,
        device="cpu",
        dtype="float32",
    )
    run(options, Console(quiet=True))
    (made,), shapes = imported(output.read_bytes())
    assert shapes == []
    assert [k["frame"] for k in made["keyframes"]] == list(range(2, 24))
    assert made["keyframes"][-1]["outside"]
    scores = [
        overlap(pixels(k, clip[k["frame"]].truth), clip[k["frame"]].truth) for k in made["keyframes"][:-1]
    ]
    assert np.mean(scores) > 0.8, scores
