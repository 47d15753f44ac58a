"""The same look for programmes: an endpoint named after the study, answered with its tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from workbench.errors import Cancelled, Refusal
from workbench.page import lane, shelf
from workbench.page.bench import OnBench
from workbench.page.frame import Frame
from workbench.page.look import STOPPED
from workbench.page.session import Session
from workbench.page.wiring import told
from workbench.panels.specimen import from_file

if TYPE_CHECKING:
    from workbench.runs.result import Result


class Endpoint(Frame):
    """What can be called from outside; on the page itself nothing of it is seen."""

    def _serve(self) -> None:
        """Offer the endpoint. It takes what the bench and the panel's settings hold, by their names."""
        with gr.Row(visible=False):
            call, answer = gr.Button(), gr.JSON()
        bench = self.bench

        def answering(request: gr.Request, **given: Any) -> dict[str, Any]:
            return self.called(bench.session(request), **given)

        call.click(
            answering,
            None,
            [answer],
            inputs_kwargs={
                "image": bench.upload,
                "question": bench.question,
                "corruption": bench.corruption,
                "intensity": bench.intensity,
                "seed": bench.seed,
                **self.settings,
            },
            api_name=self.study,
            api_description=f"{self.question} {self.explanation}",
            concurrency_id=lane.GPU,
            concurrency_limit=1,
        )

    def called(
        self,
        session: Session,
        image: str | None,
        question: str,
        corruption: str,
        intensity: float,
        seed: float | None,
        **settings: Any,
    ) -> dict[str, Any]:
        """Look at an uploaded image, or without one at the first example; tables as records, NaN as null."""
        try:
            found = from_file(Path(image), Path(image).name) if image else shelf.sample(0)
        except Refusal as refusal:
            raise told(refusal) from refusal
        on = OnBench(found, corruption, float(intensity), question, int(seed or 0), self.bench.host.first)
        done: list[Result] = []

        def work(say: lane.Say, stop: lane.Stop) -> None:
            laid, config = self.laid(session, on, settings)
            model = self.bench.host.model(on.model, stop=stop) if self.asks_model else None
            done.append(self.measured(laid, config, model, say, stop))

        try:
            for _ in lane.follow(session, work):
                pass
        except (Refusal, Cancelled) as refusal:
            raise told(Refusal(str(refusal) or STOPPED)) from refusal
        tables = {name: json.loads(table.to_json(orient="records")) for name, table in done[0].tables.items()}
        return {"config": done[0].config, "manifest": done[0].manifest, **tables}
