"""One interleaved response: thought → (drawn image → thought →) answer, as CLEAR runs BAGEL.

The context (CLEAR, public inference code) holds system prompt, image (latent block, then vision block) and
question. Text guidance compares with the context before the last thought, image guidance with one that never
saw the image. A text that has the restore tag and no whole answer starts a drawing; what was drawn comes back
as latent tokens (*bridge*), as vision tokens of the decoded picture (*re-encode*), or as both.

Two things are not as in that code: an image's latent is the mean of the autoencoder's Gaussian, not a sample
of it, so that a result repeats; and a decoded picture is rounded to 8 bits, not cut off.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from workbench.errors import Refusal, go_on
from workbench.models.bagel import flow, sequence
from workbench.models.bagel.drawing import walk
from workbench.models.bagel.network import Context
from workbench.models.bagel.reader import BagelReader, Pictures
from workbench.models.bagel.sequence import Past
from workbench.models.bagel.speaker import Speaker, Words
from workbench.models.protocol import Answer, Decision, Event, Final, Sampling, Thought

THOUGHT, THOUGHT_ENDS, RESTORE = "<think>", "</think>", "<image_restore>"
ANSWER, ANSWER_ENDS = "<answer>", "</answer>"
TAGS = (THOUGHT, THOUGHT_ENDS, RESTORE, ANSWER, ANSWER_ENDS)
MOST_TEXTS = 3
"""CLEAR's limit on rounds in one response: texts. Before the last of them the model may draw."""
HALF_A_CHARACTER = "\N{REPLACEMENT CHARACTER}"
"""What bytes decode to while those that complete them are still to be said."""


@dataclass(frozen=True)
class Drawn:
    """The last drawing of a response, and what is needed to answer again with something in its place.

    before: the context before the text that asked for it; after: with that text. past, asking: the same as
    segments, before the text and with it. latent: (1, N, D).
    speaker: what was said after it, up to the answer. last: whether that text could not have drawn any more,
    and so was said freely.
    """

    before: Context
    after: Context
    past: Past
    asking: Past
    pictures: Pictures
    latent: Tensor
    image: np.ndarray
    speaker: Speaker
    last: bool


@torch.inference_mode()
def respond(
    model: BagelReader,
    image: np.ndarray,
    question: str,
    settings: Sampling,
    stop: Callable[[], bool],
    kept: list[Drawn] | None = None,
    *,
    watched: bool = True,
) -> Iterator[Event]:
    """Yield Thought (word by word, then whole), Decision, VisualState and Final as they happen.

    Where something was drawn, `kept` gets the last drawing before Final comes; it holds two contexts. A
    drawing that is not `watched` is told when it is finished, and no step before is decoded.

    Raises Refusal where the question is empty or too long, and Cancelled once `stop` says so.
    """
    if not question.strip():
        raise Refusal("There is no question. Write one: the model has nothing to answer.")
    asked = model.segment(model.typed(question))
    pictures = model.pictures([image])
    go_on(stop)
    guidance = flow.Guidance(
        settings.text_scale, settings.image_scale, settings.interval, settings.renorm, settings.renorm_min
    )
    system = system_read(model)
    latents = model.latents(pictures)
    context = _opening(model, system, pictures, latents, asked, stop)
    # Guidance costs contexts and passes of its own: only what will be compared with is kept.
    blind: Context | None = None
    if guidance.on_image and settings.restore != "never":
        blind, _ = model.network.add_text(system, asked)
    generator = torch.Generator().manual_seed(settings.seed)
    drawn: np.ndarray | None = None
    contexts_of_last: tuple[Context, Context] | None = None
    past = opened(model, pictures, latents, image, question, asked) if kept is not None else None
    pasts: tuple[Past, Past] | None = None
    # Where nothing is left to the model there is one decision, and it is made for it.
    free = settings.restore == "auto"
    rounds = MOST_TEXTS if free else 2
    for text in range(1, rounds + 1):
        speaker = Speaker(model, context)
        restore = settings.restore if free or text == 1 else "never"
        decision = yield from _speak(speaker, settings, restore, stop)
        yield Thought(speaker.text.strip(), tuple(speaker.tokens))
        if text == rounds:
            break
        yield decision
        if not decision.restore:
            break
        thoughtless = context if guidance.on_text else None
        before, context = context, speaker.finished()
        contexts_of_last = (before, context) if kept is not None else None
        if past is not None:
            pasts = (past, past.with_text(model.segment(speaker.written)))
        del before
        if blind is not None:
            blind, _ = model.network.add_text(blind, model.segment(speaker.written))
        contexts = (context, thoughtless, blind)
        drawing = walk(
            model,
            contexts,
            pictures,
            settings.steps,
            settings.shift,
            guidance,
            generator,
            stop,
            watched=watched,
        )
        for state, latent in drawing:  # noqa: B007 - the last latent is taken in below
            yield state
        drawn = state.image
        del thoughtless, contexts, drawing  # Their caches are as large as the context's.
        if text + 1 == rounds:
            blind = None  # Nothing is drawn any more.
        context, blind = taken_in(model, (context, blind), latent, [drawn], pictures, settings.route, stop)
        if pasts is not None:
            past = pasts[1].with_drawing(model, latent, drawn, pictures, settings.route)
    if kept is not None and contexts_of_last and pasts and drawn is not None:
        last = free and text == rounds
        kept.append(Drawn(*contexts_of_last, *pasts, pictures, latent, drawn, speaker, last))
    yield Final(answer_of(speaker), drawn)


def system_read(model: BagelReader) -> Context:
    """The context that holds the system prompt; empty where there is none."""
    prompt = model.config.system_prompt
    if not prompt:
        return Context()
    return model.network.add_text(Context(), model.segment(model.pieces(prompt)))[0]


def _opening(
    model: BagelReader,
    system: Context,
    pictures: Pictures,
    latents: Tensor,
    asked: Tensor,
    stop: Callable[[], bool],
) -> Context:
    """The context before the first word of the response, for a batch of one."""
    context = _with_latent(model, system, latents, pictures)
    go_on(stop)
    context = model.network.add_vision(context, model.embedded_vision(pictures), model.special)
    return model.network.add_text(context, asked)[0]


def opened(
    model: BagelReader,
    pictures: Pictures,
    latents: Tensor,
    image: np.ndarray,
    question: str,
    asked: Tensor,
) -> Past:
    """What `_opening` reads, as segments."""
    prompt = model.config.system_prompt
    system = [sequence.Text(model.segment(model.pieces(prompt)))] if prompt else []
    latent, seen = sequence.as_latent(latents, pictures, 0), sequence.sight(model, pictures)
    return Past((*system, latent, seen, sequence.Text(asked)), (image,), question)


def _with_latent(model: BagelReader, context: Context, latent: Tensor, pictures: Pictures) -> Context:
    now = torch.zeros(1, device=model.network.device)
    embedded = model.network.embed_latent(latent, pictures.latent_rows, pictures.latent_cols, now)
    return model.network.add_latent(context, embedded, model.special)


def taken_in(
    model: BagelReader,
    contexts: tuple[Context, Context | None],
    latent: Tensor,
    images: list[np.ndarray],
    pictures: Pictures,
    route: str,
    stop: Callable[[], bool],
) -> tuple[Context, Context | None]:
    """The full context, and the one without the first image, after what was drawn is read by the route.

    `latent` (B, N, D) and the B `images` are of one drawing each, a row of the contexts. As published: a
    bridge makes the second equal to the first, vision tokens are read by both.
    """
    context, blind = contexts
    if route in ("bridge", "both"):
        go_on(stop)
        context = _with_latent(model, context, latent, pictures)
        blind = None if blind is None else context
    if route in ("re-encode", "both"):
        go_on(stop)
        seen = model.embedded_vision(replace(pictures, pixels=images))
        before, context = context, model.network.add_vision(context, seen, model.special)
        if blind is not None:
            blind = context if blind is before else model.network.add_vision(blind, seen, model.special)
    return context, blind


def _speak(
    speaker: Speaker, settings: Sampling, restore: str, stop: Callable[[], bool]
) -> Generator[Thought, None, Decision]:
    """Say one segment, yielding it as it grows, with the decision forced unless `restore` is "auto".

    The decision's probability is that of the restore tag where the thought ends.
    """
    shown = ""

    def say_until(*tags: str) -> Generator[Thought, None, bool]:
        """Say on, up to one of the tags; false where the segment ends without, or grows too long."""
        nonlocal shown
        while not speaker.ended and len(speaker.tokens) < settings.max_new_tokens:
            go_on(stop)
            speaker.say()
            text = speaker.text
            if any(tag in text for tag in tags):
                return True
            stands = text[: standing(text)].rstrip(HALF_A_CHARACTER).strip()
            if stands != shown:
                shown = stands
                yield Thought(stands, done=False)
        return False

    if restore == "auto":
        yield from say_until()
        wanted = RESTORE in speaker.text and not answered(speaker.text)
        return Decision(wanted, speaker.probability(thought_ends(speaker.text), RESTORE))
    if restore == "always":
        yield from say_until(THOUGHT_ENDS, RESTORE, ANSWER)
        head = thought_ends(speaker.text)
        probability = speaker.probability(head, RESTORE)
        thought = speaker.text[:head]
        thought = thought[: standing(thought)]
        open_ = THOUGHT in thought and THOUGHT_ENDS not in thought
        speaker.force(len(thought), THOUGHT_ENDS + RESTORE if open_ else RESTORE)
        return Decision(True, probability)
    yield from undrawn(speaker, say_until)
    return Decision(False, speaker.probability(thought_ends(speaker.text), RESTORE))


def undrawn(
    speaker: Speaker, say_until: Callable[[str], Generator[Thought, None, bool]]
) -> Generator[Thought, None, None]:
    """Say the rest of a segment without the restore tag: where it would come, the answer begins."""
    while (yield from say_until(RESTORE)):
        head = speaker.text.index(RESTORE)
        if ANSWER in speaker.text[:head]:
            speaker.force(head, "")
            break
        speaker.force(head, ANSWER)


def standing(text: str, start: int = 0) -> int:
    """Where, after `start`, a tag begins that the text breaks off in; its end where there is none."""
    cut = text.rfind("<", start)
    broken = cut >= 0 and any(tag.startswith(text[cut:]) and tag != text[cut:] for tag in TAGS)
    return cut if broken else len(text)


def thought_ends(text: str) -> int:
    """Where the thought ends, in characters: after its tag, before the tag that follows, or at the end."""
    ends = [text.index(tag) for tag in (RESTORE, ANSWER) if tag in text]
    if THOUGHT_ENDS in text:
        ends.append(text.index(THOUGHT_ENDS) + len(THOUGHT_ENDS))
    return min(ends, default=len(text))


def answered(text: str) -> bool:
    """Whether there is a whole answer in it."""
    return ANSWER in text and ANSWER_ENDS in text[text.index(ANSWER) :]


def answer_span(text: str) -> tuple[int, int]:
    """Where the answer begins and ends in what was said, in characters; both the end where there is none.

    It stands between its tags; without tags, what follows the thought up to a restore tag; without a thought,
    everything; nothing where the thought has no end.
    """
    start = len(text) if THOUGHT in text else 0
    for tag in (THOUGHT_ENDS, ANSWER):
        if tag in text:
            start = text.index(tag) + len(tag)
    ends = (text.find(tag, start) for tag in (ANSWER_ENDS, RESTORE))
    return start, next((end for end in ends if end >= 0), standing(text, start))


def answer_of(words: Words) -> Answer:
    """The words of the answer and their log-probabilities.

    A token that is shared by a word and a tag counts as the word's.
    """
    text = words.text
    start, stop = answer_span(text)
    which = slice(*_answer_tokens(words))
    tokens = tuple(words.tokens[which])
    return Answer(text[start:stop].strip(), tokens, sum(token.logprob for token in tokens))


def before_answer(words: Words) -> list[int]:
    """The ids of what was said before the first token of the answer, as `answer_of` counts it."""
    return words.ids[: _answer_tokens(words)[0]]


def _answer_tokens(words: Words) -> tuple[int, int]:
    """Which tokens the answer's are: first, and one after the last."""
    start, stop = answer_span(words.text)
    ends = words.ends()
    inside = [k for k, end in enumerate(ends) if (ends[k - 1] if k else 0) < stop and end > start]
    return (inside[0], inside[-1] + 1) if inside else (len(ends), len(ends))
