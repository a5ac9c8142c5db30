"""The documented interface, tried with whatever fits it and whatever does not."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from keepsight.apps.annotator.frames import FrameShelf
from keepsight.apps.annotator.server.app import build_app
from keepsight.apps.annotator.server.gate import Door
from tests.apps.annotator.desks import MODELS
from tests.apps.annotator.rooms import clicked, contents, finished, opened_studio, write_clip

EXAMPLES = 50
# 500 is documented nowhere, so the first of these finds it. What fits the documented form may still make no
# sense (400), not be there (404) or come too early (409).
CHECKS = [
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
]


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder: Path = write_clip(tmp_path_factory.mktemp("fuzz") / "clip")
    with opened_studio(folder) as studio:
        for i, kind in enumerate(("mask", "polygon", "rectangle"), 1):
            clicked(studio, kind, i)
        shelf = FrameShelf(studio.clip.opened(), studio.clip.frames)
        app = build_app(studio, shelf, "24-80x48-1000", MODELS, Door("testserver", 80))
        yield schemathesis.openapi.from_asgi("/api/openapi.json", app)
        shelf.close()
        finished(studio)
        assert studio.project._link.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert studio.project._link.execute("PRAGMA foreign_key_check").fetchall() == []
        contents(studio.project)


@pytest.mark.slow
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_whatever_is_sent_the_answer_is_one_that_is_documented(api: Any, mode: GenerationMode) -> None:
    for found in api.get_all_operations():
        try_out(found.ok(), mode)


@pytest.mark.slow
@pytest.mark.parametrize("number", [1, 2, 3])
def test_objects_that_are_there_survive_it_too(api: Any, number: int) -> None:
    for found in api.get_all_operations():
        operation = found.ok()
        if "{number}" in operation.path and operation.method.upper() != "DELETE":
            try_out(operation, GenerationMode("positive"), path_parameters={"number": number})


def try_out(operation: Any, mode: GenerationMode, **fixed: Any) -> None:
    """Sends one route whatever hypothesis thinks of; schemathesis' own pytest plugin is behind pytest 9."""

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode, **fixed))
    def sent(case: Any) -> None:
        case.call_and_validate(checks=CHECKS)

    try:
        sent()
    except Unsatisfiable:
        assert mode is GenerationMode.NEGATIVE  # a route that takes nothing cannot be sent anything wrong
