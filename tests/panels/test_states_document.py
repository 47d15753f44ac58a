"""The response as one page of HTML, and the record that it is written from."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.page.fake import FakeModel
from workbench.errors import Refusal
from workbench.images.read import Picture, read
from workbench.models.protocol import Answer, Event, Final, Thought, Token, VisualState
from workbench.panels.states import figure, record
from workbench.panels.states.config import StatesConfig
from workbench.panels.states.document import document
from workbench.panels.states.record import RESPONSE
from workbench.panels.states.shows import FILMSTRIP, OfFilmstrip, part
from workbench.panels.states.study import run
from workbench.runs.parts import composed
from workbench.runs.result import Result
from workbench.runs.store import load, save

DARK = StatesConfig(question="<script>alert(1)</script> & dark?", corruption="dark_illumination", steps=5)
SAYS = [Token("<think>", -0.1, 7), Token("it's dark", -0.5, 8), Token("</think><image_restore>", -0.01, 9)]
ENDS = [
    Token("<answer>", -0.2, 1),
    Token(" bri", -0.3, 2),
    Token("ght", -0.4, 3),
    Token("</answer>", -0.5, 4),
]


class Telling(FakeModel):
    """Tells its tokens, and the image that each step points to."""

    def respond(self, image: np.ndarray, question: str, *rest: Any, **how: Any) -> Iterator[Event]:
        says = iter((SAYS, ENDS))
        for event in super().respond(image, question, *rest, **how):
            if isinstance(event, Thought) and event.done:
                event = replace(event, tokens=tuple(next(says)))
            if isinstance(event, VisualState) and event.step:
                event = replace(event, estimate=np.full_like(event.image, 20 * event.step))
            if isinstance(event, Final) and event.restored is not None:
                event = replace(event, answer=Answer("bright", tuple(ENDS[1:3]), -0.7))
            yield event


@pytest.fixture(scope="module")
def picture() -> Picture:
    return read(np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8))


@pytest.fixture(scope="module")
def result(picture: Picture) -> Result:
    return run(DARK, Telling(), picture=picture)


def test_every_token_of_the_response_is_kept_with_its_log_probability(result: Result) -> None:
    tokens = result.tables["tokens"]
    own = tokens[tokens["on"] == RESPONSE]
    assert own["token"].tolist() == [token.text for token in (*SAYS, *ENDS)]
    assert own["logprob"].tolist() == [token.logprob for token in (*SAYS, *ENDS)]
    assert own["text"].tolist() == [1] * 3 + [2] * 4 and own["place"].tolist() == [1, 2, 3, 1, 2, 3, 4]
    assert own[own["answer"]]["id"].tolist() == [2, 3]
    alone = tokens[tokens["on"] == "degraded"]
    answers = result.tables["answers"].set_index("on")
    assert alone["logprob"].sum() == answers.loc["degraded", "logprob"] and alone["answer"].all()


def test_what_each_step_points_to_is_kept_and_measured(result: Result) -> None:
    from skimage.metrics import peak_signal_noise_ratio

    trace = result.tables["trace"]
    steps = trace[trace["event"] == "step"].set_index("step")
    assert record.estimate_name(1, 0) not in result.images and np.isnan(steps.loc[0, "psnr_estimate"])
    for step in range(1, 6):
        image = result.images[record.estimate_name(1, step)]
        wanted = peak_signal_noise_ratio(result.images["original"], image)
        assert steps.loc[step, "psnr_estimate"] == pytest.approx(wanted)


def pictures(html: str) -> list[np.ndarray]:
    found = re.findall(r'src="data:image/png;base64,([^"]+)"', html)
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(each)))) for each in found]


def test_the_page_holds_every_picture_pixel_by_pixel(result: Result) -> None:
    held = pictures(document(result))
    assert len(held) == len(result.images) == 3 + 6 + 5
    for wanted in result.images.values():
        assert any(np.array_equal(wanted, image) for image in held)


class Outside(HTMLParser):
    """What a page would fetch, and whether each tag that opens is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.fetched += [
            str(v) for k, v in values.items() if k in ("src", "href") and not str(v).startswith("data:")
        ]
        if tag not in ("meta", "img", "input", "link", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_needs_nothing_else_and_words_are_no_markup(result: Result) -> None:
    html = document(result)
    outside = Outside()
    outside.feed(html)
    assert not outside.open and not outside.fetched
    assert "alert(1)</script>" not in html and "&lt;script&gt;alert(1)" in html
    assert "url(" not in html and "@import" not in html and "default-src 'none'" in html
    assert "it&#x27;s dark" in html and html == document(result)


def test_without_script_each_step_is_shown_by_a_choice_of_its_own(result: Result) -> None:
    html = document(result)
    assert html.count('type="radio"') == 6 and html.count(" checked>") == 1
    for step in range(6):
        assert f"#d1s{step}:checked~.panes #pd1s{step}{{display:flex}}" in html


def test_a_result_from_before_tokens_and_estimates_were_kept_still_opens(
    result: Result, tmp_path: Path
) -> None:
    tables = {name: table for name, table in result.tables.items() if name != "tokens"}
    tables["trace"] = tables["trace"].drop(columns="psnr_estimate")
    images = {name: image for name, image in result.images.items() if "estimate" not in name}
    save(replace(result, tables=tables, images=images), tmp_path / "old")
    old = load(tmp_path / "old")
    assert len(pictures(document(old))) == 3 + 6 and "Tokens" not in document(old)
    figure.paper(old, figure.Chosen(estimates=True))


def test_the_chosen_steps_stand_on_paper_with_what_they_point_to(result: Result) -> None:
    drawn = figure.paper(result, figure.Chosen(at=(0, 2, 5), estimates=True))
    names = [text.get_text() for text in drawn.texts]
    assert [name for name in names if name.startswith("step")] == [f"step {n} of 5" for n in (0, 2, 5)]
    assert [name for name in names if "at step" in name] == ["x₀ at step 2", "x₀ at step 5"]
    assert len(drawn.axes) == 2 + 3 + 1 + 2
    with pytest.raises(Refusal, match="no step 6 to show: the drawing has steps 0 to 5"):
        figure.paper(result, figure.Chosen(at=(6,)))


def test_a_recipe_chooses_steps_too(result: Result) -> None:
    chosen = OfFilmstrip(at=(1, 4), estimates=True)
    drawn = composed([part([("a", result)], FILMSTRIP, chosen)], 6.75)
    assert len(drawn.axes) == 2 + 2 + 1 + 2


@pytest.mark.parametrize(("text", "found"), [("", ()), (" 1, 4 9 ", (1, 4, 9)), ("0", (0,))])
def test_steps_are_read_as_people_write_them(text: str, found: tuple[int, ...]) -> None:
    assert figure.numbered(text) == found


@pytest.mark.parametrize("text", ["one", "-1", "1.5", "1 2 3 4 5 6 7 8 9"])
def test_what_names_no_steps_is_refused(text: str) -> None:
    with pytest.raises(Refusal, match="names no steps"):
        figure.numbered(text)
