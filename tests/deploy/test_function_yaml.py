"""The function files, read as CVAT's lambda manager and its deploy scripts read them."""

import importlib.util
import re
from dataclasses import fields
from importlib.metadata import metadata
from pathlib import Path
from typing import Any

import nuclio_sdk
import nuclio_sdk.test
import pytest
import yaml

from keepsight.apps.cvat.settings import PREFIX, Settings
from keepsight.apps.cvat.wire import KINDS
from keepsight.weights.catalogue import find_checkpoint

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "cvat"
# Where docs/cvat.md has the folder copied to, below CVAT's serverless/.
PLACE = Path("pytorch/keepsight/nuclio")


@pytest.fixture(params=["function.yaml", "function-gpu.yaml"])
def function(request: pytest.FixtureRequest) -> Any:
    return yaml.safe_load((FOLDER / request.param).read_text())


def test_cvat_lists_it_as_a_tracker_of_three_kinds(function: Any) -> None:
    metadata = function["metadata"]
    notes = metadata["annotations"]
    assert re.fullmatch(r"[a-zA-Z0-9_.-]+", metadata["name"])
    assert notes["type"] == "tracker"
    assert not notes["spec"]  # labels, of which a tracker has none
    assert int(notes["version"]) >= 1
    assert {kind.strip() for kind in notes["supported_shape_types"].split(",")} == set(KINDS)
    assert function["spec"]["description"]
    # Nuclio keeps annotations as strings; YAML must not have made something else of them.
    assert all(value is None or isinstance(value, str) for value in notes.values())


def test_a_large_picture_fits_and_the_answer_is_in_time(function: Any) -> None:
    trigger = function["spec"]["triggers"]["myHttpTrigger"]
    assert trigger["numWorkers"] == 1
    body = trigger["attributes"]["maxRequestBodySize"]
    assert body >= Settings().max_image_bytes * 4 / 3, "the function's own limit should be met first"
    assert function["spec"]["eventTimeout"] == "60s"


def test_its_choices_are_settings_that_there_are(function: Any) -> None:
    chosen = {entry["name"]: entry["value"] for entry in function["spec"]["env"]}
    assert set(chosen) <= {PREFIX + field.name.upper() for field in fields(Settings)}
    settings = Settings.from_environment(chosen)
    assert find_checkpoint(settings.model)
    baked = [step["value"] for step in function["spec"]["build"]["directives"]["preCopy"]]
    if settings.model != "pocket":
        assert any(repr(settings.model) in line for line in baked), "its weights should be in the image"


def test_the_base_image_is_the_one_that_the_deploy_scripts_build(function: Any) -> None:
    name = f"cvat.{str(PLACE.parent).replace('/', '.')}.base"
    assert function["spec"]["build"]["baseImage"] == name
    assert str(PLACE) in (FOLDER / "Dockerfile").read_text()
    assert str(PLACE) in (ROOT / "docs" / "cvat.md").read_text()


def test_the_extra_that_is_installed_exists_and_python_fits(function: Any) -> None:
    installs = [
        s["value"] for s in function["spec"]["build"]["directives"]["preCopy"] if ".whl" in s["value"]
    ]
    assert [re.findall(r"\[(\w+)\]", line) for line in installs] == [["cvat"]]
    assert "cvat" in (metadata("keepsight").get_all("Provides-Extra") or [])
    version = function["spec"]["runtime"].removeprefix("python:")
    assert f"FROM python:{version}-slim" in (FOLDER / "Dockerfile").read_text()


def test_nuclio_finds_the_function_and_it_answers(function: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("MODEL", "DEVICE"):
        monkeypatch.delenv(PREFIX + variable, raising=False)
    monkeypatch.delenv("CVAT_FUNCTIONS_REDIS_HOST", raising=False)
    module, _, entry = function["spec"]["handler"].partition(":")
    spec = importlib.util.spec_from_file_location(module, FOLDER / f"{module}.py")
    assert spec
    assert spec.loader
    main = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(main)
    assert main.init_context
    event = nuclio_sdk.Event(body={}, content_type="application/json", method="POST", path="/")
    answer = nuclio_sdk.test.Platform().call_handler(getattr(main, entry), event)
    assert answer.status_code == 400


def test_the_documentation_has_every_setting_with_its_default() -> None:
    text = (ROOT / "docs" / "cvat.md").read_text()
    for field in fields(Settings):
        row = re.search(rf"^\| `{PREFIX}{field.name.upper()}` \| `(.*?)` \|", text, re.MULTILINE)
        assert row, f"{field.name} is not in the table"
        assert row[1] == str(field.default)
