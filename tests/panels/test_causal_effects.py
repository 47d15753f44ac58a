"""What single questions add up to, against sums by hand; and what is drawn, written and said of it."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from workbench.errors import Refusal
from workbench.models.protocol import Stage
from workbench.panels.causal.chart import KNOCKOUT, chart, half, held, measures
from workbench.panels.causal.config import CausalConfig
from workbench.panels.causal.effects import blocked, recovered
from workbench.panels.causal.paper import paper
from workbench.panels.causal.screen import screen
from workbench.panels.causal.shows import RECOVERY, SHOWS, lacks, part, table
from workbench.panels.causal.verdict import verdict
from workbench.panels.studies import STUDIES
from workbench.runs.result import Result

STAGES = [Stage("vision 0", "vision", 0), *(Stage(f"llm {k}", "llm", k + 1) for k in range(3))]
SHARES = {"vision 0": 0.9, "llm 0": 1.0, "llm 1": 0.75, "llm 2": 0.25}


def items(count: int = 6) -> pd.DataFrame:
    """Clean log p -0.5, degraded -2.5 … -3.5; every second answer changes."""
    lost = -2.0 - np.arange(count) / count
    changed = np.arange(count) % 2 == 0
    frame = pd.DataFrame(
        {
            "name": [f"image {k}" for k in range(count)],
            "question": "what is it?",
            "answer": "red",
            "degraded answer": np.where(changed, "blue", "red"),
            "changed": changed,
            "object tokens": 2,
            "clean log p": -0.5,
            "degraded log p": -0.5 + lost,
        }
    )
    frame["clean difference"] = np.where(changed, 4.0, np.nan)
    frame["degraded difference"] = np.where(changed, -1.0, np.nan)
    return frame


def patching(about: pd.DataFrame, direction: str = "restore", tokens: str = "all") -> pd.DataFrame:
    base, other = ("degraded", "clean") if direction == "restore" else ("clean", "degraded")
    rows = []
    for item, row in enumerate(about.to_dict("records")):
        for stage, share in SHARES.items():
            put = {m: row[f"{base} {m}"] + share * (row[f"{other} {m}"] - row[f"{base} {m}"])
                   for m in ("log p", "difference")}  # fmt: skip
            rows.append({"item": item, "direction": direction, "tokens": tokens, "stage": stage} | put)
    return pd.DataFrame(rows)


def knockout(count: int = 6) -> pd.DataFrame:
    rows = []
    for item in range(count):
        for layer, first, last, cost in ((0, 1, 2, 3.0), (1, 1, 2, 0.0), (2, 1, 2, math.log(2))):
            rows.append(
                {"item": item, "path": "image-answer", "layer": layer, "first": first, "last": last}
                | {"before": -0.5, "after": -0.5 - cost}
            )
    return pd.DataFrame(rows)


def result(*, image: str = "", seed: int = 0) -> Result:
    about = items()
    both = pd.concat([patching(about, d) for d in ("restore", "damage")], ignore_index=True)
    recovery, halves = recovered(about, both, STAGES, resamples=200, seed=seed)
    tables = {"items": about, "recovery": recovery, "halves": halves}
    tables["blocked"] = blocked(about, knockout(), resamples=200, seed=seed)
    tables["data"] = pd.DataFrame([{"what": "collection", "value": "tests"}])
    config = CausalConfig(image=image, corruption="dark_illumination", intensity=0.9)
    return Result("causal", config.model_dump(mode="json"), {"model": {"id": "m"}, "seconds": 1.0}, tables)


def test_shares_come_back_with_intervals_around_them() -> None:
    about = items()
    recovery, halves = recovered(about, patching(about), STAGES, resamples=200, seed=0)
    assert list(recovery["stage"].unique()) == list(SHARES)
    for measure in ("log p", "difference"):
        rows = recovery[recovery["measure"] == measure].set_index("stage")
        assert rows["value"].to_dict() == pytest.approx(SHARES)
        assert (rows["low"] <= rows["value"] + 1e-9).all() and (rows["high"] >= rows["value"] - 1e-9).all()
    assert set(recovery.loc[recovery["measure"] == "difference", "n"]) == {3}
    rows = recovery[recovery["measure"] == "log p"]
    assert rows["total"].iloc[0] == pytest.approx((2.0 + np.arange(6) / 6).mean())
    # Straight between llm 1 (0.75) and llm 2 (0.25).
    assert halves.set_index("measure").loc["log p", "value"] == pytest.approx(1.5)


def test_probability_is_its_own_measure() -> None:
    about = items()
    recovery, _ = recovered(about, patching(about), STAGES, resamples=100, seed=0)
    rows = recovery[recovery["measure"] == "probability"].set_index("stage")
    clean, degraded = math.exp(-0.5), np.exp(about["degraded log p"])
    put = np.exp(about["degraded log p"] + 0.75 * (-0.5 - about["degraded log p"]))
    assert rows.loc["llm 1", "value"] == pytest.approx((put - degraded).mean() / (clean - degraded).mean())


def test_an_image_counts_once_however_many_questions_it_has() -> None:
    about = items(4)
    about.loc[1, "name"] = "image 0"
    changes = patching(about)
    changes.loc[(changes["item"] == 1) & (changes["stage"] == "llm 1"), "log p"] = -0.5
    recovery, _ = recovered(about, changes, STAGES, resamples=100, seed=0)
    row = recovery[(recovery["measure"] == "log p") & (recovery["stage"] == "llm 1")].iloc[0]
    total = -0.5 - about["degraded log p"].to_numpy()
    gained = np.array([0.75, 1.0, 0.75, 0.75]) * total
    image = [gained[:2].mean(), gained[2], gained[3]], [total[:2].mean(), total[2], total[3]]
    assert row["n"] == 3 and row["value"] == pytest.approx(np.mean(image[0]) / np.mean(image[1]))


def test_blocked_attention_is_told_in_two_measures() -> None:
    rows = blocked(items(), knockout(), resamples=100, seed=0).set_index(["measure", "layer"])["value"]
    assert rows["relative", 1] == pytest.approx(0.0)
    assert rows["relative", 2] == pytest.approx(-0.5)
    assert rows["nats", 0] == pytest.approx(-3.0)


def test_what_a_result_holds_is_drawn() -> None:
    one = result()
    assert held(one) == ["restore", "damage", KNOCKOUT]
    assert list(measures([one], "restore")) == ["log p", "difference", "probability"]
    drawn = chart([("a", one), ("b", one)], "restore")
    assert [series.label for series in drawn.series] == ["a, all visual tokens", "b, all visual tokens"]
    assert drawn.counted == "n = 6 images" and [name for name, _, _ in drawn.bands] == ["vision", "language"]
    knocked = chart([("", one)], KNOCKOUT, "nats")
    assert knocked.series[0].level == pytest.approx(-3.0) and knocked.series[0].x.tolist() == [0, 1]
    assert half(one, "restore") == pytest.approx((1.5, 1.5, 1.5))
    for name in held(one):
        for theme in ("light", "dark"):
            assert len(screen([("", one)], name, theme=theme).data) >= 2  # type: ignore[arg-type]
    assert len(paper(one).axes) == 3


def test_what_is_not_there_is_refused() -> None:
    one = result()
    with pytest.raises(Refusal, match="no curves called 'maps'"):
        chart([("", one)], "maps")
    with pytest.raises(Refusal, match="no measure 'nats' of restore"):
        chart([("", one)], "restore", "nats")
    bare = Result("causal", one.config, one.manifest, {"items": items()})
    with pytest.raises(Refusal, match="holds no knockout; its curves are none"):
        chart([("", bare)], KNOCKOUT)
    with pytest.raises(Refusal, match="nothing in common"):
        paper(bare)
    with pytest.raises(Refusal, match="holds no recovery"):
        table([("", bare)], RECOVERY, STUDIES["causal"].file("shows").TABLES[RECOVERY]())


def test_figures_and_tables_of_recipes() -> None:
    one = result()
    drawn = part([("dark", one)], "damage", SHOWS["damage"]())
    rows = drawn.numbers()
    assert set(rows["direction"]) == {"damage"} and set(rows["run"]) == {"dark"}
    written = table(
        [("dark", one), ("noise", one)], RECOVERY, STUDIES["causal"].file("shows").TABLES[RECOVERY]()
    )
    assert (
        "| dark | all visual tokens | llm 1 | 0.75 [0.75, 0.75] | 0.75 [0.75, 0.75] | 6 |"
        in written.markdown()
    )
    blocks = table([("", one)], KNOCKOUT, SHOWS["maps"]())
    assert "| image → answer | all |" in blocks.markdown() and "−50" in blocks.markdown()


def test_a_recipe_is_told_what_a_run_will_not_hold() -> None:
    chosen = SHOWS["restore"]()
    assert "not degraded" in lacks(CausalConfig(), "restore", chosen)
    dark = CausalConfig(corruption="dark_illumination", parts=("patching",), directions=("damage",))
    assert "its directions are damage" in lacks(dark, "restore", chosen)
    assert "its parts are patching" in lacks(dark, KNOCKOUT, chosen)
    assert "no maps are kept" in lacks(CausalConfig(corruption="dark_illumination"), "maps", SHOWS["maps"]())
    assert not lacks(dark, "damage", chosen)


def test_the_verdict_says_what_was_measured() -> None:
    said = " ".join(verdict(result()))
    assert "by −2.42 nats on average, and 3 of 6 answers" in said
    assert "tokens of the clean run into the degraded one undoes more than half of it up to llm 1.5" in said
    assert "image → answer −50\N{NO-BREAK SPACE}%" in said and "layers 1 to 2" in said
