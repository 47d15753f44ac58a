"""The sheet of corruptions: what it holds, on paper, and from the command line; no model anywhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.text import Text
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio

from workbench.cli import main
from workbench.errors import Cancelled
from workbench.images.corruptions import CORRUPTIONS, LEVELS, MMD_BENCH, corrupt
from workbench.images.read import Picture, read
from workbench.panels.corruptions import figure
from workbench.panels.corruptions.config import CorruptConfig
from workbench.panels.corruptions.study import image_name, made, run
from workbench.runs.result import Result
from workbench.runs.store import load, save


@pytest.fixture(scope="module")
def picture() -> Picture:
    from skimage import data

    return read(np.asarray(Image.fromarray(np.asarray(data.astronaut())).resize((64, 48))))


@pytest.fixture(scope="module")
def result(picture: Picture) -> Result:
    return run(CorruptConfig(seed=3), picture=picture)


def test_every_kind_is_there_at_every_level(result: Result, picture: Picture) -> None:
    sheet = result.tables["sheet"]
    assert len(sheet) == 48 and sheet.groupby("category")["corruption"].nunique().to_dict() == {
        "capture": 5,
        "environment": 4,
        "post-processing": 3,
        "transmission": 4,
    }
    for row in sheet.to_dict("records"):
        pixels = result.images[image_name(row["corruption"], row["level"])]
        assert np.array_equal(pixels, corrupt(picture.pixels, row["corruption"], row["intensity"], seed=3))
        assert row["psnr"] == pytest.approx(peak_signal_noise_ratio(picture.pixels, pixels))
        assert row["changed"] == np.any(pixels != picture.pixels, axis=-1).mean()


def test_the_seed_matters_to_what_draws_and_to_nothing_else(result: Result, picture: Picture) -> None:
    other = run(CorruptConfig(seed=4), picture=picture)
    for name in MMD_BENCH:
        same = all(
            np.array_equal(result.images[image_name(name, level)], other.images[image_name(name, level)])
            for level in LEVELS
        )
        assert same != CORRUPTIONS[name].random, name


def test_pixel_sizes_and_seed_are_said(result: Result, picture: Picture) -> None:
    assert made(result) == (
        "64 × 48 pixels; pixel sizes relative, 0.12 times those for a long side of 512; seed 3."
    )
    native = run(CorruptConfig(seed=3, pixels="native"), picture=picture)
    assert "native, as in the authors' code; seed 3" in made(native)
    assert not np.array_equal(native.images["lens_blur.mid"], result.images["lens_blur.mid"])


def test_a_stop_ends_it(picture: Picture) -> None:
    seen: list[str] = []
    with pytest.raises(Cancelled):
        run(
            CorruptConfig(),
            picture=picture,
            progress=lambda done, words: seen.append(words),
            stop=lambda: len(seen) == 4,
        )
    assert len(seen) == 4


@pytest.mark.parametrize("shape", [(48, 64), (64, 16), (16, 64)])
def test_on_paper_nothing_leaves_the_page(shape: tuple[int, int]) -> None:
    source = read(np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8))
    drawn = figure.paper(run(CorruptConfig(), picture=source))
    assert len(drawn.axes) == 48 and drawn.get_figwidth() == 6.75
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    renderer = FigureCanvasAgg(drawn).get_renderer()
    texts = [text for text in drawn.findobj(Text) if text.get_text() and text.get_visible()]
    boxes = [text.get_window_extent(renderer) for text in texts]
    assert {text.get_fontsize() for text in texts} == {8.0}
    for box in boxes:
        assert box.x0 >= 0 and box.x1 <= drawn.bbox.width and box.y0 >= 0 and box.y1 <= drawn.bbox.height
    for i, one in enumerate(boxes):
        for other in boxes[i + 1 :]:
            assert not one.padded(-1).overlaps(other.padded(-1))


def test_the_sheet_survives_the_disk(result: Result, tmp_path: Path) -> None:
    save(result, tmp_path / "sheet")
    again = load(tmp_path / "sheet")
    assert figure.kinds(again) == figure.kinds(result)


def test_the_command_writes_48_lossless_pictures_and_opens_no_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def opened(*args: object, **kwargs: object) -> None:
        raise AssertionError("a model was opened")

    monkeypatch.setattr("workbench.models.open", opened)
    assert main(["corrupt", "--image", "scene:10", "--seed", "3", "--out", str(tmp_path / "out")]) == 0
    out = tmp_path / "out"
    written = {path.stem for path in (out / "images").glob("*.png")}
    assert written == {"original", *(image_name(name, level) for name in MMD_BENCH for level in LEVELS)}
    assert {path.name for path in out.iterdir()} >= {"sheet.csv", "figure.png", "figure.svg", "figure.pdf"}
    original = np.asarray(Image.open(out / "images" / "original.png"))
    dark = np.asarray(Image.open(out / "images" / "dark_illumination.high.png"))
    assert np.array_equal(dark, corrupt(original, "dark_illumination", 0.9, seed=3))


def test_the_command_refuses_in_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["corrupt", "--image", str(tmp_path / "none.png"), "--out", str(tmp_path / "out")]) == 2
    assert "none.png" in capsys.readouterr().err and not (tmp_path / "out").exists()
