"""What the figures show is what the table says, on screen and on paper."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from tests.capture.fake import FakeModel
from workbench.errors import Refusal
from workbench.panels.layers.axis import chart, groups_in, signed
from workbench.panels.layers.config import LayersConfig
from workbench.panels.layers.figure import paper, screen
from workbench.panels.layers.layout import apart, sparse_ticks
from workbench.panels.layers.measures import GROUPS
from workbench.panels.layers.study import run
from workbench.runs.export import save_figure
from workbench.runs.result import Result


@pytest.fixture(scope="module")
def picture() -> Result:
    return run(LayersConfig(image="scene:7", permutations=20), FakeModel(side=12, width=16))


@pytest.fixture(scope="module")
def probed() -> Result:
    config = LayersConfig(n_train=60, n_validation=20, n_test=30, resamples=100)
    return run(config, FakeModel(side=12, width=16))


def shallower(result: Result) -> Result:
    """The same numbers as if the language model had ended at its second layer."""
    tables = {
        name: table[~table["stage"].isin(["llm 3", "llm 4"])].reset_index(drop=True)
        for name, table in result.tables.items()
        if "stage" in table
    }
    return Result(result.study, result.config, result.manifest, tables)


def words(figure) -> list[str]:  # type: ignore[no-untyped-def]
    return [annotation.text for annotation in figure.layout.annotations]


def test_groups_follow_what_was_measured(picture: Result, probed: Result) -> None:
    assert groups_in(picture)[:3] == ["patch structure", "contrast", "contrast ratio"]
    assert groups_in(probed)[:3] == ["global reader", "nearest neighbours", "segmentation reader"]
    for result in (picture, probed):
        measured = set(result.tables["curves"]["measure"])
        assert measured == {name for group in GROUPS.values() for name in group.among(measured)}


def test_screen_draws_the_table(probed: Result) -> None:
    figure = screen(probed, "global reader")
    lines = {trace.name: trace for trace in figure.data if trace.mode == "lines+markers"}
    assert list(lines) == ["shape", "colour"]
    table = probed.tables["curves"]
    shape = table[table["measure"] == "accuracy, shape"]
    np.testing.assert_array_equal(lines["shape"].y, shape["value"])
    assert "<b>llm 2</b>" in lines["shape"].text[6] and "n = 30 images" in lines["shape"].text[6]
    interval = [trace for trace in figure.data if trace.fill == "toself"]
    assert max(max(trace.y) for trace in interval) == pytest.approx(
        table[table["measure"].str.startswith("accuracy")][["high", "chance_high"]].max().max()
    )
    said = words(figure)
    assert ["vision", "proj.", "language"] == said[:3]
    drop = signed(float(shape["delta"].iloc[-1]))
    assert f"shape<br>{drop} from llm 0" in said and "chance" in said
    upright = [s for s in figure.layout.shapes if s.type == "line" and s.x0 == s.x1]
    assert [line.x0 for line in upright] == [4.0] and upright[0].line.dash == "dash"


def test_screen_has_a_dark_side(picture: Result) -> None:
    light, dark = screen(picture, "patch structure"), screen(picture, "patch structure", theme="dark")
    assert light.layout.font.color != dark.layout.font.color
    assert light.data[-1].line.color != dark.data[-1].line.color
    assert light.layout.paper_bgcolor == "rgba(0,0,0,0)"


def test_pins_lie_over_each_other_and_share_the_axis(picture: Result) -> None:
    drawn = chart([("deep", picture), ("shallow", shallower(picture))], "contrast ratio")
    deep, shallow = drawn.curves
    assert (deep.label, shallow.label) == ("deep", "shallow")
    assert shallow.stages[-1] == "llm 2"
    assert shallow.x[-1] == deep.x[-1] == 8.0
    assert shallow.x[shallow.stages.index("llm 0")] == deep.x[deep.stages.index("llm 0")] == drawn.entry
    both = chart([("a", picture), ("b", picture)], "patch structure")
    assert [curve.label for curve in both.curves][:2] == ["a, cohesion", "a, coupling"]
    colours = {trace.line.color for trace in screen([("a", picture), ("b", picture)], "contrast ratio").data
               if trace.mode == "lines+markers"}  # fmt: skip
    assert len(colours) == 2


def test_a_group_that_nobody_measured_is_refused(picture: Result) -> None:
    with pytest.raises(Refusal, match="global reader"):
        chart(picture, "global reader")
    with pytest.raises(Refusal, match="choose one of"):
        chart(picture, "astrology")


@pytest.mark.parametrize("values", [[0.5, 0.5, 0.5], [0.0, 0.01, 1.0], [1.0, 1.0, 0.99, 0.0], [0.3]])
def test_labels_keep_apart_in_order(values: list[float]) -> None:
    sizes = [0.3, 0.12, 0.2, 0.1][: len(values)]
    placed = np.array(apart(values, sizes, 0.0, 1.0))
    ranks = np.argsort(values, kind="stable")
    half = np.array(sizes)[ranks] / 2
    low, high = placed[ranks] - half, placed[ranks] + half
    assert low[0] >= -1e-9 and high[-1] <= 1 + 1e-9
    assert (low[1:] - high[:-1] >= -1e-9).all()


def test_labels_that_are_too_large_overlap_evenly() -> None:
    assert apart([0.5, 0.1], [1.0, 1.0], 0.0, 1.0) == pytest.approx([0.75, 0.25])
    assert apart([], [], 0.0, 1.0) == []


def test_differences_read_well() -> None:
    written = [signed(v) for v in (-0.1234, 0.0312, 0.0, -0.0001, 12.3, 0.5)]
    assert written == ["−0.12", "+0.031", "±0", "±0", "+12", "+0.50"]
    assert [signed(v, 0.13) for v in (-0.0665, 0.001)] == ["−0.07", "±0"]


def test_paper_is_sized_for_columns_and_repeats_itself(tmp_path: Path, probed: Result) -> None:
    one = paper(probed, ["global reader"])
    assert one.get_size_inches()[0] == 3.25
    two = paper(probed, ["global reader", "segmentation reader"])
    assert two.get_size_inches()[0] == 6.75
    letters = [text.get_text() for text in two.texts]
    assert letters == ["a", "b"]
    said = [text.get_text() for text in one.axes[0].texts]
    assert {"vision", "shape", "colour", "chance"} <= set(said)
    shape = probed.tables["curves"].query("measure == 'accuracy, shape'").iloc[-1]
    drop = [float(shape[name]) for name in ("delta", "delta_low", "delta_high")]
    size = max(map(abs, drop))
    assert f"{signed(drop[0], size)} from llm 0" in said
    assert f"[{signed(drop[1], size)}, {signed(drop[2], size)}]" in said
    assert one.axes[0].get_xlabel() == "layer"
    first = save_figure(one, tmp_path / "first", ("pdf", "svg"))
    second = save_figure(paper(probed, ["global reader"]), tmp_path / "second", ("pdf", "svg"))
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def deeper(result: Result, vision: int = 27, llm: int = 28) -> Result:
    """The same numbers, as if of a model as deep as published ones."""
    names = [("vision", f"vision {i}") for i in range(1, vision + 1)] + [("projector", "projector")]
    names += [("llm", f"llm {i}") for i in range(llm + 1)]
    axis = pd.DataFrame(names, columns=["band", "stage"]).assign(index=range(len(names)))
    parts = [
        rows.sort_values("index").iloc[np.linspace(0, len(rows) - 1, len(axis)).astype(int)]
        for _, rows in result.tables["curves"].groupby("measure", sort=False)
    ]
    moved = [part.assign(**{name: axis[name].to_numpy() for name in axis}) for part in parts]
    stages = axis.assign(tokens=1, width=1)
    tables = result.tables | {"curves": pd.concat(moved, ignore_index=True), "stages": stages}
    return Result(result.study, result.config, result.manifest, tables)


def written(figure: Figure) -> list[Text]:
    """What is to be read on a figure: ticks beyond the end of an axis are not."""
    texts = list(figure.texts)
    for axes in figure.axes:
        texts += [*axes.texts, axes.title, axes.xaxis.label, axes.yaxis.label]
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            places = zip(axis.get_majorticklocs(), axis.get_majorticklabels(), strict=True)
            texts += [text for place, text in places if low <= place <= high]
    return [text for text in texts if text.get_text().strip() and text.get_visible()]


@pytest.mark.parametrize("case", ["one column", "two columns", "four targets", "deep", "pins", "picture"])
def test_no_words_on_paper_touch_or_leave_the_page(case: str, picture: Result, probed: Result) -> None:
    curves = probed.tables["curves"]
    renamed = {"accuracy, shape": "accuracy, texture", "accuracy, colour": "accuracy, count"}
    more = curves[curves["measure"].isin(renamed)].replace({"measure": renamed})
    four = Result(probed.study, {}, {}, probed.tables | {"curves": pd.concat([curves, more])})
    pins = [("a very long name of a pin", probed), ("dark 0.9", probed)]
    drawn = {
        "one column": lambda: paper(probed, ["segmentation reader"]),
        "two columns": lambda: paper(probed),
        "four targets": lambda: paper(four, ["global reader"]),
        "deep": lambda: paper(deeper(probed)),
        "pins": lambda: paper(pins, ["patch structure"]),
        "picture": lambda: paper(picture),
    }[case]()
    canvas, page = FigureCanvasAgg(drawn), drawn.bbox
    canvas.draw()
    renderer = canvas.get_renderer()
    placed = [(text.get_text(), text.get_window_extent(renderer)) for text in written(drawn)]
    for text, box in placed:
        assert box.x0 >= 0 and box.x1 <= page.width and box.y0 >= 0 and box.y1 <= page.height, text
    for k, (text, box) in enumerate(placed):
        for other, near in placed[:k]:
            across = min(box.x1, near.x1) - max(box.x0, near.x0)
            down = min(box.y1, near.y1) - max(box.y0, near.y0)
            # Boxes count the room of letters that reach high and low, which may meet; letters may not.
            assert across <= 0 or down <= 0.2 * min(box.height, near.height), (text, other)


def test_curves_are_told_apart_in_grey(probed: Result) -> None:
    curves = [line for line in paper(probed, ["global reader"]).axes[0].lines if len(line.get_xdata()) > 5]
    markers = {line.get_marker() for line in curves} - {"None"}
    assert len(markers) == 2
    over = paper([("a", probed), ("b", probed)], ["global reader"]).axes[0].lines
    assert {line.get_marker() for line in over} >= markers


def test_levels_of_chance_say_whose_they_are(probed: Result, picture: Result) -> None:
    said = [text.get_text() for text in paper(probed, ["segmentation reader"]).axes[0].texts]
    assert {"chance, accuracy", "chance, mean IoU"} <= set(said)
    alone = [text.get_text() for text in paper(picture, ["contrast"]).axes[0].texts]
    assert "chance" in alone


def test_every_band_begins_with_a_number(probed: Result) -> None:
    drawn = chart(deeper(probed), "token norm")
    written = [text for _, text in sparse_ticks(drawn, 23)]
    assert written == ["1", "11", "21", "", "0", "10", "20"]
    assert [text for _, text in sparse_ticks(chart(probed, "token norm"), 60)] == [
        *("1", "2", "3"), "", *("0", "1", "2", "3", "4")
    ]  # fmt: skip


def test_what_is_not_positive_is_left_out_of_a_logarithmic_axis(probed: Result) -> None:
    table = probed.tables["curves"].copy()
    at = (table["measure"] == "contrast ratio") & (table["stage"] == "llm 1")
    table.loc[at, ["value", "low"]] = [-0.5, -0.9]
    below = Result(probed.study, {}, {}, probed.tables | {"curves": table})
    drawn = chart(below, "contrast ratio")
    gone = drawn.curves[0].stages.index("llm 1")
    assert np.isnan(drawn.curves[0].value[gone]) and drawn.span[0] > 0
    assert "\N{MINUS SIGN}0.50" in drawn.curves[0].hover[gone]
    assert paper(below, ["contrast ratio"]).axes[0].get_ylim()[0] > 0


def test_a_logarithmic_axis_has_plain_numbers(probed: Result) -> None:
    figure = paper(probed, ["token norm"])
    figure.canvas.draw()
    written = [tick.get_text() for tick in figure.axes[0].get_yticklabels() if tick.get_text()]
    assert len(written) >= 2 and all(float(text) > 0 for text in written)


def test_paper_of_a_picture_has_its_groups_and_one_size_of_text(picture: Result) -> None:
    figure = paper(picture)
    letters = [text.get_text() for text in figure.texts]
    assert letters == ["a", "b", "c", "d"]
    texts = [text for text in figure.findobj(Text) if isinstance(text, Text) and text.get_text()]
    assert texts and {text.get_fontsize() for text in texts} == {8.0}
