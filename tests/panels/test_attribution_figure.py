"""Figures, tables and files of attributions, from results that no model made."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from workbench.errors import Refusal
from workbench.panels.attribution.chart import agreeing, maps, verdict
from workbench.panels.attribution.config import AttributionConfig
from workbench.panels.attribution.files import save_maps
from workbench.panels.attribution.paper import paper
from workbench.panels.attribution.scores import scores
from workbench.panels.attribution.screen import cards, chart
from workbench.panels.attribution.shows import SHOWS, TABLES, OfMaps, OfTarget, lacks, part, table
from workbench.panels.overlay import AGAINST, FOR, weighed
from workbench.panels.studies import Nothing
from workbench.runs.result import Result

SIDE = 4


def of_one() -> Result:
    rng = np.random.default_rng(0)
    stages = [("attention", s) for s in ("all layers", "llm 1", "llm 2")] + [
        ("occlusion", ""),
        ("random", ""),
    ]
    rows = [
        {
            "method": method,
            "target": target,
            "layer": 0 if stage in ("", "all layers") else int(stage[-1]),
            "stage": stage,
            "deletion": 0.1,
            "insertion": 0.9,
            "infidelity": 0.5,
            "sensitivity": np.nan,
            "pointing": 1.0,
            "energy": 0.25,
        }
        for target in (0, 1)
        for method, stage in stages
    ]
    names = ("attention", "occlusion", "random")
    curves = [
        {"method": m, "target": t, "way": way, "share": s, "probability": p}
        for m in names
        for t in (0, 1)
        for way, ends in (("deletion", (1.0, 0.0)), ("insertion", (0.0, 1.0)))
        for s, p in zip((0.0, 1.0), ends, strict=True)
    ]
    agreement = [
        {"target": t, "a": a, "b": b, "spearman": 1.0 if a == b else -0.5, "kendall": 0.0}
        for t in (0, 1)
        for a in names
        for b in names
    ]
    methods = [{"method": n, "label": n, "about": "", "signed": False, "refused": ""} for n in names]
    methods.append(
        {"method": "deeplift", "label": "", "about": "", "signed": True, "refused": "It does not."}
    )
    y, x = np.divmod(np.arange(SIDE**2), SIDE)
    mask = np.zeros((32, 32), bool)
    mask[8:16, 8:16] = True
    return Result(
        study="attribution",
        config={"question": "what is it?", "corruption": "none", "intensity": 0.0},
        manifest={"model": {"id": "fake"}},
        tables={
            "answer": pd.DataFrame([{"answer": "a star", "versus": ""}]),
            "targets": pd.DataFrame(
                [
                    {"text": text, "value": -0.1, "probability": 0.9, "difference": False}
                    for text in ("the answer", "star")
                ]
            ),
            "methods": pd.DataFrame(methods),
            "maps": pd.DataFrame(rows),
            "curves": pd.DataFrame(curves),
            "agreement": pd.DataFrame(agreement),
            "truth": pd.DataFrame([{"name": "star", "share": 0.0625, "chance": 0.1}]),
        },
        arrays={
            "maps": rng.normal(size=(len(rows), SIDE**2)).astype(np.float32),
            "grid": np.array([SIDE, SIDE]),
            "boxes": (8 * np.stack([x, y, x + 1, y + 1], axis=1)).astype(np.float32),
            "mask": mask,
        },
        images={"shown": rng.integers(0, 256, (32, 32, 3)).astype(np.uint8)},
    )


def of_many() -> Result:
    rng = np.random.default_rng(1)
    items = [
        {
            "name": f"s{k}",
            "method": method,
            "stage": stage,
            "pointing": float(rng.random() < rate),
            "energy": rate,
        }
        for k in range(40)
        for method, stage, rate in (
            ("chance", "", 0.1),
            ("centre", "", 0.2),
            ("attention", "all layers", 0.9),
            ("attention", "llm 1", 0.5),
            ("random", "", 0.1),
        )
    ]
    table = scores(pd.DataFrame(items), resamples=200, seed=0)
    methods = [{"method": n, "refused": ""} for n in ("attention", "random")]
    return Result(
        study="attribution",
        config={"corruption": "none", "intensity": 0.0},
        manifest={"model": {"id": "fake"}},
        tables={"pointing": table, "items": pd.DataFrame(items), "methods": pd.DataFrame(methods)},
    )


def test_each_map_is_divided_by_its_largest_value() -> None:
    result = of_one()
    found = maps(result, 1, "llm 2")
    assert [(one.method, one.stage) for one in found] == [
        ("attention", "llm 2"),
        ("occlusion", ""),
        ("random", ""),
    ]
    raw = result.arrays["maps"][7]
    np.testing.assert_allclose(found[0].values, raw / np.abs(raw).max(), rtol=1e-6)
    assert not found[0].curves and set(found[1].curves) == {"deletion", "insertion"}
    assert [one.method for one in maps(result, only=["random", "attention"])] == ["random", "attention"]
    with pytest.raises(Refusal, match="no map by lime"):
        maps(result, only=["lime"])


def test_agreement_leaves_random_and_itself_out() -> None:
    assert agreeing(of_one()) == {"attention": -0.5, "occlusion": -0.5, "random": -0.5}


def test_colours_cover_by_size_and_say_the_sign() -> None:
    boxes = np.array([[0, 0, 1, 1], [1, 0, 2, 1], [2, 0, 3, 1]])
    made = weighed(np.full((1, 3, 3), 100, np.uint8), boxes, np.array([1.0, 0.0, -1.0]), 1.0)
    k = made.shape[0]
    assert made[0, 0].tolist() == FOR.tolist() and made[0, 2 * k].tolist() == AGAINST.tolist()
    assert made[0, k].tolist() == [100] * 3


def test_every_part_and_table_is_drawn() -> None:
    one, many = [("clean", of_one())], [("scenes", of_many())]
    for show, kind in SHOWS.items():
        drawn = part(one if show in ("maps", "agreement") else many, show, kind())
        assert drawn.height(3.25) > 0 and len(drawn.numbers())
    for show, kind in TABLES.items():
        made = table(many if show == "pointing" else one, show, kind())
        assert len(made.numbers) and made.markdown().count("\n") > 3
    assert len(paper(one, target=1, stage="llm 1").axes) > 5
    assert paper(many).axes
    assert "clean" in {t.get_text().partition(":")[0] for t in paper(one).texts}
    with pytest.raises(Refusal, match="of a collection"):
        part(many, "maps", OfMaps())
    with pytest.raises(Refusal, match="of one image"):
        part(one, "pointing", Nothing())


def test_what_a_run_will_lack_is_said_before_it_runs() -> None:
    one, many = AttributionConfig(image="scene:1", methods=("lime",)), AttributionConfig()
    assert not lacks(one, "maps", OfMaps(methods=("lime",))) and not lacks(many, "pointing", Nothing())
    assert "lack attention" in lacks(one, "maps", OfMaps(methods=("attention",)))
    assert "one image" in lacks(one, "pointing", Nothing())
    assert "no maps" in lacks(many, "faithfulness", OfTarget())


def test_methods_that_point_above_chance_are_counted() -> None:
    result = of_many()
    (said,) = verdict(result)
    assert "Of 1 methods 1 point above chance" in said and "attention" in said
    rows = result.tables["pointing"].set_index(["measure", "method", "stage"])
    here = rows.loc[("pointing", "attention", "all layers")]
    items = result.tables["items"]
    own = items[(items["method"] == "attention") & (items["stage"] == "all layers")]["pointing"].mean()
    assert here["value"] == pytest.approx(own) and here["low"] < own < here["high"]
    assert here["above_low"] > 0
    assert chart([("", result)], "pointing").data[0].x[0] == pytest.approx(own)


def test_cards_hold_maps_curves_and_measures() -> None:
    html = cards(of_one(), 0, "llm 2")
    assert html.count("<figure") == 4 and html.count("<polyline") == 4
    assert "outlined" in html and "infidelity ↓" in html
    assert "It covers" not in html and "covers 6.2 %" in " ".join(verdict(of_one()))


def test_maps_are_files(tmp_path: Path) -> None:
    save_maps(of_one(), tmp_path / "maps")
    names = {path.name for path in (tmp_path / "maps").iterdir()}
    assert "0-attention.png" in names and "1-attention-llm2.png" in names and len(names) == 10
    with Image.open(tmp_path / "maps" / "0-random.png") as picture:
        assert picture.size[0] % 32 == 0
