"""What stands in place of the drawing, what is compared with what, and work that is ended and taken up."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.page.fake import said
from tests.panels.fake_branch import Branching, FakeReply
from workbench.datasets.collection import Asked
from workbench.errors import Cancelled, Refusal
from workbench.models.protocol import Answer, Branch, Capability, Event
from workbench.panels.interventions import figure
from workbench.panels.interventions.again import _rows, same
from workbench.panels.interventions.collection import _Over
from workbench.panels.interventions.config import OWN, STATES, InterventionsConfig
from workbench.panels.interventions.effects import effects
from workbench.panels.interventions.rows import pictures
from workbench.panels.interventions.shows import PICTURES, TABLE, OfEffects, lacks, part, table
from workbench.panels.interventions.states import GREY, Pictures, picture_of, wanted
from workbench.panels.interventions.study import other_scene, prepared, run
from workbench.panels.interventions.verdict import verdict
from workbench.panels.specimen import find
from workbench.runs import unfinished
from workbench.runs.result import Result

ONE = InterventionsConfig(
    image="scene:10",
    question="what colour is the star?",
    corruption="dark_illumination",
    intensity=0.9,
    truth="bright",
    steps=2,
)
MANY = InterventionsConfig(corruption="dark_illumination", intensity=0.9, n=6, each=2, resamples=100)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def of_one(**changed: Any) -> Result:
    return run(ONE.model_copy(update=changed), Branching())


def row(result: Result, state: str, route: str) -> dict[str, Any]:
    rows = result.tables["answers"]
    (found,) = rows[(rows["state"] == state) & (rows["route"] == route)].to_dict("records")
    return {str(key): value for key, value in found.items()}


class TestStates:
    def test_each_is_what_it_is_called(self) -> None:
        picture, other = find("scene:10").picture.pixels, np.full((20, 30, 3), 7, np.uint8)
        held = Pictures(picture, picture // 4, other, picture // 2)
        made = {state: picture_of(state, held, 3) for state in STATES}
        assert made["none"] is None
        np.testing.assert_array_equal(made["degraded"], picture // 4)
        np.testing.assert_array_equal(made["clean"], picture)
        np.testing.assert_array_equal(made["painted"], picture // 2)
        assert made["other"].shape == picture.shape and (made["other"] == 7).all()
        assert (made["blank"] == GREY).all()
        noise = made["noise"]
        assert noise.std() == pytest.approx(255 / 12**0.5, rel=0.02)
        np.testing.assert_array_equal(noise, picture_of("noise", held, 3))
        assert not np.array_equal(noise, picture_of("noise", held, 4))

    def test_those_that_are_not_there_are_left_out(self) -> None:
        picture = find("scene:10").picture.pixels
        assert wanted(STATES, Pictures(picture, picture), "none") == ["none", "clean", "blank", "noise"]

    def test_another_scene_is_another_one_and_always_the_same(self) -> None:
        assert other_scene(5, "scene:10").source == other_scene(5, "").source != other_scene(6, "").source
        first = other_scene(5, "").source
        assert other_scene(5, first).source != first


class TestOnePicture:
    def test_every_state_by_every_route(self) -> None:
        result = of_one()
        rows = result.tables["answers"]
        states = [OWN, *(state for state in STATES if state != "painted")]
        assert [*zip(rows["route"], rows["state"], strict=True)] == [
            (route, state) for route in ("re-encode", "bridge", "both") for state in states
        ]
        assert set(result.images) == {"original", "degraded", OWN, *states} - {"none"}
        assert bool(result.tables["responses"]["drew"].iloc[0])

    def test_what_is_compared_with_what(self) -> None:
        result = of_one()
        shown = {state: float(result.images[state].mean()) for state in result.images}
        for route, share in (("re-encode", 1.0), ("bridge", 0.5)):
            own = FakeReply(share * shown[OWN])
            for state in ("clean", "noise", "none"):
                level = shown["degraded"] if state == "none" else share * shown[state]
                expected, found = FakeReply(level), row(result, state, route)
                assert found["own answer"] == own.answer.text
                assert found["answer"] == expected.answer.text
                assert found["flipped"] == (expected.answer.text != own.answer.text)
                word = [own.answer.text, "bright"]
                np.testing.assert_allclose(
                    [found["delta"], found["truth delta"]], expected.score(word) - own.score(word), atol=1e-9
                )
                assert found["right"] == (expected.answer.text == "bright")
            assert row(result, OWN, route)["delta"] == 0 and not row(result, OWN, route)["flipped"]

    def test_a_painting_stands_in_too(self) -> None:
        drawn = of_one().images[OWN]
        painted = np.zeros_like(drawn)
        result = run(ONE, Branching(), painted=painted)
        assert row(result, "painted", "both")["answer"] == "dark"
        np.testing.assert_array_equal(result.images["painted"], painted)
        assert "painted" in result.manifest["images"]

    def test_a_painting_from_a_file(self, tmp_path: Path) -> None:
        Image.fromarray(np.full((96, 96, 3), 250, np.uint8)).save(tmp_path / "edit.png")
        assert row(of_one(painted=str(tmp_path / "edit.png")), "painted", "both")["answer"] == "bright"
        with pytest.raises(Refusal):
            prepared(ONE.model_copy(update={"painted": str(tmp_path / "missing.png")}))

    def test_only_what_was_asked_for(self) -> None:
        result = of_one(states=("blank",), routes=("bridge",))
        assert result.tables["answers"]["state"].tolist() == [OWN, "blank"]
        assert set(result.tables["answers"]["route"]) == {"bridge"}

    def test_a_scene_knows_the_answer_to_its_own_question_only(self) -> None:
        assert of_one(truth="").tables["answers"]["truth"].iloc[0] == find("scene:10").truth
        other = of_one(truth="", question="what is there?")
        assert (other.tables["answers"]["truth"] == "").all()
        assert other.tables["answers"]["right"].isna().all()

    def test_a_model_that_does_not_draw_is_refused(self) -> None:
        with pytest.raises(Refusal, match="decided not to draw"):
            run(ONE.model_copy(update={"restore": "auto"}), Branching(lambda image: False))
        plain = Branching()
        plain.card = replace(plain.card, capabilities=frozenset({Capability.ANSWERS}))
        with pytest.raises(Refusal, match="cannot draw an image or draw on its way to an answer"):
            run(ONE, plain)

    def test_a_painting_needs_its_image(self) -> None:
        with pytest.raises(Refusal, match="belong to one image"):
            prepared(MANY.model_copy(update={"painted": "edit.png"}))


class TestCollection:
    def test_an_interrupted_run_ends_as_if_it_had_not_been(self, monkeypatch: pytest.MonkeyPatch) -> None:
        whole, first, second = Branching(), Branching(), Branching()
        expected = run(MANY, whole)
        assert not unfinished.place().exists(), "nothing was put down so soon"
        monkeypatch.setattr(unfinished.Unfinished, "due", property(lambda self: True))
        with pytest.raises(Cancelled):
            run(MANY, first, stop=lambda: len(first.seen) >= 7)
        found = run(MANY, second)
        for name in ("effects", "answers", "responses", "data"):
            pd.testing.assert_frame_equal(found.tables[name], expected.tables[name])
        # The image that was in progress is asked about again, and no other.
        assert first.seen[:6] + second.seen == whole.seen

    def test_another_image_is_another_one(self) -> None:
        over = _Over(MANY, Branching(), lambda share, words: None, lambda: False)
        for place in range(over.count):
            sample = over._read(place)
            assert not np.array_equal(over._other(place), sample.pixels)  # type: ignore[union-attr]

    def test_what_it_decides_not_to_draw_for_is_counted(self) -> None:
        bright = np.median([np.frombuffer(b, np.uint8).mean() for b in _seen()])
        model = Branching(lambda image: image.mean() < bright)
        result = run(MANY.model_copy(update={"restore": "auto"}), model)
        about = result.tables["data"].set_index("what")["value"]
        drew = int(result.tables["responses"]["drew"].sum())
        assert 0 < drew < len(result.tables["responses"]) == 12
        assert about["questions answered after a drawing"] == str(drew)
        with pytest.raises(Refusal, match="drew for 0 of 6"):
            run(MANY.model_copy(update={"restore": "auto"}), Branching(lambda image: False))

    def test_a_question_may_stand_twice_about_one_image(self, tmp_path: Path) -> None:
        found = run(MANY.model_copy(update={"data": _tsv(tmp_path, [0, 0, 1, 1])}), Branching())
        assert found.tables["responses"]["item"].tolist() == [0, 1, 2, 3]
        assert found.tables["responses"]["image"].tolist() == [0, 0, 1, 1]
        assert set(found.tables["effects"]["n"]) == {2} and set(found.tables["effects"]["questions"]) == {4}

    def test_images_of_all_splits_are_asked_about(self, tmp_path: Path) -> None:
        data = _tsv(tmp_path, range(8))
        found = run(MANY.model_copy(update={"data": data, "n": 200}), Branching())
        assert set(found.tables["responses"]["name"]) == {str(k) for k in range(8)}
        about = found.tables["data"].set_index("what")["value"]
        assert about["images"] == "8" and "note" not in about, "nothing was divided"
        with pytest.raises(Refusal, match=r"too few images \(1\)"):
            run(MANY.model_copy(update={"data": _tsv(tmp_path, [0])}), Branching())

    def test_time_left_is_told(self) -> None:
        said: list[str] = []
        run(MANY, Branching(), progress=lambda share, words: said.append(words))
        assert any("left" in words for words in said) and said[-1] == "done"


def _tsv(folder: Path, images: Iterable[int]) -> str:
    """A benchmark that asks the same of each of these images."""
    lines = ["index\timage\tquestion\tanswer"]
    for k, image in enumerate(images):
        buffer = io.BytesIO()
        Image.fromarray(np.full((32, 32, 3), 40 + 20 * image, np.uint8)).save(buffer, "PNG")
        lines.append(f"{k}\t{base64.b64encode(buffer.getvalue()).decode()}\thow is it?\tbright")
    (folder / "bench.tsv").write_text("\n".join(lines) + "\n")
    return str(folder / "bench.tsv")


def _seen() -> list[bytes]:
    model = Branching()
    run(MANY, model)
    return model.seen


def test_effects_are_means_over_images_of_their_questions() -> None:
    """Worked by hand: two images, two questions about the first, one about the second."""

    def line(image: str, item: str, state: str, delta: float, flipped: bool, right: float) -> dict[str, Any]:
        about = {"image": image, "item": image + item, "route": "both", "state": state}
        return about | {"delta": delta, "truth delta": np.nan, "flipped": flipped, "right": right}

    answers = pd.DataFrame(
        [
            line("a", "1", OWN, 0, False, 1),
            line("a", "1", "none", -2, True, 0),
            line("a", "2", OWN, 0, False, 0),
            line("a", "2", "none", -1, False, 0),
            line("b", "1", OWN, 0, False, 0),
            line("b", "1", "none", 1, True, 1),
        ]
    )
    found = effects(answers, resamples=200, seed=0).set_index(["measure", "state"])
    assert "truth delta" not in found.index.get_level_values(0)
    expected = {
        "delta": (-1.5 + 1) / 2,
        "flips": (0.5 + 1) / 2,
        "accuracy": (0 + 1) / 2,
        "accuracy change": (-0.5 + 1) / 2,
        "right to wrong": (0.5 + 0) / 2,
        "wrong to right": (0 + 1) / 2,
    }
    for measure, value in expected.items():
        here = found.loc[(measure, "none")]
        assert here["value"] == pytest.approx(value), measure
        assert (here["n"], here["questions"]) == (2, 3)
        assert here["low"] <= value <= here["high"]
    assert found.loc[("delta", "none"), "low"] == pytest.approx(-1.5)
    assert found.loc[("delta", "none"), "high"] == pytest.approx(1)


def test_nothing_of_nothing_has_an_interval() -> None:
    """That all or none of six images do something leaves Wilson's interval, of a difference to both sides."""
    about = {"route": "both", "truth delta": np.nan}
    answers = pd.DataFrame(
        about | {"item": k, "image": k, "state": state, "delta": -1.0 * (state != OWN)}
        | {"flipped": float(state == "blank"), "right": 1.0}
        for k in range(6)
        for state in (OWN, "none", "blank")
    )  # fmt: skip
    found = effects(answers, resamples=200, seed=0).set_index(["measure", "state"])
    bound = 1.96**2 / (6 + 1.96**2)

    expected = {
        ("flips", "none"): (0, bound),
        ("flips", "blank"): (1 - bound, 1),
        ("accuracy", OWN): (1 - bound, 1),
        ("accuracy", "none"): (1 - bound, 1),
        ("right to wrong", "none"): (0, bound),
        ("wrong to right", "none"): (0, bound),
        ("accuracy change", "none"): (-bound, bound),
        ("delta", "none"): (-1, -1),  # A mean of numbers stays as it is, and so does what cannot change.
        ("flips", OWN): (0, 0),
        ("accuracy change", OWN): (0, 0),
    }
    for key, interval in expected.items():
        assert tuple(found.loc[key, ["low", "high"]]) == pytest.approx(interval, abs=1e-4), key


class TestMatched:
    """What is right is what counts as the answer everywhere else."""

    @pytest.mark.parametrize(
        ("asked", "said", "right"),
        [
            (Asked("Which?\nA. cat\nB. dog", "B", ("A", "B"), "choice"), "The answer is B.", 1.0),
            (Asked("Which?\nA. cat\nB. dog", "B", ("A", "B"), "choice"), "a dog", 1.0),
            (Asked("Which?\nA. cat\nB. dog", "A", ("A", "B"), "choice"), "**A**", 1.0),
            (Asked("Which?\nA. cat\nB. dog", "A", ("A", "B"), "choice"), "Option B", 0.0),
            (Asked("Is there one?", "Yes", ("Yes", "No")), "Yes, there is one.", 1.0),
            (Asked("How many?", "3"), "three", 1.0),
            (Asked("What colour?", "red"), "redder", 0.0),
        ],
    )
    def test_by_the_kind_of_question(self, asked: Asked, said: str, right: float) -> None:
        (row_,) = _rows({OWN: Saying(said)}, asked)
        assert row_["right"] == right

    def test_of_one_image_options_may_stand_in_the_question(self) -> None:
        result = of_one(question="how is it?\nA. dark\nB. bright", truth="B", states=("blank",))
        assert row(result, OWN, "re-encode")["right"] == 1 and row(result, OWN, "re-encode")["truth"] == "B"

    def test_an_empty_answer_changes_to_nothing(self) -> None:
        asked = Asked("What colour?", "red")
        silent = _rows({OWN: Saying(" "), "none": Saying("red"), "blank": Saying("")}, asked)
        assert all(np.isnan(float(str(each["flipped"]))) for each in silent)
        spoken = _rows({OWN: Saying("red"), "none": Saying(""), "blank": Saying("Red.")}, asked)
        assert [each["flipped"] for each in spoken] == [0, 1, 0]


class Saying(FakeReply):
    """Says what it is told to."""

    def __init__(self, words: str) -> None:
        super().__init__(200.0)
        self.answer = said(words, 0.5) if words.strip() else Answer(words, (), 0.0)


class Silent(Branching):
    """Says nothing after the drawing itself where the image is darker than the given level."""

    def __init__(self, level: float) -> None:
        super().__init__()
        self.level = level

    def branched(self, image: np.ndarray, *rest: Any, **more: Any) -> Iterator[Event | Branch]:
        for event in super().branched(image, *rest, **more):
            if isinstance(event, Branch) and image.mean() < self.level:
                event.own = Saying("")
            yield event


class TestWithoutWords:
    def test_of_one_image_nothing_is_told_of_an_answer_that_is_not_there(self) -> None:
        result = of_one_of(Silent(255))
        first, *others = verdict(result)
        assert "By re-encode, the model says nothing after its own drawing" in first
        assert "does not rest" not in first and len(others) == 2 and "nothing" not in " ".join(others)
        html = pictures(result).split("<tbody>")[1].split("</tr>")[0]
        assert "(changed)" not in html and "no words" in html
        figure.paper(result)

    def test_of_a_collection_they_are_counted(self) -> None:
        level = float(np.median([np.frombuffer(b, np.uint8).mean() for b in _seen()]))
        result = run(MANY, Silent(level))
        answers = result.tables["answers"]
        own = answers[(answers["route"] == "re-encode") & (answers["state"] == OWN)]
        silent = int((own["answer"] == "").sum())
        assert 0 < silent < len(own) == 12
        flips = result.tables["effects"].set_index(["measure", "route", "state"])
        assert flips.loc[("flips", "re-encode", "none"), "questions"] == len(own) - silent
        assert flips.loc[("flips", "bridge", "none"), "questions"] == len(own)
        (words,) = [sentence for sentence in verdict(result) if "nothing" in sentence]
        assert f"By re-encode, the model says nothing after its own drawing to {silent} of 12" in words
        assert set(table([("", result)], TABLE, OfEffects(route="re-encode")).written["n"]) == {"3 to 6"}


def of_one_of(model: Branching) -> Result:
    return run(ONE, model)


def test_the_same_words() -> None:
    assert same("Yes!", "yes") and not same("yes", "no") and same("", " ")


class TestShown:
    def test_a_collection(self) -> None:
        result = run(MANY, Branching())
        drawn = figure.paper(result)
        assert len(drawn.axes) == 4
        text = {each.get_text() for axes in drawn.axes for each in axes.get_yticklabels()}
        assert {"no drawing", "blank", "own drawing"} <= text
        (trace, *_) = figure.screen([("", result)], "delta").data
        table_ = result.tables["effects"]
        here = table_[(table_["measure"] == "delta") & (table_["route"] == "re-encode")].set_index("state")
        np.testing.assert_allclose(
            trace.x, here.loc[["none", "degraded", "clean", "other", "blank", "noise"], "value"]
        )
        said = " ".join(verdict(result))
        assert "By re-encode, leaving the drawing out changes" in said and "n = 6 images" in said
        written = table([("", result)], TABLE, OfEffects(route="both")).written
        assert len(written) == 7 and set(written["route"]) == {"both"}
        made = part([("", result)], "flips", OfEffects())
        assert set(made.numbers()["measure"]) == {"flips"}
        with pytest.raises(Refusal, match="is of a collection"):
            part([("", result)], PICTURES, OfEffects())

    def test_one_image(self) -> None:
        result = of_one()
        drawn = figure.paper(result)
        words = [text.get_text() for text in drawn.texts]
        assert "its own drawing" not in words and words.count("own drawing") == 1
        assert drawn.get_size_inches()[0] == 6.75
        assert "By re-encode, the answer “bright”" in " ".join(verdict(result))
        with pytest.raises(Refusal, match="is of one image"):
            part([("", result)], "delta", OfEffects())

    def test_what_a_run_will_lack_is_known_before(self) -> None:
        assert "of one image" in lacks(ONE, "delta", OfEffects())
        assert "of a collection" in lacks(MANY, PICTURES, OfEffects())
        assert "its routes are both" in lacks(
            MANY.model_copy(update={"routes": ("both",)}), "delta", OfEffects(route="bridge")
        )
        assert not lacks(MANY, "delta", OfEffects()) and not lacks(ONE, PICTURES, OfEffects())
