"""A recipe is read as it is meant, and what is wrong in it is said with its line and key."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from workbench.errors import Refusal
from workbench.models import Opening
from workbench.panels.patches.shows import OfMaps
from workbench.panels.studies import STUDIES
from workbench.recipes.recipe import OPENING, Recipe, read
from workbench.recipes.series import checkpoints

BUNDLED = sorted((Path(__file__).parents[2] / "assets" / "recipes").glob("*.yaml"))


def recipe(folder: Path, text: str) -> Recipe:
    path = folder / "fig.yaml"
    path.write_text(text, encoding="utf-8")
    return read(path)


def checkpoint(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    return folder


def test_a_recipe_says_what_runs_and_what_is_drawn(tmp_path: Path) -> None:
    found = recipe(
        tmp_path,
        """\
about: an example
model: some/model
revision: main
dtype: float16
width: page
runs:
  clean: {study: layers, n_test: 40}
  other: {study: layers, model: pocket-bagel, device: cpu}
  one: {study: patches, image: "scene:10"}
panels:
  - {of: [clean, other], show: global reader}
  - {of: one, show: similarity maps, patch: [2, 3]}
tables:
  - {of: clean, show: change}
""",
    )
    assert found.about == "an example" and found.width == 6.75
    clean, other = found.looks["clean"], found.looks["other"]
    assert clean.model == "some/model" and clean.opening == Opening(revision="main", dtype="float16")
    # Numbers and place are the figure's; a revision is one checkpoint's.
    assert other.model == "pocket-bagel" and other.opening == Opening(device="cpu", dtype="float16")
    assert clean.config is not None and clean.config.model_dump()["n_test"] == 40
    assert [panel.of for panel in found.panels] == [("clean", "other"), ("one",)]
    assert found.panels[1].chosen == OfMaps(patch=(2, 3))
    assert found.tables[0].show == "change"


RUN = "runs:\n  a: {study: layers}\n"
PANEL = "panels:\n  - {of: a, show: contrast}\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("# nothing but a comment\n", "is empty"),
        ("- a\n- b\n", "holds no names with values"),
        ("runs: {a: [}\n", r"fig.yaml, line 1: this is no YAML"),
        ("runs:\n  a: &x {study: layers}\n  b: *x\n", r"line 3: write \*x out"),
        ("a: !!python/object/apply:os.system [ls]\n", "no YAML"),
        (RUN + RUN + PANEL, "line 3: “runs” is named twice"),
        (PANEL, "runs is missing"),
        ("runs: {}\n" + PANEL, "line 1: runs does not fit"),
        (RUN, "there is nothing to draw"),
        (RUN + "widht: page\n" + PANEL, "line 3: a recipe has no 'widht'. Do you mean width"),
        (RUN + "width: 4\n" + PANEL, "line 3: width does not fit"),
        (RUN + "dtype: float8\n" + PANEL, "The dtype 'float8' is not known"),
        (RUN + "revision: 123\n" + PANEL, "line 3: revision is text; 123 is not. Put it in quotes"),
        (RUN + "trust_remote_code: true\n" + PANEL, "line 3: a recipe cannot allow code to run"),
        ("runs:\n  a: {study: layer}\n" + PANEL, "line 2: there is no study 'layer'; choose one of"),
        ("runs:\n  a: {n_test: 40}\n" + PANEL, "line 2: a run names its study"),
        (
            "runs:\n  a:\n    study: layers\n    n_tset: 9\n" + PANEL,
            "line 4: the study layers has no 'n_tset'",
        ),
        ("runs:\n  a:\n    study: layers\n    n_test: 2\n" + PANEL, "line 4: n_test does not fit"),
        ("runs:\n  ../a: {study: layers}\n" + PANEL, "line 2: '../a' cannot name a run"),
        ("runs:\n  a: {study: layers, saved: x, model: y}\n" + PANEL, "either model or saved"),
        ("runs:\n  a: {study: layers, saved: x, n_test: 50}\n" + PANEL, "n_test has nothing to act on"),
        (RUN + "panels:\n  - {show: contrast}\n", "line 4: say of which runs"),
        (RUN + "panels:\n  - {of: [a, b], show: contrast}\n", "line 4: there is no run 'b'; there are a"),
        (RUN + "panels:\n  - {of: a, show: contarst}\n", "line 4: layers shows no 'contarst'; choose one of"),
        (RUN + "panels:\n  - {of: a, show: contrast, token: 3}\n", "line 4: contrast has no 'token'"),
        (
            "width: column\nruns:\n  a: {study: patches, image: x}\npanels:\n  - {of: a, show: norm maps}\n",
            "norm maps need a page's width",
        ),
        (RUN + "panels: [3]\n", "line 3: panels.0 does not fit"),
        (
            RUN[:-1]
            + "\n  b: {study: states, image: x, question: y}\npanels:\n  - {of: [a, b], show: contrast}\n",
            "one panel shows one study; these are layers and states",
        ),
        (
            "runs:\n  a: {study: sacrifice, models: nowhere}\n" + PANEL,
            "line 2: nowhere holds no checkpoints",
        ),
        (
            "runs:\n  a: {study: layers, measures: [likeness]}\n" + PANEL,
            "line 4: the run a will hold no contrast: its measures leave out 'structure'",
        ),
        (
            "runs:\n  a: {study: layers, image: me.png}\n" + PANEL,
            "line 4: the run a will hold no contrast: contrast difference needs to know what stands where",
        ),
        (
            "runs:\n  a: {study: layers, image: 'scene:3'}\npanels:\n  - {of: a, show: global reader}\n",
            "line 4: the run a will hold no global reader: it looks at one picture",
        ),
        (
            RUN + "tables:\n  - {of: a, show: change, measures: [patch mIOU]}\n",
            "line 4: the run a will hold no change: there is no measure 'patch mIOU'",
        ),
        (
            RUN + "tables:\n  - {of: a, show: change, measures: ['accuracy, taste']}\n",
            "line 4: .* it reads .*, not 'taste'",
        ),
        (
            "runs:\n  a: {study: layers, image: 'scene:3'}\ntables:\n  - {of: a, show: change}\n",
            "line 4: the run a will hold no change: it looks at one picture, which leaves nothing",
        ),
        (
            "runs:\n  a: {study: sacrifice, measures: [segmentation]}\npanels:\n"
            "  - {of: a, show: scatter, measure: 'accuracy, shape'}\n",
            "line 4: the run a will hold no scatter: its measures leave out 'linear reader'",
        ),
        (
            "runs:\n  a: {study: sacrifice}\npanels:\n  - {of: a, show: scatter, stages: [a, b, c, d]}\n",
            "line 4: stages does not fit",
        ),
        (
            "runs:\n  a: {study: patches, image: 'scene:3', attention_rows: 0}\npanels:\n"
            "  - {of: a, show: attention maps}\n",
            "line 4: the run a will hold no attention maps: its attention_rows are 0",
        ),
        ("runs:\n  a: {study: layers, data: not/a/place}\n" + PANEL, "line 2: There are no data at"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(Refusal, match=said):
        recipe(tmp_path, text)


def test_data_without_labels_or_masks_are_known_before_a_run(tmp_path: Path) -> None:
    images = tmp_path / "images"
    images.mkdir()
    for k in range(9):
        Image.new("RGB", (12, 12), (25 * k, 0, 0)).save(images / f"{k}.png")
    run = f"runs:\n  a: {{study: layers, data: {images}}}\n"
    assert recipe(tmp_path, run + "panels:\n  - {of: a, show: neighbourhood}\n").panels
    with pytest.raises(Refusal, match="line 4: the run a will hold no contrast: .* has no masks"):
        recipe(tmp_path, run + PANEL)
    with pytest.raises(Refusal, match="line 4: the run a will hold no segmentation reader: .* has no masks"):
        recipe(tmp_path, run + "panels:\n  - {of: a, show: segmentation reader}\n")
    with pytest.raises(Refusal, match="line 4: .* no global reader: .* has no labels of whole images"):
        recipe(tmp_path, run + "panels:\n  - {of: a, show: global reader}\n")


def test_a_file_that_is_not_there_or_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="cannot be read"):
        read(tmp_path / "none.yaml")
    (tmp_path / "fig.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(Refusal, match="not text"):
        read(tmp_path / "fig.yaml")
    (tmp_path / "fig.yaml").write_bytes(b"#" * 300_000)
    with pytest.raises(Refusal, match="larger than"):
        read(tmp_path / "fig.yaml")


def test_the_embedded_models_own_series_is_made_where_it_is_named_and_not_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    named = "training/anew/series"
    checkpoint(tmp_path / named / "step-0000")  # The first of a training that was ended.
    with pytest.raises(Refusal, match="train base --start .* --keep"):
        checkpoints(named)

    def make() -> None:
        checkpoint(tmp_path / named / "step-0040")
        (tmp_path / "training/anew/pocket-bagel").mkdir()

    assert list(checkpoints(named, make)) == ["step-0000", "step-0040"]
    assert list(checkpoints(named, lambda: pytest.fail("made again"))) == ["step-0000", "step-0040"]


def test_a_series_is_ordered_by_its_numbers(tmp_path: Path) -> None:
    for name in ("step-1000", "step-200", "step-30"):
        checkpoint(tmp_path / name)
    (tmp_path / "notes").mkdir()
    assert list(checkpoints(str(tmp_path))) == ["step-30", "step-200", "step-1000"]
    given = [str(tmp_path / "step-200"), "OWNER/NAME", "pocket-bagel"]
    assert checkpoints(given) == dict(zip(("step-200", "NAME", "pocket-bagel"), given, strict=True))
    with pytest.raises(Refusal, match="holds no checkpoints"):
        checkpoints(str(tmp_path / "notes"))
    with pytest.raises(Refusal, match="same name"):
        checkpoints(["a/x", "b/x"])
    with pytest.raises(Refusal, match="a folder of checkpoints, or a list"):
        checkpoints([])
    found = recipe(
        tmp_path,
        f"runs:\n  s: {{study: layers, models: '{tmp_path}'}}\npanels:\n  - {{of: s, show: contrast}}\n",
    )
    assert found.panels[0].of == ("s/step-30", "s/step-200", "s/step-1000")
    assert found.looks["s/step-30"].model == str(tmp_path / "step-30")


@pytest.mark.parametrize("path", [p for p in BUNDLED if p.stem != "sacrifice"], ids=lambda path: path.stem)
def test_the_bundled_recipes_are_recipes(path: Path) -> None:
    assert read(path).about


def test_the_bundled_series_says_how_it_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = next(path for path in BUNDLED if path.stem == "sacrifice")
    with pytest.raises(Refusal, match="train base --start assets/checkpoints/pocket-bagel --anew --keep 40"):
        read(path)
    checkpoint(tmp_path / "training" / "anew" / "series" / "step-0100")
    (tmp_path / "training" / "anew" / "pocket-bagel").mkdir()
    assert list(read(path).looks) == ["series/step-0100"]


def test_no_study_calls_a_setting_as_a_recipe_calls_something_else() -> None:
    for study in STUDIES.values():
        own = set(study.config_class().model_fields)
        if study.drawn:
            assert not own & {*OPENING, "study", "model", "models", "saved"}
            drawn = study.file(study.drawn)
            assert set(drawn.WIDE) <= set(drawn.SHOWS)
            for chosen in (*drawn.SHOWS.values(), *drawn.TABLES.values()):
                assert not set(chosen.model_fields) & {"of", "show"}
