"""The page of `keepsight annotate`, without a browser: its types, its logic under Node.js, its parts."""

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from keepsight.shapes import cvat_rle
from keepsight.shapes.filling import filled
from keepsight.types import BoolArray
from tests.node import environment_with_node, install, run

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "src" / "keepsight" / "apps" / "annotator" / "page"
TESTS = Path(__file__).parent / "page"
MODULES = sorted(PAGE.rglob("*.js"))
STYLES = sorted(PAGE.rglob("*.css"))
FILES = [*MODULES, *STYLES, *sorted(TESTS.glob("*.js"))]
LONGEST, WIDEST = 400, 110  # lines, columns
HEIGHT, WIDTH = 40, 56


class Markup(HTMLParser):
    """What index.html holds, and attributes that the page's policy forbids."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.classes: set[str] = set()
        self.commands: set[str] = set()
        self.icons: set[str] = set()
        self.files: list[str] = []
        self.referred: list[str] = []
        self.forbidden: list[str] = []
        self.unnamed: list[str] = []
        self.feed((PAGE / "index.html").read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if "id" in given:
            self.ids.append(given["id"])
        self.classes.update(given.get("class", "").split())
        self.commands.update(given[name] for name in ("data-command", "data-tool") if name in given)
        if tag == "use":
            self.icons.add(given["href"].removeprefix("#"))
        if tag in ("script", "link"):
            self.files.append(given.get("src") or given.get("href", ""))
        for name in ("for", "aria-labelledby", "aria-describedby"):
            self.referred += given.get(name, "").split()
        self.forbidden += [f"{tag} {name}" for name in given if name == "style" or name.startswith("on")]
        if tag == "button" and "class" in given and "quiet" in given["class"] and "aria-label" not in given:
            self.unnamed.append(self.get_starttag_text() or tag)


@pytest.fixture(scope="module")
def markup() -> Markup:
    return Markup()


@pytest.fixture(scope="module")
def environment() -> dict[str, str]:
    return environment_with_node()


@pytest.fixture(scope="module")
def typescript(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> Path:
    """A folder with the compiler and Node.js' types, as the lock file names them."""
    folder = tmp_path_factory.mktemp("typescript")
    for name in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copy(TESTS / name, folder)
    install(folder, environment)
    return folder / "node_modules"


def check_types(project: Path, typescript: Path, environment: dict[str, str]) -> str:
    """What the compiler finds wrong."""
    compiler = str(typescript / "typescript" / "bin" / "tsc")
    options = ["-p", str(project), "--typeRoots", str(typescript / "@types"), "--pretty", "false"]
    done = run("node", [compiler, *options], project.parent, environment)
    assert (done.returncode == 0) == (not done.stdout), done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("project", ["tsconfig.json", "tsconfig.tests.json"])
def test_the_types_hold(project: str, typescript: Path, environment: dict[str, str]) -> None:
    assert check_types(TESTS / project, typescript, environment) == ""


@pytest.mark.slow
def test_the_type_check_would_notice(tmp_path: Path, typescript: Path, environment: dict[str, str]) -> None:
    shutil.copytree(PAGE, tmp_path / "page")
    settings = json.loads((TESTS / "tsconfig.json").read_text())
    settings["include"] = ["page/**/*"]
    project = tmp_path / "tsconfig.json"
    project.write_text(json.dumps(settings))
    (tmp_path / "page" / "wrong.js").write_text('import { area } from "./masks.js";\narea("one");\n')
    assert "wrong.js" in check_types(project, typescript, environment)


def test_the_logic_holds(environment: dict[str, str]) -> None:
    tests = sorted(str(path) for path in TESTS.glob("*.test.js"))
    done = run("node", ["--test", "--test-reporter=tap", *tests], TESTS, environment)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr
    counts = dict(re.findall(r"^# (pass|fail|cancelled|skipped|todo) (\d+)$", done.stdout, re.MULTILINE))
    assert int(counts.pop("pass")) > 80
    assert set(counts.values()) == {"0"}


def random_mask(random: np.random.Generator) -> BoolArray:
    coarse = random.random((HEIGHT // 4, WIDTH // 4)) < random.uniform(0.1, 0.9)
    mask = np.kron(coarse, np.ones((4, 4), np.bool_)) & (random.random((HEIGHT, WIDTH)) < 0.95)
    mask[random.integers(HEIGHT), random.integers(WIDTH)] = True
    return np.asarray(mask, np.bool_)


def test_masks_and_polygons_mean_the_same_as_to_the_server(environment: dict[str, str]) -> None:
    random = np.random.default_rng(5)
    masks = [random_mask(random) for _ in range(60)]
    rings = [random.uniform(-6, 62, (random.integers(3, 12), 2)).round(1) for _ in range(120)]
    polygons = [{"points": ring.ravel().tolist(), "width": WIDTH, "height": HEIGHT} for ring in rings]
    codes = [cvat_rle.encode(mask) for mask in masks]
    given = json.dumps({"codes": codes, "polygons": polygons})
    done = run("node", [str(TESTS / "parity.js")], TESTS, environment, said=given)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["codes"] == codes
    for mask, patch in zip(masks, answer["masks"], strict=True):
        box = np.zeros_like(mask)
        bits = np.array(patch["bits"], np.bool_).reshape(patch["height"], patch["width"])
        box[patch["top"] :, patch["left"] :][: patch["height"], : patch["width"]] = bits
        assert np.array_equal(box, mask)
    for ring, code in zip(rings, answer["filled"], strict=True):
        ours = filled(ring, HEIGHT, WIDTH)
        theirs = np.zeros_like(ours) if code is None else cvat_rle.decode(code, HEIGHT, WIDTH)
        assert np.array_equal(theirs, ours)


def test_every_part_that_the_modules_look_for_is_there(markup: Markup) -> None:
    assert len(markup.ids) == len(set(markup.ids))
    sources = [path.read_text(encoding="utf-8") for path in MODULES]
    wanted = {name for source in sources for name in re.findall(r'find\("([\w-]+)"', source)}
    wanted |= {name for source in sources for name in re.findall(r'super\("([\w-]+-dialog)"\)', source)}
    assert len(wanted) > 40
    assert wanted - set(markup.ids) == set()
    assert set(markup.referred) - set(markup.ids) == set()
    icons = {name for source in sources for name in re.findall(r'"#?(i-[\w-]+)"', source)}
    assert (icons | markup.icons) - set(markup.ids) == set()


def test_every_button_is_for_a_command_that_exists_and_has_a_name(markup: Markup) -> None:
    known = re.findall(r'\bid: "(\w+)"', (PAGE / "commands.js").read_text())
    assert len(known) > 30
    assert markup.commands - set(known) == set()
    assert markup.unnamed == []


def test_every_command_does_something() -> None:
    known = re.findall(r'\bid: "(\w+)"', (PAGE / "commands.js").read_text())
    does = re.findall(r"^        (\w+): ", (PAGE / "controls.js").read_text(), re.MULTILINE)
    assert sorted(known) == sorted(set(does))


def test_it_loads_nothing_from_elsewhere_and_nothing_inline(markup: Markup) -> None:
    assert markup.forbidden == []
    assert markup.files
    for file in markup.files:
        assert (PAGE / file.removeprefix("/page/")).is_file(), file
    for path in [PAGE / "index.html", *MODULES, *STYLES]:
        addresses = re.findall(r"\bhttps?://[^\s\"'`)]+", path.read_text(encoding="utf-8"))
        assert set(addresses) <= {"http://www.w3.org/2000/svg"}, path
        assert "@import" not in path.read_text(encoding="utf-8") or path.suffix == ".js"


def test_every_module_is_asked_for_at_once(markup: Markup) -> None:
    """Else the browser finds a module only when the one that imports it has arrived."""
    asked = {file.removeprefix("/page/") for file in markup.files if file.endswith(".js")}
    assert asked == {str(path.relative_to(PAGE)) for path in MODULES}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_every_import_is_there_and_relative(path: Path) -> None:
    for module in re.findall(
        r'^(?:import|\} from|import .* from) .*?"([^"]+)";', path.read_text(), re.MULTILINE
    ):
        assert module.startswith("."), module
        assert (path.parent / module).is_file(), module


def test_every_colour_and_class_that_is_used_is_defined(markup: Markup) -> None:
    styles = "\n".join(path.read_text() for path in STYLES)
    defined = set(re.findall(r"^\s*--([\w-]+):", styles, re.MULTILINE)) | {"risk"}
    assert set(re.findall(r"var\(--([\w-]+)\)", styles)) - defined == set()
    drawn = re.findall(r'colour\("([\w-]+)"\)', (PAGE / "timeline_painter.js").read_text())
    assert len(drawn) > 5
    assert set(drawn) - defined == set()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_house_rules_for_length(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= LONGEST
    assert [line for line in lines if len(line) > WIDEST] == []


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_nothing_is_left_over_from_debugging(path: Path) -> None:
    assert (
        re.findall(r"\bconsole\.|\bdebugger\b|@ts-(ignore|nocheck|expect)|\bTODO\b", path.read_text()) == []
    )


def test_the_lock_file_names_no_registry() -> None:
    packages = json.loads((TESTS / "package-lock.json").read_text())["packages"]
    assert all("resolved" not in package for package in packages.values())
    assert all("integrity" in package for name, package in packages.items() if name)
