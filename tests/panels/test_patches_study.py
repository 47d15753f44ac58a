"""Patches: what a click shows is what the model has there, whether it is open or its capture was saved."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.text import Text
from torch import Tensor

from probes.geometry import outliers
from probes.lens import lens, share_of_words
from probes.similarity import similarity_map
from tests.capture.fake import WORDS, FakeModel
from tests.models.hf.builders import saved as built
from workbench import models
from workbench.capture.attention import attention_rows
from workbench.capture.hidden import capture
from workbench.errors import Cancelled, Refusal
from workbench.images.corruptions import corrupt
from workbench.images.scenes import generate
from workbench.models.protocol import Capability, Grid, Model, Prompt, Tap
from workbench.panels.capture import study as capture_study
from workbench.panels.capture.config import CaptureConfig
from workbench.panels.patches import quantities as q
from workbench.panels.patches.config import PatchesConfig
from workbench.panels.patches.figure import LINE, Maps, asked_of, paper
from workbench.panels.patches.ladder import ladder, numbers, visible
from workbench.panels.patches.maps import same_place
from workbench.panels.patches.quantities import ALL, Asked, values
from workbench.panels.patches.saved import from_capture
from workbench.panels.patches.shows import OfMaps, OfWords, part
from workbench.panels.patches.study import run
from workbench.panels.specimen import truth
from workbench.runs.export import PAGE
from workbench.runs.parts import composed
from workbench.runs.result import Result
from workbench.runs.store import load, save

ASKED = "what colour is the star?"
CONFIG = PatchesConfig(
    image="scene:7", question=ASKED, corruption="gaussian_noise", intensity=0.9, seed=5, words=("red",)
)


@pytest.fixture(scope="module", params=["pocket-bagel", "llava"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Model:
    if request.param == "pocket-bagel":
        return models.open("pocket-bagel", device="cpu")
    return models.open(built("llava", tmp_path_factory.mktemp("patches")), device="cpu")


@pytest.fixture(scope="module")
def result(model: Model, tmp_path_factory: pytest.TempPathFactory) -> Result:
    folder = tmp_path_factory.mktemp("kept") / "run"
    save(run(CONFIG.model_copy(update={"max_new_tokens": 5}), model), folder)
    return load(folder)


@pytest.fixture(scope="module")
def fake() -> Any:
    return FakeModel(side=12, width=16)


def test_the_corrupted_picture_goes_in_with_the_question(result: Result) -> None:
    clean = generate([7], "test").images[0]
    np.testing.assert_array_equal(result.images["original"], clean)
    np.testing.assert_array_equal(result.images["shown"], corrupt(clean, "gaussian_noise", 0.9, seed=5))
    assert result.config["question"] == ASKED and result.study == "patches"


def test_similarity_and_norms_are_those_of_the_states(result: Result, model: Model) -> None:
    prompt = model.prepare([result.images["shown"]], ASKED)
    captured = capture(model, prompt)
    shown = q.stages_of(result)
    rows, cols = q.shape_of(result)
    assert {"projector", "llm 0"} <= set(shown)
    for stage, states, grid in zip(captured.stages, captured.states, captured.grids, strict=True):
        if stage.name not in shown or grid is None or grid.rows * grid.cols != rows * cols:
            continue
        expected = similarity_map(states[0], 5, rows, cols).ravel()
        np.testing.assert_allclose(values(result, stage.name, Asked(5)), expected, atol=2e-3)
        found = values(result, stage.name, Asked(5, q.NORM))
        np.testing.assert_allclose(found, np.linalg.norm(states[0], axis=1), rtol=1e-4)
        at = q.row_of(result, stage.name)
        np.testing.assert_array_equal(result.arrays["outliers"][at], outliers(states[0]).which)


def test_the_lens_is_the_models_own_head_at_every_language_stage(result: Result, model: Model) -> None:
    prompt = model.prepare([result.images["shown"]], ASKED)
    captured = capture(model, prompt)
    asked = Asked(3, word="red")
    rungs = {rung.stage: rung for rung in ladder(result, asked)}
    language = [stage.name for stage in captured.stages if stage.band == "llm"]
    assert list(rungs) == language
    table = result.tables["stages"].set_index("stage")
    for stage, states in zip(captured.stages, captured.states, strict=True):
        if stage.band != "llm":
            assert np.isnan(table.loc[stage.name, "share_of_words"]) if stage.name in table.index else True
            continue
        with torch.inference_mode():
            read = lens(
                states[0],
                lambda x: model.readout(torch.from_numpy(x)),
                top=5,
                words=model.beginnings("red"),
            )
        rung = rungs[stage.name]
        assert [text for text, _ in rung.read] == model.spelled(read.ids[3].tolist())
        np.testing.assert_allclose([p for _, p in rung.read], np.exp(read.logprobs[3]), rtol=1e-4)
        assert rung.word == pytest.approx(float(np.exp(read.chosen[3]).sum()), rel=1e-4)
        assert rung.entropy == pytest.approx(float(read.entropy[3]), abs=1e-4)
        expected = share_of_words(model.spelled(read.ids[:, 0].tolist()))
        assert table.loc[stage.name, "share_of_words"] == pytest.approx(expected)
        np.testing.assert_allclose(values(result, stage.name, Asked(0, q.ENTROPY)), read.entropy, atol=1e-4)


def test_the_first_word_is_the_one_that_the_answer_begins_with(result: Result, model: Model) -> None:
    first = result.tables["tokens"].iloc[0]
    word = result.tables["words"].iloc[0]
    assert str(int(first["id"])) in word["tokens"].split() and not word["asked"]
    assert q.words_of(result)[1:] == ["red"] or q.words_of(result) == ["red"]


def test_attention_is_what_the_answers_queries_give_the_patches(result: Result, model: Model) -> None:
    prompt = model.prepare([result.images["shown"]], ASKED)
    said = [int(number) for number in result.tables["tokens"]["id"]]
    longer, places = model.continued(prompt, said)
    seen = attention_rows(model, longer, places)
    queries = result.tables["queries"]
    assert queries["token"].tolist() == list(range(-1, len(said)))
    assert len(q.queries_of(result)) == len(said) + 2
    visual = prompt.visual.cpu().numpy()
    for stage, weights in zip(seen.stages, seen.weights, strict=True):
        own = weights[0][:, :, visual]
        for asked, expected in (
            (Asked(0, q.ATTENTION), own[:, : len(said)].mean(axis=(0, 1))),
            (Asked(0, q.ATTENTION, query=0, head=1), own[1, 0]),
        ):
            found = values(result, stage.name, asked)
            np.testing.assert_allclose(found, 100 * expected, atol=0.05)
    assert values(result, "llm 0", Asked(0, q.ATTENTION)) is None
    with pytest.raises(Refusal, match="heads"):
        values(result, seen.stages[0].name, Asked(0, q.ATTENTION, head=99))


def test_a_saved_capture_shows_the_same_without_the_model(
    result: Result, model: Model, tmp_path: Path
) -> None:
    config = CaptureConfig(
        images=("scene:7",),
        prompt=ASKED,
        corruption="gaussian_noise",
        intensity=0.9,
        seed=5,
        words=("red",),
        max_new_tokens=5,
        attention_rows=8,
    )
    save(capture_study.run(config, model), tmp_path / "run")
    (found,) = from_capture(load(tmp_path / "run"))
    assert found.config == result.config and found.manifest["capture"]["config"]["prompt"] == ASKED
    assert found.tables.keys() == result.tables.keys() and found.arrays.keys() == result.arrays.keys()
    assert found.tables["queries"].equals(result.tables["queries"])
    for stage in q.stages_of(result):
        for show in q.held(result):
            ours, theirs = (values(each, stage, Asked(5, show)) for each in (found, result))
            assert (ours is None) == (theirs is None)
            if ours is not None and theirs is not None:
                np.testing.assert_allclose(ours, theirs, atol=5e-3, rtol=2e-3)
    assert ladder(found, Asked(5))[-1].read[0][0] == ladder(result, Asked(5))[-1].read[0][0]


def test_a_capture_of_before_the_lens_opens_and_has_no_words(fake: Any) -> None:
    made = capture_study.run(CaptureConfig(images=("scene:7",)), fake)
    old = Result(
        made.study,
        {name: value for name, value in made.config.items() if name not in ("lens_top", "words")},
        made.manifest,
        {name: table for name, table in made.tables.items() if name not in ("vocabulary", "words")},
        {name: array for name, array in made.arrays.items() if not name.startswith("lens")},
        made.images,
    )
    (found,) = from_capture(old)
    assert q.held(found) == [q.SIMILARITY, q.NORM] and ladder(found, Asked(0)) == []
    assert "entropy_nats" not in numbers(found, Asked(0))


def test_a_model_that_neither_answers_nor_shows_attention_shows_the_rest(fake: Any) -> None:
    found = run(PatchesConfig(image="scene:7", words=("red",)), fake)
    assert q.held(found) == [q.SIMILARITY, q.WORD, q.ENTROPY, q.NORM]
    assert q.queries_of(found) == [] and q.heads_of(found) == 0
    rung = ladder(found, Asked(0))[-1]
    assert rung.read[0][0] in WORDS and np.isnan(rung.received)
    seen = capture(fake, fake.prepare([found.images["shown"]]))
    p = fake.readout(torch.from_numpy(seen.states[-1][0])).softmax(-1)
    np.testing.assert_allclose(values(found, "llm 4", Asked(0, q.WORD)), p[:, :2].sum(-1), atol=1e-5)
    with pytest.raises(Refusal, match="only for red"):
        values(found, "llm 4", Asked(0, q.WORD, "blue"))


def test_centred_cosines_are_centred(fake: Any) -> None:
    found = run(PatchesConfig(image="scene:7", centre=True), fake)
    states = capture(fake, fake.prepare([found.images["shown"]])).states[-1][0]
    expected = similarity_map(states, 3, 12, 12, centre=True).ravel()
    np.testing.assert_allclose(values(found, "llm 4", Asked(3)), expected, atol=5e-3)
    low, high = q.span([(found, Asked(3))], ["llm 4"])
    assert low < 0 < high


def test_stages_off_the_grid_are_left_out() -> None:
    class Coarser(FakeModel):
        """Its tower shows every other patch only."""

        def taps(self, prompt: Prompt) -> list[Tap]:
            positions = torch.arange(self.side**2)[::2]
            return [
                replace(tap, positions=positions, grid=None) if tap.stage.band == "vision" else tap
                for tap in super().taps(prompt)
            ]

    found = run(PatchesConfig(image="scene:7"), Coarser(side=12, width=16))  # type: ignore[arg-type]
    assert q.stages_of(found) == ["projector", *(f"llm {k}" for k in range(5))]


class Finer(FakeModel):
    """Its tower cuts four patches where the language model reads one, as towers do that merge them."""

    def tower(self, prompt: Prompt) -> Grid:
        return FakeModel(side=2 * self.side).prepare(prompt.images).grid

    def taps(self, prompt: Prompt) -> list[Tap]:
        fine = self.tower(prompt)
        return [replace(t, grid=fine) if t.stage.band == "vision" else t for t in super().taps(prompt)]

    def run(self, prompt: Prompt, seen: list[Tensor]) -> None:
        x = self.net["embed"](FakeModel(side=2 * self.side).cells(prompt))
        for block in self.net["vision"]:
            x = block(x)
        merged = x.reshape(len(prompt.images), self.side, 2, self.side, 2, -1).mean(dim=(2, 4))
        projected = self.net["project"](merged.reshape(-1, merged.shape[-1]))
        sequence = torch.zeros(len(prompt.images), self.before + 2 * self.side**2 + 2, self.width) + 0.1
        sequence[:, prompt.visual] = projected.reshape(len(prompt.images), self.side**2, -1)
        for block in self.net["llm"]:
            sequence = block(hidden_states=sequence)[0]


def test_finer_patches_are_drawn_as_the_mean_of_a_cell_and_counted() -> None:
    finer: Any = Finer(side=12, width=16)
    found = run(PatchesConfig(image="scene:7"), finer)
    states = capture(finer, finer.prepare([found.images["shown"]])).states[1][0]
    cells = states.reshape(12, 2, 12, 2, -1).mean(axis=(1, 3)).reshape(144, -1)
    expected = similarity_map(cells, 40, 12, 12).ravel()
    np.testing.assert_allclose(values(found, "vision 2", Asked(40)), expected, atol=2e-3)
    lengths = np.linalg.norm(states, axis=1).reshape(12, 2, 12, 2).mean(axis=(1, 3)).ravel()
    np.testing.assert_allclose(values(found, "vision 2", Asked(40, q.NORM)), lengths, rtol=1e-4)
    assert "mean of 4 finer ones" in q.said(found, "vision 2", Asked(40))
    assert "finer" not in q.said(found, "llm 2", Asked(40))


def test_the_first_patch_lies_on_the_largest_object(result: Result) -> None:
    labels = truth("scene:7", result.images["original"])
    assert labels is not None
    regions = labels.patch_regions(result.arrays["boxes"], 0.6)[0]
    names, sizes = np.unique(regions[regions >= 11], return_counts=True)
    if len(names):  # a coarse grid may have no pure patch
        assert regions[q.patch_in(result, None)] == names[sizes.argmax()]


def test_colours_compare_over_stages_or_say_up_to_where_they_go(result: Result) -> None:
    stages = [
        stage for stage in q.stages_of(result) if values(result, stage, Asked(0, q.ENTROPY)) is not None
    ]
    assert all(q.compared(result, q.ENTROPY, stage) == q.stages_of(result) for stage in stages)
    assert q.compared(result, q.ATTENTION, "llm 1") == ["llm 1"] == q.compared(result, q.SIMILARITY, "llm 1")
    most = max(float(values(result, stage, Asked(0, q.ENTROPY)).max()) for stage in stages)  # type: ignore[union-attr]
    assert q.span([(result, Asked(0, q.ENTROPY))], stages) == (0.0, pytest.approx(most))
    attended = [s for s in stages if values(result, s, Asked(0, q.ATTENTION)) is not None]
    for stage in attended:
        found = values(result, stage, Asked(0, q.ATTENTION))
        assert found is not None
        assert q.span([(result, Asked(0, q.ATTENTION))], [stage])[1] == pytest.approx(float(found.max()))


def test_colours_of_cosines_end_at_their_quantiles_whichever_patch_is_asked(result: Result) -> None:
    stages = q.stages_of(result)
    at, last = len(stages) - 1, stages[-1]
    tokens = result.arrays[f"tokens_{at:03d}"].astype(np.float64)
    pairs = [float(tokens[i] @ tokens[j]) for i in range(len(tokens)) for j in range(i)]
    low, high = q.span([(result, Asked(0))], [last])
    assert low == pytest.approx(np.quantile(pairs, 0.02), abs=0.0101) and low <= np.quantile(pairs, 0.021)
    assert high == pytest.approx(np.quantile(pairs, 0.98), abs=0.0101) and high >= np.quantile(pairs, 0.979)
    assert q.span([(result, Asked(7))], [last]) == (low, high)
    both = q.span([(result, Asked(0))], [stages[0], last])
    assert both[0] <= low and both[1] >= high
    alike = replace(
        result, arrays=result.arrays | {f"tokens_{at:03d}": np.full_like(tokens, tokens.shape[1] ** -0.5)}
    )
    low, high = q.span([(alike, Asked(0))], [last])
    assert low < high == 1.0, "also where all are alike there is a scale"


def test_paper_has_one_scale_or_says_that_each_map_has_its_own(result: Result) -> None:
    def words(show: str, scale: Any = None) -> str:
        drawn = composed([Maps([("", result)], Asked(0, show), scale=scale)], PAGE)
        return " ".join(text.get_text() for text in drawn.findobj(Text))

    assert "attention, %" in words(q.ATTENTION) and "max" not in words(q.ATTENTION)
    assert "attention, own scales" in words(q.ATTENTION, "each") and "max" in words(q.ATTENTION, "each")
    assert "length, own scales" in words(q.NORM) and "own" not in words(q.NORM, "one")
    assert " to " in words(q.SIMILARITY, "each") and "own" not in words(q.SIMILARITY)


def test_results_of_other_words_share_one_scale(fake: Any) -> None:
    one, two = (run(PatchesConfig(image="scene:7", words=(word,)), fake) for word in ("red", "star"))
    asked = Asked(0, q.WORD, "red")
    own = asked_of(one, asked, two)
    assert own.word == "" and asked_of(one, asked, one) is asked
    ends = [q.span([pair], ["llm 4"])[1] for pair in ((one, asked), (two, own))]
    assert q.span([(one, asked), (two, own)], ["llm 4"]) == (0.0, max(ends)) and ends[0] != ends[1]
    figure = paper([("one", one), ("two", two)], asked)
    assert sum(bool(axes.images) for axes in figure.axes) == 2 * (1 + 5 + 1)


def test_maps_take_their_place_in_a_figure(result: Result) -> None:
    maps = part([("one", result)], "similarity maps", OfMaps(patch=(2, 3)))
    assert len(maps.numbers()) == len(numbers(result, Asked(0))) and set(maps.numbers()["run"]) == {"one"}
    figure = composed([maps, part([("one", result)], "norm maps", OfMaps())], PAGE)
    letters = [text.get_text() for text in figure.texts if text.get_weight() == "bold"]
    assert letters == ["a", "b"] and figure.get_size_inches()[0] == PAGE
    assert figure.get_figheight() == pytest.approx(2 * maps.height(PAGE) + LINE)
    with pytest.raises(Refusal, match="no patch in row 99"):
        part([("one", result)], "similarity maps", OfMaps(patch=(99, 1)))
    with pytest.raises(Refusal, match="no map of 'llm 99'"):
        part([("one", result)], "norm maps", OfMaps(stage="llm 99"))
    with pytest.raises(Refusal, match="not asked for the word 'mouse'"):
        part([("one", result)], "word maps", OfWords(word="mouse"))


@pytest.mark.parametrize("vision", [0, 1, 27])
@pytest.mark.parametrize("llm", [2, 8, 28])
def test_a_row_of_maps_holds_the_ends_the_entry_and_the_chosen_stage(vision: int, llm: int) -> None:
    stages = [f"vision {i}" for i in range(vision)] + ["projector"] + [f"llm {i}" for i in range(llm + 1)]
    for chosen in (None, *stages):
        row = q.shown_stages(stages, chosen)
        assert len(row) == len(set(row)) == min(5, len(stages))
        assert row == sorted(row, key=stages.index)
        assert {stages[0], stages[-1], "llm 0"} <= set(row)
        assert chosen is None or chosen in row


def test_the_numbers_are_those_of_the_maps(result: Result) -> None:
    table = numbers(result, Asked(7))
    count = len(result.arrays["boxes"])
    assert len(table) == count * len(q.stages_of(result))
    last = table[table["stage"] == q.stages_of(result)[-1]]
    np.testing.assert_allclose(last["cosine"], values(result, q.stages_of(result)[-1], Asked(7)))
    assert last["row"].iloc[-1] == q.shape_of(result)[0]
    assert last["token_1"].iloc[7] == ladder(result, Asked(7))[-1].read[0][0]
    assert table[table["stage"] == "projector"]["entropy_nats"].isna().all()


def test_the_same_place_is_found_on_another_grid(fake: Any) -> None:
    fine = run(PatchesConfig(image="scene:7"), fake)
    coarse = run(PatchesConfig(image="scene:7"), FakeModel(side=6, width=16))  # type: ignore[arg-type]
    assert same_place(fine, 3 * 12 + 7, coarse) == 1 * 6 + 3
    assert same_place(fine, 143, fine) == 143


def test_white_space_is_seen() -> None:
    assert visible(" red") == "␣red" and visible("\n") == "\\n" and visible("é") == "é" and visible("")


def test_what_is_not_there_is_refused(result: Result, fake: Any) -> None:
    with pytest.raises(Refusal, match="llm 0 … llm"):
        values(result, "llm 99", Asked(0))
    with pytest.raises(Refusal, match="outside the grid"):
        values(result, "llm 1", Asked(10_000))
    with pytest.raises(Refusal, match="Choose one of similarity"):
        values(result, "llm 1", Asked(0, "mood"))
    with pytest.raises(Refusal, match="row 99"):
        q.patch_in(result, (99, 1))
    with pytest.raises(Refusal, match="no token for 'xylophone'"):
        run(PatchesConfig(image="scene:7", words=("xylophone",)), fake)
    with pytest.raises(Refusal, match="rainbow"):
        run(PatchesConfig(image="scene:7", corruption="rainbow"), fake)
    with pytest.raises(Refusal, match="Name an image"):
        run(PatchesConfig(), fake)
    blind: Any = FakeModel()
    blind.card = replace(blind.card, capabilities=frozenset({Capability.ANSWERS}))
    with pytest.raises(Refusal, match="hidden states"):
        run(PatchesConfig(image="scene:7"), blind)
    with pytest.raises(Cancelled):
        run(PatchesConfig(image="scene:7"), fake, stop=lambda: True)


def test_all_queries_of_an_answer_are_told_apart(result: Result) -> None:
    named = q.queries_of(result)
    assert named[0][1] == ALL and named[0][0].startswith("the answer")
    assert len({name for name, _ in named}) == len(named)
    assert "last token of the prompt" in named[1][0]
