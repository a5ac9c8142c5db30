"""An object that becomes another kind while there are clicks on it: nothing of the old kind is left."""

import threading
from typing import Any

import numpy as np
import pytest

from keepsight.apps.annotator.errors import BusyError
from keepsight.apps.annotator.exchange.incoming import Figure, Incoming
from keepsight.apps.annotator.studio import Studio
from keepsight.shapes import figure_to_mask
from tests.apps.annotator.rooms import SIZE, Stepping, opened_studio, square, wait_for, write_clip
from tests.toy import centre


@pytest.mark.parametrize("kind", ["polygon", "rectangle"])
def test_clicks_can_be_taken_back_and_added_to_in_the_new_kind(studio: Studio, kind: Any) -> None:
    subject, _ = studio.add_subject("rectangle")
    before, _ = studio.draw(subject.id, 3, square(1, 3))
    studio.change_subject(subject.id, {"kind": "mask"})
    studio.prompt(subject.id, 3, [centre(1, 3)], [1], None)
    studio.change_subject(subject.id, {"kind": kind})
    more, said, _ = studio.prompt(subject.id, 3, [centre(1, 3)], [1], None)
    assert figure_to_mask(kind, more.points, *SIZE).any()
    assert len(said.points) == 2
    back, _ = studio.unprompt(subject.id, 3)
    assert back is not None
    np.testing.assert_array_equal(
        figure_to_mask(kind, back.points, *SIZE), figure_to_mask("rectangle", before.points, *SIZE)
    )


def test_a_click_that_is_being_answered_meanwhile_is_refused(tmp_path: Any) -> None:
    network = Stepping()
    with opened_studio(write_clip(tmp_path / "clip"), network=network) as studio:
        subject, _ = studio.add_subject("mask")
        said: list[Any] = []

        def click() -> None:
            try:
                said.append(studio.prompt(subject.id, 2, [centre(1, 2)], [1], None))
            except BusyError as error:
                said.append(str(error))

        network.hold()
        thread = threading.Thread(target=click)
        thread.start()
        wait_for(lambda: network.waiting)
        studio.change_subject(subject.id, {"kind": "polygon"})
        network.release()
        thread.join(60)
        assert said == [f"{subject.name} became a polygon before the click was answered. Click again."]
        assert studio.project.shapes(number=subject.id) == []


def test_many_objects_come_in_with_every_colour_as_often(studio: Studio) -> None:
    figure = Figure(0, tuple(square(0, 0)))
    objects = [Incoming(f"thing {n}", "rectangle", [figure]) for n in range(240)]
    count, _ = studio.take_in(objects, "many")
    assert count == 240
    colours = [subject.colour for subject in studio.project.subjects()]
    assert {colours.count(colour) for colour in set(colours)} == {20}
