"""The study of one image and of a collection on the embedded model, few steps of each."""

from __future__ import annotations

import numpy as np
import pytest

from probes.attribution.faithfulness import walk
from workbench import models
from workbench.errors import Cancelled, Refusal
from workbench.images.scenes import SHAPES
from workbench.models.protocol import Model
from workbench.panels.attribution import study
from workbench.panels.attribution.asked import named
from workbench.panels.attribution.case import Case
from workbench.panels.attribution.chart import maps, stages_of, targets_of
from workbench.panels.attribution.config import METHODS, AttributionConfig
from workbench.panels.attribution.halving import Halving
from workbench.panels.attribution.methods import METHODS as KNOWN
from workbench.panels.attribution.methods.gradients import function
from workbench.panels.attribution.names import LABELS
from workbench.panels.attribution.target import Spoken, spoken, words_of
from workbench.panels.specimen import find, truth
from workbench.runs.store import load, save

QUESTION = "what colour is the star?"
QUICK = {
    "steps": 4,
    "draws": 2,
    "samples": 12,
    "segments": 9,
    "curve_steps": 2,
    "removals": 3,
    "sensitivity": 0,
}


@pytest.fixture(scope="module")
def model() -> Model:
    return models.open("pocket-bagel")


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return find("scene:10").picture.pixels


def case_of(model: Model, image: np.ndarray, *, said: Spoken | None = None, **given: object) -> Case:
    config = AttributionConfig(question=QUESTION, **given)
    said = said or spoken(model, model.prepare([image], QUESTION))
    return Case(model, image, said, config)


def test_every_method_is_known_by_name() -> None:
    assert tuple(KNOWN) == METHODS and set(METHODS) <= set(LABELS)


def test_integrated_gradients_are_complete(model: Model, image: np.ndarray) -> None:
    case = case_of(model, image[:48, :48], steps=48)
    found = KNOWN["integrated-gradients"].explain(case)
    gain = case.value[0] - case.spoken.targets[0].value(case.rows([case.baseline]))[0]
    assert found.maps[0, 0].sum() == pytest.approx(gain, rel=0.02)
    assert found.told["completeness"][0] < 0.02
    of_tokens = KNOWN["token-gradients"].explain(case)
    assert of_tokens.maps[0, 0].sum() == pytest.approx(gain, rel=0.02)


def test_gradients_are_those_of_small_steps(model: Model, image: np.ndarray) -> None:
    """Pixels' gradients against central differences along one random direction."""
    import torch

    case = case_of(model, image)
    pixels, forward = case.read(image).requires_grad_(), function(case, 0)
    (slope,) = torch.autograd.grad(forward(pixels).sum(), pixels)
    # Along the gradient itself, where the change is large beside the rounding of float32.
    way = slope / slope.norm()
    step = 0.02
    with torch.no_grad():
        change = forward(pixels + step * way) - forward(pixels - step * way)
    assert float(change) / (2 * step) == pytest.approx(float(slope.norm()), rel=0.05)


def test_occlusion_is_what_a_loop_over_windows_finds(model: Model) -> None:
    image = find("scene:10").picture.pixels[:48, :64]
    case = case_of(model, image, window=2)
    found = KNOWN["occlusion"].explain(case).maps[0, 0].reshape(case.grid.rows, case.grid.cols)
    down, across = (
        round(n / c) for n, c in zip(image.shape[:2], (case.grid.rows, case.grid.cols), strict=True)
    )
    lost, seen = np.zeros(image.shape[:2]), np.zeros(image.shape[:2])
    prompt = model.prepare([image], QUESTION)
    whole = float(model.said(prompt, case.spoken.sequences[0]).sum())
    for y in range(0, image.shape[0] - down, down):
        for x in range(0, image.shape[1] - across, across):
            other = image.copy()
            window = (slice(y, y + 2 * down), slice(x, x + 2 * across))
            other[window] = np.rint(image.mean(axis=(0, 1)))
            now = float(model.said(model.prepare([other], QUESTION), case.spoken.sequences[0]).sum())
            lost[window] += whole - now
            seen[window] += 1
    brute = (lost / seen).reshape(case.grid.rows, down, case.grid.cols, across).mean(axis=(1, 3))
    assert np.abs(found - brute).max() < 1e-3 * np.abs(brute).max() + 1e-4


def test_an_image_is_asked_about_once_and_memory_halves_the_batch(model: Model, image: np.ndarray) -> None:
    case = case_of(model, image)
    shown = case.without(walk(np.arange(case.cells), "deletion", 4))
    tried: list[int] = []
    said = model.said

    def full(prompt, tokens):  # type: ignore[no-untyped-def]
        tried.append(prompt.batch)
        if prompt.batch > 2:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return said(prompt, tokens)

    plain = case.rows(shown)
    assert case.passes == 5
    case.rows(shown[1:3])
    assert case.passes == 5
    other = case_of(model, image, said=case.spoken)
    other.batches = Halving(8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model, "said", full)
        assert np.allclose(other.rows(shown), plain, atol=1e-4)
    assert max(tried) > 2 and other.batches.at_once == 2


def test_without_room_for_one_image_it_says_so() -> None:
    def never_fits(count: int) -> None:
        raise MemoryError

    with pytest.raises(Refusal, match="not enough memory"):
        Halving(4).run(never_fits)
    with pytest.raises(RuntimeError, match="another"):
        Halving(4).run(lambda count: (_ for _ in ()).throw(RuntimeError("another fault")))


def test_words_are_the_tokens_between_white_space() -> None:
    assert words_of([" a", " red", "dish", " star", "."]) == [
        ("a", [0]),
        ("reddish", [1, 2]),
        ("star.", [3, 4]),
    ]
    assert words_of(["▁", "yes"]) == [("▁yes", [0, 1])]


def test_a_result_holds_every_map_and_opens_without_the_model(model: Model, tmp_path) -> None:  # type: ignore[no-untyped-def]
    config = AttributionConfig(image="scene:10", question=QUESTION, methods=METHODS, **QUICK)
    heard, shown = [], []
    found = study.run(config, model, progress=lambda done, text: heard.append(done), show=shown.append)
    save(found, tmp_path / "run")
    result = load(tmp_path / "run")
    assert heard == sorted(heard) and heard[-1] == 1.0
    assert len(shown) > 10 and len(shown[0].tables["maps"]) < len(result.tables["maps"])
    assert stages_of(result)[:2] == ["all layers", "llm 0"]
    drawn = maps(result)
    assert {one.method for one in drawn} == set(METHODS) - {"deeplift"}
    assert all(np.abs(one.values).max() == pytest.approx(1) for one in drawn)
    assert all(
        {"deletion", "insertion", "infidelity", "pointing"} <= set(one.measures)
        for one in drawn
        if one.method not in ("kernel-shap", "lime")
    )
    assert all(set(one.curves) == {"deletion", "insertion"} for one in drawn)
    # The whole image at the beginning of one curve and at the end of the other.
    assert drawn[0].curves["deletion"][0] == pytest.approx(drawn[0].curves["insertion"][-1], rel=1e-3)
    refused = result.tables["methods"].set_index("method")["refused"]
    assert "integrated-gradients" in refused["deeplift"]
    assert len(result.tables["agreement"]) == 13**2
    assert {one.method for one in maps(result, stage="llm 3")} >= {"attention", "grad-cam", "saliency"}
    with pytest.raises(Refusal, match="llm 99"):
        maps(result, stage="llm 99")


def test_two_answers_are_compared(model: Model, image: np.ndarray) -> None:
    said = spoken(model, model.prepare([image], QUESTION), answer="yellow", versus="red")
    (target,) = said.targets
    case = case_of(model, image, said=said)
    scores = model.score(model.prepare([image], QUESTION), ["yellow", "red"])[0]
    assert case.value[0] == pytest.approx(
        scores[0] - scores[1], abs=0.05
    )  # which also count the answer's end
    assert 0.99 < target.likelihood(case.value)[0] <= 1
    for name in ("attention", "relevancy", "input-x-gradient"):
        assert KNOWN[name].explain(case).maps.shape == (1, 9 if name == "attention" else 1, 144)
    with pytest.raises(Refusal, match="Both answers"):
        spoken(model, model.prepare([image], QUESTION), answer="red", versus="red")


def test_each_word_of_an_answer_has_its_map(model: Model) -> None:
    config = AttributionConfig(
        image="scene:10", question=QUESTION, answer="a yellow star", methods=("saliency", "ablation"), **QUICK
    )
    result = study.run(config, model)
    assert targets_of(result) == ["the answer", "a", "yellow", "star"]
    whole, *words = (maps(result, k, only=["ablation"])[0] for k in range(4))
    table = result.tables["maps"]
    raw = result.arrays["maps"][table.index[table["method"] == "ablation"]]
    assert np.allclose(raw[0], raw[1:].sum(axis=0), atol=1e-4)  # log-probabilities add up, and so do losses


def test_sensitivity_is_measured_of_nearly_the_same_image(model: Model) -> None:
    config = AttributionConfig(
        image="scene:10",
        question=QUESTION,
        methods=METHODS,
        **(QUICK | {"sensitivity": 1, "radius": 2}),
    )
    found = {one.method: one.measures for one in maps(study.run(config, model))}
    assert set(found) == set(METHODS) - {"deeplift"}
    assert "sensitivity" not in found.pop("random")
    for name, measures in found.items():
        assert 0 < measures["sensitivity"] < 5, name


def test_a_scene_tells_what_is_asked_about(image: np.ndarray) -> None:
    from workbench.images.scenes import CLASSES

    labels = truth("scene:10", image)
    assert labels is not None
    found = named(QUESTION, labels.samples[0], CLASSES)
    assert found is not None and found.name == "star" and 0 < found.mask.mean() < 0.1
    assert named("how many things are there?", labels.samples[0], CLASSES) is None


def test_a_collection_says_where_methods_point(model: Model) -> None:
    config = AttributionConfig(n=3, methods=("attention", "saliency", "random"), resamples=100)
    result = study.run(config, model)
    table = result.tables["pointing"].set_index(["measure", "method", "stage"])
    assert (table["n"] == 3).all()
    chance = table.loc[("pointing", "chance", ""), "value"]
    assert 0 < chance < 0.5
    assert table.loc[("pointing", "attention", "all layers"), "above"] == pytest.approx(
        table.loc[("pointing", "attention", "all layers"), "value"] - chance
    )
    assert {"centre", "largest thing"} <= set(result.tables["items"]["method"])
    assert result.tables["questions"]["about"].isin(SHAPES).all()


def test_bad_input_is_refused(model: Model) -> None:
    for given, words in (
        ({"question": QUESTION}, "--question belongs to one image"),
        ({"regions": "masks"}, "masks belong to one image"),
        ({"image": "scene:10"}, "no question"),
    ):
        with pytest.raises(Refusal, match=words):
            study.run(AttributionConfig(**given), model)


def test_it_stops(model: Model) -> None:
    config = AttributionConfig(image="scene:10", question=QUESTION, methods=("occlusion",), **QUICK)
    asked = iter([False] * 2 + [True] * 1000)
    with pytest.raises(Cancelled):
        study.run(config, model, stop=lambda: next(asked))
