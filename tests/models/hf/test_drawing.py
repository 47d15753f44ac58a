"""Drawing token by token, held against transformers' own generation on tiny random checkpoints."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.models.hf.builders import saved
from workbench.errors import Cancelled, Refusal
from workbench.models.drawing import Canvas, DrawSettings, TokenState
from workbench.models.hf.adapter import HFModel
from workbench.models.hf.drawing import loop
from workbench.models.hf.drawing.janus import JanusBrush
from workbench.models.hf.load import load
from workbench.models.protocol import Capability

WORDS = "a red star left of a blue ring"
ROWS, COLS = 4, 6
SMALL = DrawSettings(height=8 * ROWS, width=8 * COLS)
GREEDY = DrawSettings(temperature=0.0)
SAMPLED = DrawSettings(seed=7, temperature=0.7, top_k=20)
UNGUIDED = DrawSettings(guidance=1.0)


def opened(name: str, folder: Path) -> HFModel:
    model = load(saved(name, folder), name=name, device=torch.device("cpu"), dtype=torch.float32)
    # Wider, so that the distributions over codes are neither flat nor certain.
    with torch.no_grad():
        head = model.network.lm_head if name == "emu3" else model.network.model.generation_head.vision_head
        head.weight *= 3
    return model


@pytest.fixture(scope="module")
def janus(tmp_path_factory: pytest.TempPathFactory) -> HFModel:
    return opened("janus", tmp_path_factory.mktemp("drawing"))


@pytest.fixture(scope="module")
def emu3(tmp_path_factory: pytest.TempPathFactory) -> HFModel:
    return opened("emu3", tmp_path_factory.mktemp("drawing"))


def last(model: HFModel, settings: DrawSettings) -> TokenState:
    *_, state = model.draw(WORDS, settings)
    assert isinstance(state, TokenState)
    return state


def sampling(settings: DrawSettings) -> dict[str, Any]:
    """The same in transformers' words."""
    if settings.temperature == 0:
        return {"do_sample": False}
    return {"do_sample": True, "temperature": settings.temperature, "top_k": settings.top_k or 0}


def theirs_janus(model: HFModel, settings: DrawSettings) -> tuple[np.ndarray, np.ndarray]:
    """Tokens and image of Janus' own `generate`."""
    network, processor = model.network, model.processor
    turns = [{"role": "user", "content": [{"type": "text", "text": WORDS}]}]
    written = processor.apply_chat_template(turns, add_generation_prompt=True)
    inputs = processor(text=[written], generation_mode="image", return_tensors="pt")
    config = network.generation_config
    config.generation_kwargs = {"boi_token_id": processor.tokenizer.convert_tokens_to_ids("<begin>")}
    config.pad_token_id, config.bos_token_id = 0, 1
    guidance = 5.0 if settings.guidance is None else settings.guidance
    torch.manual_seed(settings.seed)
    tokens = network.generate(
        **inputs, generation_mode="image", guidance_scale=guidance, **sampling(settings)
    )
    # The processor's own way back does not take what the network gives.
    decoded = network.decode_image_tokens(tokens)[0].numpy()
    settings_of = processor.image_processor
    image = 255 * (decoded * np.array(settings_of.image_std) + np.array(settings_of.image_mean))
    return tokens[0].numpy().reshape(6, 6), image.clip(0, 255)


def constrained(model: HFModel, rows: int, cols: int) -> Any:
    """What Emu3's documentation lets come at each place."""
    tokenizer, mapping = model.processor.tokenizer, model.network.vocabulary_mapping
    wrapper = tokenizer.convert_tokens_to_ids("<|image token|>")
    ending = [tokenizer.convert_tokens_to_ids(name) for name in ("<|extra_201|>", "<|image end|>", "<eos>")]

    def allowed(batch: int, ids: torch.Tensor) -> list[int]:
        said = len(ids) - int((ids == wrapper).nonzero()[0])
        whole = (cols + 1) * rows
        if said > whole:
            return [ending[min(said - whole - 1, 2)]]
        return [mapping.eol_token_id] if said % (cols + 1) == 0 else mapping.image_tokens

    return allowed


def theirs_emu3(model: HFModel, settings: DrawSettings) -> tuple[np.ndarray, np.ndarray]:
    """Tokens and image of transformers' `generate` as Emu3's documentation calls it."""
    network, processor = model.network, model.processor
    how = {"return_for_image_generation": True, "image_area": 64 * ROWS * COLS, "ratio": f"{COLS}:{ROWS}"}
    inputs, empty = (processor(text=[text], return_tensors="pt", **how) for text in (WORDS, ""))
    assert list(inputs.pop("image_sizes")[0]) == [ROWS, COLS]
    guidance = 3.0 if settings.guidance is None else settings.guidance
    compare = {
        "guidance_scale": guidance,
        "negative_prompt_ids": empty["input_ids"],
        "negative_prompt_attention_mask": empty["attention_mask"],
    }
    torch.manual_seed(settings.seed)
    said = network.generate(
        **inputs,
        max_new_tokens=(COLS + 1) * ROWS + 3,
        prefix_allowed_tokens_fn=constrained(model, ROWS, COLS),
        **(compare if guidance > 1 else {}),
        **sampling(settings),
    )[:, inputs["input_ids"].shape[1] :]
    decoded = network.decode_image_tokens(image_tokens=said, height=ROWS, width=COLS)
    (image,) = processor.postprocess(list(decoded.float()), return_tensors="PIL.Image.Image")["pixel_values"]
    codes = network.vocabulary_mapping.convert_bpe2img(said[:, :-3].view(-1, ROWS, COLS + 1))
    return codes[0].numpy(), np.asarray(image)


@pytest.mark.parametrize("settings", [GREEDY, SAMPLED, replace(SAMPLED, seed=8, top_k=0, guidance=2.0)])
def test_janus_draws_what_transformers_draws(janus: HFModel, settings: DrawSettings) -> None:
    tokens, image = theirs_janus(janus, settings)
    state = last(janus, settings)
    assert np.array_equal(state.tokens, tokens)
    assert len(np.unique(tokens)) > 1
    assert np.abs(state.image - image).max() <= 0.51


@pytest.mark.parametrize(
    "settings",
    [GREEDY, SAMPLED, replace(SAMPLED, seed=8, top_k=0, guidance=2.0), replace(SAMPLED, guidance=1.0)],
)
def test_emu3_draws_what_transformers_draws(emu3: HFModel, settings: DrawSettings) -> None:
    tokens, image = theirs_emu3(emu3, settings)
    state = last(emu3, replace(settings, height=SMALL.height, width=SMALL.width))
    assert np.array_equal(state.tokens, tokens)
    assert len(np.unique(tokens)) > 1
    # Theirs is cut off to 8 bits, ours rounded.
    assert np.abs(state.image.astype(int) - image.astype(int)).max() <= 1


@pytest.fixture(params=["janus", "emu3"])
def model(request: pytest.FixtureRequest) -> Iterator[HFModel]:
    yield request.getfixturevalue(request.param)


def asked(model: HFModel, **settings: Any) -> DrawSettings:
    size = {} if model.card.family == "janus" else {"height": SMALL.height, "width": SMALL.width}
    return DrawSettings(**(size | settings))


def test_it_says_that_it_draws_and_how(model: HFModel) -> None:
    assert {Capability.GENERATES, Capability.TOKENISES} <= model.card.capabilities
    canvas = next(iter(model.draw(WORDS, asked(model))))
    assert isinstance(canvas, Canvas)
    assert canvas.by == "tokens" and canvas.codes == 64 and WORDS in canvas.read
    assert (canvas.height, canvas.width) == (8 * canvas.rows, 8 * canvas.cols)
    assert canvas.settings.guidance == (5.0 if model.card.family == "janus" else 3.0)


def test_states_come_every_so_many_tokens_and_never_change_what_stands(model: HFModel) -> None:
    canvas, *states = model.draw(WORDS, asked(model, every=7))
    assert isinstance(canvas, Canvas)
    total = canvas.rows * canvas.cols
    assert [state.drawn for state in states] == [*range(7, total, 7), total]
    for state, after in itertools.pairwise(states):
        for name in ("tokens", "entropy", "unguided", "logprob"):
            grid, later = (getattr(each, name).ravel() for each in (state, after))
            assert np.array_equal(grid[: state.drawn], later[: state.drawn])
            undrawn = grid[state.drawn :]
            assert (undrawn == -1).all() if name == "tokens" else np.isnan(undrawn).all()


def test_what_is_not_drawn_is_grey_and_the_rest_is_the_decoders(model: HFModel) -> None:
    canvas, first, *_ = model.draw(WORDS, asked(model, every=7))
    assert isinstance(canvas, Canvas)
    drawn = np.arange(canvas.rows * canvas.cols).reshape(canvas.rows, canvas.cols) < 7
    cells = first.image.reshape(canvas.rows, 8, canvas.cols, 8, 3).transpose(0, 2, 1, 3, 4)
    assert (cells[~drawn] == loop.GREY).all()
    assert all((cell != loop.GREY).any() for cell in cells[drawn])


def test_entropies_and_log_probabilities_are_those_of_one_pass_over_all_tokens(janus: HFModel) -> None:
    """Teacher-forced through transformers' own network, without a cache."""
    settings = asked(janus, guidance=2.5)
    state = last(janus, settings)
    brush = JanusBrush(janus.network, janus.processor, janus.family.written(WORDS, 0), settings)
    said = torch.from_numpy(state.tokens.reshape(1, -1)).repeat(2, 1)
    with torch.no_grad():
        after = janus.network.prepare_embeddings_for_image_generation(said)
        states = janus.network.model.language_model(
            inputs_embeds=torch.cat([brush._next, after], dim=1), use_cache=False
        ).last_hidden_state[:, -len(said[0]) - 1 : -1]
        plain, without = janus.network.model.generation_head(states).double()
    both = (without + 2.5 * (plain - without)).softmax(-1).numpy()
    own = plain.softmax(-1).numpy()
    expected = -(both * np.log(both)).sum(-1)
    assert expected.std() > 0.01
    assert np.allclose(state.entropy.ravel(), expected, atol=1e-4)
    assert np.allclose(state.unguided.ravel(), -(own * np.log(own)).sum(-1), atol=1e-4)
    chosen = both[np.arange(36), state.tokens.ravel()]
    assert np.allclose(state.logprob.ravel(), np.log(chosen), atol=1e-3)


def test_without_guidance_the_two_entropies_are_one(model: HFModel) -> None:
    state = last(model, asked(model, guidance=1.0))
    assert np.array_equal(state.entropy, state.unguided)


def test_the_seed_decides(model: HFModel) -> None:
    one, same, other = (last(model, asked(model, seed=seed)).tokens for seed in (3, 3, 4))
    assert np.array_equal(one, same) and not np.array_equal(one, other)


def test_it_stops_within_one_token(model: HFModel) -> None:
    asked_for = [0]

    def stop() -> bool:
        asked_for[0] += 1
        return asked_for[0] > 3

    with pytest.raises(Cancelled):
        list(model.draw(WORDS, asked(model), stop=stop))
    assert asked_for[0] == 4


@pytest.mark.parametrize(
    ("words", "settings", "match"),
    [
        ("  ", {}, "no words"),
        ("a" * 5000, {}, "Shorten"),
        (WORDS, {"height": 33}, "height"),
        (WORDS, {"width": 4097}, "width"),
        (WORDS, {"temperature": math.nan}, "temperature"),
        (WORDS, {"guidance": -1.0}, "guidance"),
        (WORDS, {"every": 0}, "every"),
    ],
)
def test_what_it_cannot_draw_is_refused(
    model: HFModel, words: str, settings: dict[str, Any], match: str
) -> None:
    with pytest.raises(Refusal, match=match):
        list(model.draw(words, asked(model, **settings)))


def test_no_more_states_are_kept_than_memory_has_room_for(emu3: HFModel) -> None:
    with pytest.raises(Refusal, match="one every 2 or more"):
        next(iter(emu3.draw(WORDS, DrawSettings(height=200, width=208, every=1))))


def test_a_model_that_draws_nothing_says_so(llava: Path) -> None:
    model = load(llava, name="llava", device=torch.device("cpu"), dtype=torch.float32)
    assert not {Capability.GENERATES, Capability.TOKENISES} & model.card.capabilities
    with pytest.raises(Refusal, match="draws nothing"):
        list(model.draw(WORDS, DrawSettings()))
    with pytest.raises(Refusal, match="no tokeniser"):
        model.tokenised(np.zeros((8, 8, 3), np.uint8))


def test_entropy_is_shannons() -> None:
    for probabilities in ([1.0, 0.0], [0.5, 0.5], [0.7, 0.2, 0.1]):
        expected = -sum(p * math.log(p) for p in probabilities if p)
        assert float(loop.entropy(torch.tensor(probabilities).log())) == pytest.approx(expected, abs=1e-6)


def test_words_to_draw_from_hold_none_that_stands_for_an_image(janus: HFModel) -> None:
    with pytest.raises(Refusal, match="holds <image_placeholder>"):
        next(iter(janus.draw("a <image_placeholder> star", GREEDY)))
