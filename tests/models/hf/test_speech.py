"""What is reported of a generated answer."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.models.hf.builders import saved
from workbench.models.hf.load import load
from workbench.models.hf.speech import speak
from workbench.models.protocol import never


def test_a_penalty_changes_what_is_said_but_not_what_its_probability_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved("llava", tmp_path)
    model = load(path, name="llava", device=torch.device("cpu"), dtype=torch.float32)
    prompt = model.prepare([np.full((48, 48, 3), 90, np.uint8)], "what is this?")
    before = [token.id for token in model.answer(prompt, max_new_tokens=4)[0].tokens]
    # So that the penalty, which is for what the prompt holds, meets what would be said first.
    model.network.generation_config.repetition_penalty = 1.5
    again, _ = model.continued(prompt, before)
    answer = model.answer(again, max_new_tokens=4)[0]
    ids = [token.id for token in answer.tokens]
    assert ids
    longer, _ = model.continued(again, ids)
    with torch.inference_mode():
        logits = model.network(**longer.inputs, use_cache=False).logits[0, -len(ids) - 1 : -1]
    raw = logits.float().log_softmax(-1)
    expected = [float(raw[k, token]) for k, token in enumerate(ids)]
    assert [token.logprob for token in answer.tokens] == pytest.approx(expected, abs=1e-4)
    penalised = logits.clone()
    seen = torch.cat([again.inputs["input_ids"][0], torch.tensor(ids[:-1], dtype=torch.long)]).unique()
    penalised[:, seen] = torch.where(
        penalised[:, seen] < 0, penalised[:, seen] * 1.5, penalised[:, seen] / 1.5
    )
    assert not torch.allclose(penalised.log_softmax(-1).max(-1).values, torch.tensor(expected), atol=1e-3)
    # `score` reads the same tokens, and no more.
    monkeypatch.setattr(model.family, "candidate", lambda text: torch.tensor([ids]))
    assert model.score(again, ["whatever"])[0, 0] == pytest.approx(answer.logprob, abs=1e-3)


def test_nothing_is_said_on_once_nobody_listens(tmp_path: Path) -> None:
    path = saved("llava", tmp_path)
    model = load(path, name="llava", device=torch.device("cpu"), dtype=torch.float32)
    model.network.generation_config.eos_token_id = model.processor.tokenizer.eos_token_id = None
    prompt = model.prepare([np.full((48, 48, 3), 90, np.uint8)], "what is this?")
    before = threading.active_count()
    passes: list[int] = []
    handle = model.network.register_forward_hook(lambda *_: passes.append(threading.get_ident()))
    speech = speak(model.family, prompt.inputs, 200, never)
    next(speech)
    speech.close()
    said = len(passes)
    handle.remove()
    assert threading.active_count() == before and said < 200
