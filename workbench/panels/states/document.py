"""A response as one page of HTML that needs nothing else: no network, no server, no script.

Every picture stands in it as a PNG, pixel by pixel. The steps are scrubbed with the arrow keys or the pointer
by plain style sheets; the few lines of script only let a pointer be drawn over them. Whatever comes from a
model or a person is text, never markup, and the page forbids itself to load anything.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from html import escape
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.panels.states import shots
from workbench.panels.states.events import SAME
from workbench.panels.states.record import RESPONSE

if TYPE_CHECKING:
    from workbench.panels.states.shots import Shot
    from workbench.runs.result import Result

Row = Mapping[str, Any]
STYLE = Path(__file__).with_name("document.css")
SIDE = 240
"""Pixels of the square that a picture is shown in."""
MOST_STEPS = 1000
# Over the steps with a button held down, as over a slider; without script each step is still chosen alone.
SCRUB = """
for (const steps of document.querySelectorAll(".steps"))
  steps.addEventListener("pointermove", (event) => {
    if (!event.buttons) return;
    const label = document.elementFromPoint(event.clientX, event.clientY)?.closest?.("label[for]");
    if (label && steps.contains(label)) document.getElementById(label.htmlFor).checked = true;
  });
"""
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


def document(result: Result) -> str:
    """The whole response of a result of this study as HTML; the same text for the same result."""
    every = shots.screen(result)
    walk = [shot for shot in every if shot.kind == "step"]
    several = [list(found) for _, found in groupby(walk, key=lambda shot: shot.drawing)]
    steps = result.tables["trace"].query("event == 'step'")
    norms = dict(zip(zip(steps["drawing"], steps["step"], strict=True), steps["velocity_norm"], strict=True))
    title = f"{result.config['question']} \N{EN DASH} {result.manifest['model']['id']}"
    body = [
        f"<h1>{escape(result.config['question'])}</h1>",
        f'<p class="quiet">{escape(_made(result))}</p>',
        _given(every),
        *(_drawing(number, drawn, len(several), norms) for number, drawn in enumerate(several, start=1)),
        "<h2>Said and decided</h2>",
        _story(result),
        _tokens(result),
        _numbers(result),
        _settings(result),
    ]
    rules = "".join(_rules(number, drawn) for number, drawn in enumerate(several, start=1))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{STYLE.read_text('utf-8')}{rules}</style>\n</head>\n<body>\n"
        + "\n".join(part for part in body if part)
        + f"\n<script>{SCRUB}</script>\n</body>\n</html>\n"
    )


def _made(result: Result) -> str:
    """The model, what was done to the image, the seed and the day."""
    from workbench.images.corruptions import CORRUPTIONS

    config, about = result.config, result.manifest
    corruption = CORRUPTIONS.get(config["corruption"])
    condition = f"{corruption.within} {config['intensity']:.2f}" if corruption else "clean"
    return f"{about['model']['id']}, {condition}, seed {config['seed']}, {str(about['started'])[:10]}"


def _given(shots: Sequence[Shot]) -> str:
    """What was given, and what came of it."""
    whole = "".join(_picture(shot) for shot in shots if shot.kind in ("original", "degraded", "restored"))
    return f'<div class="pictures">{whole}</div>'


def _picture(shot: Shot, caption: str = "") -> str:
    """A picture with its name and numbers; small ones at whole multiples of their pixels."""
    from workbench.runs.png import data_uri

    height, width = shot.pixels.shape[:2]
    scale = SIDE / max(height, width)
    scale = math.floor(scale) if scale >= 1 else scale
    size = f'width="{round(width * scale)}" height="{round(height * scale)}"'
    words = f'<b>{escape(caption or shot.label)}</b> <span class="quiet">{escape(shot.note)}</span>'
    source = data_uri(shot.pixels)
    picture = f'<img src="{source}" {size} alt="{escape(shot.label)}">'
    return f"<figure>{picture}<figcaption>{words}</figcaption></figure>"


def _drawing(number: int, walk: Sequence[Shot], several: int, norms: Mapping[tuple[int, int], float]) -> str:
    """The steps of one drawing: a field for each, and for the one that is chosen its state and its x0."""
    name = f"Drawing {number}: denoising" if several > 1 else "Denoising"
    dots, panes = [], []
    for place, shot in enumerate(walk):
        identity = f"d{number}s{place}"
        checked = " checked" if place == len(walk) - 1 else ""
        what = f"step {shot.step}, t {shot.t:.2f}"
        dots.append(f'<input type="radio" name="d{number}" id="{identity}" aria-label="{what}"{checked}>')
        norm = norms[shot.drawing, shot.step]
        about = shot.name if math.isnan(norm) else f"{shot.name}, norm of its velocity {norm:.2f}"
        panes.append(
            f'<div class="pane" id="p{identity}">{_picture(shot, "state")}'
            + (_picture(pointed, "x\N{SUBSCRIPT ZERO} estimate") if (pointed := shot.pointed) else "")
            + f'<p class="quiet">{escape(about)}</p></div>'
        )
    labels = "".join(
        f'<label for="d{number}s{place}" title="step {shot.step}"></label>' for place, shot in enumerate(walk)
    )
    return (
        f'<h2>{name}</h2><p class="quiet">Noise (t = 1) on the left, image (t = 0) on the right: click a '
        "field, or use the arrow keys. The state is what the latent decodes to; the x\N{SUBSCRIPT ZERO} "
        "estimate is the image that the step\u2019s velocity points to.</p>"
        f'<div class="steps" role="radiogroup" aria-label="{name}">{"".join(dots)}'
        f'<div class="dots">{labels}</div><div class="panes">{"".join(panes)}</div></div>'
    )


def _rules(number: int, walk: Sequence[Shot]) -> str:
    """What the chosen point shows."""
    return "".join(
        f"#d{number}s{place}:checked~.panes #pd{number}s{place}{{display:flex}}"
        f"#d{number}s{place}:checked~.dots label[for=d{number}s{place}]{{background:var(--mark)}}"
        f"#d{number}s{place}:focus-visible~.dots label[for=d{number}s{place}]{{outline:2px solid var(--mark);"
        "outline-offset:2px}\n"
        for place in range(min(len(walk), MOST_STEPS))
    )


def _story(result: Result) -> str:
    """Thoughts, decisions and answers, in order, the answers without drawing told as what they are."""
    lines, restore = [], result.config["restore"]
    for row in result.tables["trace"].to_dict("records"):
        if row["event"] == "thought":
            lines.append(("thought", f"\u201c{row['text']}\u201d", ""))
        elif row["event"] == "decision":
            chance = shots.probability(row["probability"], "p(draw)")
            lines.append(("decision", shots.decided(row["text"] == "draw", restore), chance))
    for row in result.tables["answers"].to_dict("records"):
        alone = "from vision tokens alone, " if row["on"] in shots.ALONE else ""
        words, chance = shots.said(row)
        lines.append((f"answer, {alone}{shots.given(row['on'], restore)}", words, chance))
    cells = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(words)}</td><td>{escape(number)}</td></tr>'
        for name, words, number in lines
    )
    return f"<table>{cells}</table>"


def _tokens(result: Result) -> str:
    """Every token of the response, its shade its probability; the answer\u2019s words underlined."""
    table = result.tables.get("tokens")
    if table is None or table.empty:
        return ""
    parts = []
    for on, rows in table.groupby("on", sort=False):
        for text, some in rows.groupby("text", sort=False):
            name = (
                f"response, text {text}"
                if on == RESPONSE
                else f"answer, {on if on == SAME else f'{on} alone'}"
            )
            tokens = "".join(_token(row) for row in some.to_dict("records"))
            parts.append(f'<tr><th scope="row">{escape(str(name))}</th><td class="tokens">{tokens}</td></tr>')
    return (
        '<h2>Tokens</h2><p class="quiet">The fuller the colour, the likelier the token was; the words of the '
        "answer are underlined. Rest the pointer on one for its log-probability in nats.</p>"
        f"<table>{''.join(parts)}</table>"
    )


def _token(row: Row) -> str:
    chance = math.exp(min(0.0, float(row["logprob"])))
    kind = ' class="own"' if row["answer"] else ""
    hint = f"log p = {float(row['logprob']):.3f}, p = {chance:.3f}, id {row['id']}"
    return f'<span{kind} style="--p:{chance:.3f}" title="{hint}">{escape(str(row["token"]))}</span>'


def _numbers(result: Result) -> str:
    """The trace as a table."""
    table = result.tables["trace"]
    head = "".join(f"<th>{escape(str(name))}</th>" for name in table.columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(_cell(value))}</td>" for value in row) + "</tr>"
        for row in table.itertuples(index=False)
    )
    inside = f'<div class="wide"><table><tr>{head}</tr>{body}</table></div>'
    return f"<details><summary>Numbers</summary>{inside}</details>"


def _cell(value: object) -> str:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.4g}"
    return "" if value == -1 else str(value)


def _settings(result: Result) -> str:
    """How it was made: settings and manifest."""
    height, width = (int(side) for side in result.arrays["compared_at"])
    about = json.dumps({"config": result.config, "manifest": result.manifest}, indent=1, ensure_ascii=False)
    size = shots.size_note((height, width))
    return (
        f"<details><summary>How it was made</summary><pre>{escape(about)}</pre></details>"
        f'<p class="quiet">{escape(size)} Higher is better \u2191. Made with Afterimage.</p>'
    )
