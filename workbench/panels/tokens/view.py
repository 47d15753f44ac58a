"""The panel "Tokens" on the page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import gradio as gr

from workbench.page import markup
from workbench.page.bench import Bench, OnBench
from workbench.page.panel import Named, Panel, Updates, condition
from workbench.panels.overlay import scale_bar
from workbench.panels.tokens import figure
from workbench.panels.tokens.config import TokensConfig
from workbench.panels.tokens.study import NEEDS, STUDY, run

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from workbench.models.protocol import Model
    from workbench.runs.result import Result

READING = """
A tokeniser cuts the image into cells and writes one **code** of its codebook for each; its decoder reads
the codes back. What is not in the codes, no model that gets them can know.

**given** is the image as the tokeniser gets it: sized, cut or padded by the model's own processor.
**tokens** shows the codes, each in a colour of its own; equal colours are equal codes. **read back** is
what the decoder makes of them, with its PSNR against *given* (higher is better ↑), padding left out.
**error by token** is the root mean square difference in grey levels. **changed** marks, in yellow, tokens
that the corruption on the bench changed.

*Perplexity of code use* is as many codes as would, equally used, be as evenly spread as these; near the
number of tokens where none comes twice. *Bits for the image* counts log2 of the codebook's size for each
token.

Emu3 and Chameleon look at images through these tokens. **Janus** does not: it looks through a tower, and
its tokeniser is for what it draws; here it is shown the image all the same. Its code is the one of the
smallest angle, as in Janus' public code. **Chameleon** reads nothing back: its decoder is not part of
transformers.
"""


class TokensView(Panel):
    """Components and handlers of the panel. Built inside its tab."""

    study = STUDY
    needs = NEEDS
    question = "What does the model's tokeniser keep of the image?"
    explanation = "The codes it writes, what they are read back as, and which of them the corruption changed."
    invitation = "Press Look: the image is written as tokens and read back."

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench)
        self.pictures = gr.HTML(_empty(), elem_id="tokens-pictures")
        self.summary = gr.HTML("", elem_id="tokens-summary")
        self.pinned_rows = gr.HTML("", elem_id="tokens-pinned")
        self.foot(READING)
        self.outputs = [self.pictures, self.summary, self.pinned_rows]
        self.wire()

    def config(self, on: OnBench, settings: Mapping[str, Any]) -> TokensConfig:
        """The config of a look at the bench."""
        return TokensConfig(
            image=on.specimen.source, corruption=on.corruption, intensity=on.intensity, seed=on.seed
        )

    def images(self, on: OnBench, config: TokensConfig) -> Mapping[str, str]:
        """The one picture that goes in."""
        return {"original": on.specimen.picture.sha256}

    def measured(
        self,
        on: OnBench,
        config: TokensConfig,
        model: Model,
        say: Callable[[Any], None],
        stop: Callable[[], bool],
    ) -> Result:
        """Run the study."""
        return run(
            config,
            model,
            picture=on.specimen.picture,
            progress=lambda done, words: say((done, words)),
            stop=stop,
        )

    def progressing(self) -> Callable[[tuple[float, str]], Updates]:
        """How far it is."""

        def show(said: tuple[float, str]) -> Updates:
            done, words = said
            return {self.status: markup.status(words[:1].upper() + words[1:], done)}

        return show

    def shown(self, result: Result | None) -> Updates:
        """A finished look; without one the empty panel."""
        if result is None:
            return {self.pictures: _empty(), self.summary: ""}
        shots = figure.shots(result)
        cells = [markup.figure(shot.name, shot.note, shot.pixels) for shot in shots]
        scale = ""
        if "decoded" in result.images:
            scale = markup.scale("Error by token, grey levels", scale_bar(), "0", f"{figure.WORST:.0f}")
        rows = [
            (row["measure"], "", figure.told(row["value"], row["unit"]))
            for row in result.tables["summary"].to_dict("records")
        ]
        return {
            self.pictures: markup.row(cells, "the image as tokens") + scale,
            self.summary: markup.table(rows),
            self.numbers: self.table(result),
        }

    def prove(self, result: Result) -> None:
        """Also as a pinned look."""
        super().prove(result)
        self.overlaid([], [("", result)])

    def overlaid(self, named: Sequence[Named], pinned: Sequence[Named], *drawn_with: Any) -> Updates:
        """The pinned looks, a row each."""
        return {self.pinned_rows: "".join(_pinned(name, other) for name, other in pinned)}

    def paper(self, named: Sequence[Named], *printed_with: Any) -> Figure:
        """A row of pictures for each result."""
        return figure.paper(list(named))

    def table(self, result: Result) -> DataFrame:
        """How often each code is used."""
        return result.tables["codes"]

    def name(self, result: Result) -> str:
        """What was done to the image, and the model."""
        return f"{condition(result)}, {result.manifest['model']['id']}"


def _empty() -> str:
    """Dashed frames for what is to come."""
    to_come = (("given", "the image as the tokeniser gets it"), ("tokens", "a code for each cell"))
    return markup.row([markup.figure(name, "", None, empty=words) for name, words in to_come], "tokens")


def _pinned(title: str, result: Result) -> str:
    images = [markup.image(shot.pixels, f"{title}: {shot.name}", 96) for shot in figure.shots(result)]
    numbers = [
        f"{row['measure']}: {figure.told(row['value'], row['unit'])}"
        for row in result.tables["summary"].to_dict("records")
    ]
    return markup.strip(title, images, ["; ".join(numbers)])
