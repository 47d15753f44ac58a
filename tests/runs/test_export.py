"""Figures as a paper wants them: sized, embedded, equal to the last bit; numbers beside them."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
import warnings
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image
from pypdf import PdfReader

from workbench.errors import Refusal
from workbench.runs.export import (
    COLUMN,
    OKABE_ITO,
    PAGE,
    missing_glyphs,
    paper_style,
    save_figure,
    save_numbers,
)
from workbench.runs.result import Result
from workbench.runs.store import load, save

FORMATS = ("png", "svg", "pdf")


def drawn(width: float = COLUMN) -> Figure:
    with paper_style():
        figure = Figure(figsize=(width, 2))
        axes = figure.add_subplot()
        axes.plot([0, 1, 2], [0.2, 0.9, 0.4], label="contrast – layer")
        axes.fill_between([0, 1, 2], [0, 0.5, 0.1], [0.4, 1, 0.6], alpha=0.2)
        axes.imshow(np.eye(4), extent=(0, 1, 0, 1), clip_on=True)
        axes.set_xlabel("layer $l$")
        axes.legend()
    return figure


def test_two_saves_are_equal_to_the_last_bit(tmp_path: Path) -> None:
    first = save_figure(drawn(), tmp_path / "a" / "figure")
    time.sleep(1.1)  # Formats that write the time write it in seconds.
    second = save_figure(drawn(), tmp_path / "b" / "figure")
    assert [path.name for path in first] == [f"figure.{form}" for form in FORMATS]
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes(), one.suffix


def test_another_process_writes_the_same_bits(tmp_path: Path) -> None:
    script = (
        "from pathlib import Path; import sys; import matplotlib; matplotlib.rcParams['font.size'] = 20\n"
        "from matplotlib.figure import Figure; from workbench.runs.export import *\n"
        "with paper_style():\n"
        "    figure = Figure(figsize=(3, 2)); axes = figure.add_subplot(); axes.plot([1, 2], label='x')\n"
        "    axes.fill_between([0, 1], [1, 2]); axes.legend()\n"
        "save_figure(figure, Path(sys.argv[1]))\n"
    )
    for name, salt in (("a", "1"), ("b", "2")):
        environment = {**os.environ, "PYTHONHASHSEED": salt}
        command = [sys.executable, "-c", script, str(tmp_path / name)]
        subprocess.run(command, check=True, env=environment, cwd=Path(__file__).parents[2])
    for form in FORMATS:
        assert (tmp_path / f"a.{form}").read_bytes() == (tmp_path / f"b.{form}").read_bytes(), form


@pytest.mark.parametrize("width", [COLUMN, PAGE])
def test_sizes_are_those_of_the_paper(width: float, tmp_path: Path) -> None:
    png, svg, pdf = save_figure(drawn(width), tmp_path / "figure")
    assert Image.open(png).size == (round(width * 300), 600)
    assert float(PdfReader(pdf).pages[0].mediabox.width) == pytest.approx(width * 72)
    assert f'width="{width * 72:g}pt"' in svg.read_text()


def test_fonts_are_embedded_and_vectors_stay_vectors(tmp_path: Path) -> None:
    _, svg, pdf = save_figure(drawn(), tmp_path / "figure")
    reader = PdfReader(pdf)
    page = reader.pages[0]
    fonts = [font.get_object() for font in page["/Resources"]["/Font"].get_object().values()]
    assert fonts
    for font in fonts:
        below = font["/DescendantFonts"][0].get_object() if "/DescendantFonts" in font else font
        assert "/FontFile2" in below["/FontDescriptor"].get_object()
        assert font["/Subtype"] != "/Type3"
    assert "layer" in page.extract_text()
    assert len(page.images) == 1  # The 4×4 array, and nothing else as pixels.
    assert reader.metadata is not None and reader.metadata.creation_date is None
    text = svg.read_text()
    assert "<text" not in text and "<path" in text and "<dc:date>" not in text


def test_the_style_stays_inside_and_ignores_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(matplotlib.rcParams, "font.size", 31.0)
    monkeypatch.setitem(matplotlib.rcParams, "axes.grid", True)
    with paper_style():
        assert matplotlib.rcParams["font.size"] == 8 and not matplotlib.rcParams["axes.grid"]
        assert [c["color"] for c in matplotlib.rcParams["axes.prop_cycle"]] == list(OKABE_ITO)
    assert matplotlib.rcParams["font.size"] == 31 and matplotlib.rcParams["axes.grid"]


def test_a_full_disk_keeps_the_earlier_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (path,) = save_figure(drawn(), tmp_path / "figure", ("png",))
    before = path.read_bytes()

    def failing(self: Figure, where: Path, **options: object) -> None:
        Path(where).write_bytes(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Figure, "savefig", failing)
    with pytest.raises(Refusal, match="disk is full"):
        save_figure(drawn(), tmp_path / "figure", ("png",))
    assert path.read_bytes() == before and len(list(tmp_path.iterdir())) == 1


def test_numbers_beside_a_figure_appear_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = pd.DataFrame({"stage": ["llm 0", "llm 1"], "value": [0.1 + 0.2, np.nan]})
    path = tmp_path / "new" / "numbers.csv"
    save_numbers(table, path)
    assert pd.read_csv(path).equals(table)
    before = path.read_bytes()

    def failing(self: pd.DataFrame, where: Path, **options: object) -> None:
        Path(where).write_bytes(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(pd.DataFrame, "to_csv", failing)
    with pytest.raises(Refusal, match="disk is full"):
        save_numbers(table, path)
    assert path.read_bytes() == before and len(list(path.parent.iterdir())) == 1


def test_tables_have_every_digit(tmp_path: Path) -> None:
    table = pd.DataFrame({"layer": ["llm 0", "llm 1"], "accuracy": [0.1 + 0.2, 1 / 3]})
    save(Result("layers", {}, {}, tables={"accuracy": table}), tmp_path / "out")
    back = pd.read_csv(tmp_path / "out" / "accuracy.csv")
    assert back["accuracy"].tolist() == table["accuracy"].tolist() and list(back) == ["layer", "accuracy"]


def test_exports_lie_beside_a_saved_result(tmp_path: Path) -> None:
    result = Result("layers", {}, {}, tables={"accuracy": pd.DataFrame({"x": [1.5]})})
    for _ in range(2):
        save(result, tmp_path / "run")
        save_figure(drawn(), tmp_path / "run" / "figure", ("svg",))
        assert load(tmp_path / "run").tables["accuracy"]["x"].tolist() == [1.5]
    assert {p.name for p in (tmp_path / "run").iterdir()} == {"result.json", "accuracy.csv", "figure.svg"}


def test_only_fonts_that_are_there_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    for installed in ([], ["Noto Sans CJK JP", "Comic Neue"]):
        monkeypatch.setattr("matplotlib.font_manager.get_font_names", lambda names=installed: names)
        with paper_style():
            assert matplotlib.rcParams["font.sans-serif"] == ["DejaVu Sans", *installed[:1]]


def test_characters_without_a_glyph_are_said_by_name(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workbench.runs.export.EASTERN", ())
    figure = drawn()
    assert missing_glyphs(figure) == ""
    figure.axes[0].set_title("猫 beside 犬")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        save_figure(figure, tmp_path / "figure", ("pdf",))
    assert "No font that is installed here has 犬猫" in caplog.text and caplog.text.count("No font") == 1
    figure.axes[0].set_title("".join(chr(0x4E00 + k) for k in range(40)))
    assert "…" in missing_glyphs(figure) and len(missing_glyphs(figure)) < 250
