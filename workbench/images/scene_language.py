"""Captions, questions and answers about scenes, in lower case, from their ground truth.

All sentences and the rules by which a question is well-posed are ours. Shapes differ within a scene, so
"the star" names one thing. A question is asked only where the picture answers it:

- shape: one object alone has the colour (or the colour and texture) that the question names;
- digit: one object alone carries a digit, or the question names the object that carries one;
- side: the centres are more than 8 % of the width apart;
- front: one hides part of the other and their depths differ by 0.06, or they differ by 0.25, which haze and
  perspective show;
- exists, asked of nothing that is there, changes one word of something that is; in the train and validation
  splits it never names a pair of HELD_OUT_PAIRS, which would teach that such things do not exist.

Answers are single words. Answers of exists, side and front are drawn even. A third of the counts are of one
colour, even between none and some.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

import numpy as np

from workbench.images.scenes import COLOURS, HELD_OUT_PAIRS, SHAPES, SIZES, TEXTURES, Scenes

T = TypeVar("T")

NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
KINDS = ("colour", "shape", "texture", "size", "digit", "count", "exists", "side", "front")

CANDIDATES: dict[str, tuple[str, ...]] = {
    "colour": COLOURS,
    "shape": SHAPES,
    "texture": TEXTURES,
    "size": SIZES,
    "digit": NUMBERS,
    "count": NUMBERS[:5],
    "exists": ("yes", "no"),
    "side": ("left", "right"),
    "front": ("front", "behind"),
}
"""The possible answers to each kind of question."""

CLEAR_SIDE = 0.08
CLEAR_DEPTH = 0.25
CLEAR_DEPTH_TOUCHING = 0.06

_PLURALS = {name: name + ("es" if name.endswith("s") else "s") for name in SHAPES}
_FORBIDDEN = frozenset(HELD_OUT_PAIRS)


@dataclass(frozen=True)
class Question:
    """One question about one scene."""

    kind: str
    text: str
    """Lower case, ends with a question mark."""
    answer: str
    """One word, among the candidates."""
    candidates: tuple[str, ...]


@dataclass(frozen=True)
class _Thing:
    """One object in words, with what relations need."""

    place: int
    shape: str
    colour: str
    texture: str
    size: str
    digit: str
    x: float
    depth: float


class _Dice:
    """Quick draws: one call to the generator serves many small choices."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._pool: list[float] = []

    def below(self, count: int) -> int:
        if not self._pool:
            self._pool = self._rng.random(64).tolist()
        return int(self._pool.pop() * count)

    def one(self, options: tuple[T, ...] | list[T]) -> T:
        return options[self.below(len(options))]

    def shuffled(self, options: list[T]) -> list[T]:
        rest = list(options)
        return [rest.pop(self.below(len(rest))) for _ in range(len(rest))]


def _things(scenes: Scenes, i: int) -> list[_Thing]:
    """The objects of scene i, left to right."""
    objects = scenes.objects
    rows = zip(
        objects.present[i].tolist(), objects.shape[i].tolist(), objects.colour[i].tolist(),
        objects.texture[i].tolist(), objects.size[i].tolist(), objects.digit[i].tolist(),
        objects.x[i].tolist(), objects.depth[i].tolist(), strict=True,
    )  # fmt: skip
    things = [
        _Thing(
            place, SHAPES[shape], COLOURS[colour], TEXTURES[texture], SIZES[size],
            NUMBERS[digit] if digit >= 0 else "", x, depth,
        )
        for place, (present, shape, colour, texture, size, digit, x, depth) in enumerate(rows)
        if present
    ]  # fmt: skip
    return sorted(things, key=lambda thing: (thing.x, thing.place))


def _full(thing: _Thing) -> str:
    words = f"a {thing.size} {thing.colour} {thing.texture} {thing.shape}"
    return f"{words} with {_article(thing.digit)}" if thing.digit else words


def _article(word: str) -> str:
    return f"an {word}" if word in ("orange", "eight") else f"a {word}"


def caption(scenes: Scenes, i: int) -> str:
    """Scene i in one line, left to right: "a small red striped star, a large blue plain ring"."""
    return ", ".join(map(_full, _things(scenes, i)))


def captions(scenes: Scenes, i: int, rng: np.random.Generator) -> list[str]:
    """Several true sentences about scene i in mixed phrasings, the one of `caption` first.

    Lists left to right and near to far; then, where the scene has what it takes, a count, a relation in
    width, a relation in depth and a digit.
    """
    things = _things(scenes, i)
    dice = _Dice(rng)
    near_first = sorted(things, key=lambda thing: thing.depth)
    short = [f"{_article(thing.colour)} {thing.shape}" for thing in things]
    said = [", ".join(map(_full, things))]
    said.append(dice.one((
        "from left to right: " + ", ".join(short),
        "a picture of " + _joined(short),
        "this scene shows " + _joined(short),
        "there is " + _joined(short),
    )))  # fmt: skip
    by_depth = [f"the {thing.colour} {thing.shape}" for thing in near_first]
    if len(things) > 1:
        said.append(dice.one((
            "from near to far: " + ", ".join(by_depth),
            f"{by_depth[0]} is nearest and {by_depth[-1]} is farthest",
            f"nearest is {by_depth[0]}, farthest is {by_depth[-1]}",
        )))  # fmt: skip
    number = NUMBERS[len(things)]
    plural = "object" if len(things) == 1 else "objects"
    verb = "is" if len(things) == 1 else "are"
    said.append(dice.one((
        f"{number} {plural}", f"there {verb} {number} {plural}", f"a scene with {number} {plural}",
    )))  # fmt: skip
    pair = _pair(dice, things, _clear_side)
    if pair:
        left, right = sorted(pair, key=lambda thing: thing.x)
        said.append(dice.one((
            f"the {left.colour} {left.shape} is left of the {right.colour} {right.shape}",
            f"the {right.colour} {right.shape} is to the right of the {left.colour} {left.shape}",
            f"the {left.shape} is on the left of the {right.shape}",
        )))  # fmt: skip
    pair = _pair(dice, things, lambda a, b: _clear_front(scenes, i, a, b))
    if pair:
        near, far = sorted(pair, key=lambda thing: thing.depth)
        said.append(dice.one((
            f"the {near.colour} {near.shape} is in front of the {far.colour} {far.shape}",
            f"the {far.colour} {far.shape} is behind the {near.colour} {near.shape}",
            f"the {near.shape} is in front of the {far.shape}",
        )))  # fmt: skip
    for thing in things:
        if thing.digit:
            said.append(dice.one((
                f"the {thing.shape} has {_article(thing.digit)} on it",
                f"there is {_article(thing.digit)} on the {thing.colour} {thing.shape}",
                f"the digit on the {thing.shape} is {thing.digit}",
            )))  # fmt: skip
    return said


def _joined(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]


_NAMED = re.compile(
    rf"\b({'|'.join(COLOURS)})(?: ({'|'.join(TEXTURES)}))? ({'|'.join(SHAPES)})\b", flags=re.IGNORECASE
)


def objects_of(text: str) -> frozenset[tuple[str, str, str]]:
    """The objects that a caption names, as (colour, shape, texture); texture "" where it names none.

    Reads "red star" and "red striped star" anywhere in the text and ignores everything else.
    """
    return frozenset(
        (colour.lower(), shape.lower(), texture.lower()) for colour, texture, shape in _NAMED.findall(text)
    )


def _pair(
    dice: _Dice, things: list[_Thing], clear: Callable[[_Thing, _Thing], bool]
) -> tuple[_Thing, _Thing] | None:
    """One pair of different things for which `clear` holds, in random order, or None."""
    pairs = [(a, b) for a in things for b in things if a is not b and clear(a, b)]
    return dice.one(pairs) if pairs else None


def _clear_side(a: _Thing, b: _Thing) -> bool:
    return abs(a.x - b.x) > CLEAR_SIDE


def _clear_front(scenes: Scenes, i: int, a: _Thing, b: _Thing) -> bool:
    gap = abs(a.depth - b.depth)
    if gap >= CLEAR_DEPTH:
        return True
    covers = scenes.objects.covers[i]
    return gap >= CLEAR_DEPTH_TOUCHING and bool(covers[a.place, b.place] or covers[b.place, a.place])


def questions(scenes: Scenes, i: int, rng: np.random.Generator, per_kind: int = 1) -> list[Question]:
    """Up to `per_kind` questions of each kind about scene i, in the order of KINDS, if they are well-posed.

    Phrasings, objects and, where a kind allows, answers are drawn from `rng`. No text appears twice.
    """
    things = _things(scenes, i)
    dice = _Dice(rng)
    asked: dict[str, Question] = {}
    for kind in KINDS:
        for _ in range(per_kind):
            found = _ASK[kind](dice, things, scenes, i)
            if found is None:
                break
            text, answer = found
            asked.setdefault(text, Question(kind, text, answer, CANDIDATES[kind]))
    return list(asked.values())


_Asked = tuple[str, str] | None
_Asks = Callable[["_Dice", "list[_Thing]", Scenes, int], _Asked]


def _about(attribute: str, *texts: str) -> _Asks:
    """Asks one of the objects, named by its shape, for an attribute."""

    def ask(dice: _Dice, things: list[_Thing], scenes: Scenes, i: int) -> _Asked:
        thing = dice.one(things)
        return dice.one(texts).format(thing.shape), str(getattr(thing, attribute))

    return ask


def _shape(dice: _Dice, things: list[_Thing], scenes: Scenes, i: int) -> _Asked:
    for thing in dice.shuffled(things):
        same = [other for other in things if other.colour == thing.colour]
        if len(same) == 1:
            named = thing.colour
        elif sum(other.texture == thing.texture for other in same) == 1:
            named = f"{thing.colour} {thing.texture}"
        else:
            continue
        text = dice.one((
            "what shape is the {} thing?", "what is the shape of the {} object?",
            "which shape is the {} one?", "what is the {} thing?",
        ))  # fmt: skip
        return text.format(named), thing.shape
    return None


def _digit(dice: _Dice, things: list[_Thing], scenes: Scenes, i: int) -> _Asked:
    bearers = [thing for thing in things if thing.digit]
    if not bearers:
        return None
    thing = dice.one(bearers)
    named = ("what digit is on the {}?", "which number is on the {}?", "what number does the {} carry?")
    alone = ("what digit is in the picture?", "which digit do you see?", "what number can you read?")
    text = dice.one(named + alone if len(bearers) == 1 else named)
    return text.format(thing.shape), thing.digit


def _count(dice: _Dice, things: list[_Thing], scenes: Scenes, i: int) -> _Asked:
    if dice.below(3):
        text = dice.one((
            "how many objects are there?", "how many things do you see?", "what is the number of objects?",
            "how many shapes are in the picture?",
        ))  # fmt: skip
        return text, NUMBERS[len(things)]
    shown = [thing.colour for thing in things]
    absent = [colour for colour in COLOURS if colour not in shown]
    colour = dice.one(shown if dice.below(2) else absent)
    text = dice.one((
        "how many {} things are there?", "how many {} objects do you see?",
        "what is the number of {} objects?",
    ))  # fmt: skip
    return text.format(colour), NUMBERS[shown.count(colour)]


def _exists(dice: _Dice, things: list[_Thing], scenes: Scenes, i: int) -> _Asked:
    thing = dice.one(things)
    about = dice.below(3)
    yes = dice.below(2) == 1
    if about == 0:
        wanted = thing.shape if yes else dice.one(_absent_shapes(frozenset(other.shape for other in things)))
    elif about == 1:
        wanted = f"{thing.colour} {thing.shape}" if yes else _absent_pair(dice, things, thing, scenes.split)
    else:
        here = {other.texture + " " + other.shape for other in things}
        wanted = f"{thing.texture} {thing.shape}"
        if not yes:
            options = [f"{texture} {thing.shape}" for texture in TEXTURES]
            options += [f"{thing.texture} {other.shape}" for other in things]
            wanted = dice.one([option for option in options if option not in here])
    text = dice.one((
        "is there a {}?", "do you see a {}?", "does the picture show a {}?", "can you find a {}?",
    ))  # fmt: skip
    text = text.format(wanted)
    return text.replace(" a orange", " an orange"), "yes" if yes else "no"


@lru_cache(maxsize=512)
def _absent_shapes(shown: frozenset[str]) -> tuple[str, ...]:
    return tuple(shape for shape in SHAPES if shape not in shown)


def _absent_pair(dice: _Dice, things: list[_Thing], thing: _Thing, split: str) -> str:
    """A colour and shape that no object has together: one word of `thing` changed."""
    here = {(other.colour, other.shape) for other in things}
    if dice.below(2):
        options = [(colour, thing.shape) for colour in COLOURS]
    else:
        options = [(thing.colour, shape) for shape in SHAPES]
    options = [pair for pair in options if pair not in here and (split == "test" or pair not in _FORBIDDEN)]
    colour, shape = dice.one(options)
    return f"{colour} {shape}"


def _side(dice: _Dice, things: list[_Thing], scenes: Scenes, i: int) -> _Asked:
    pair = _pair(dice, things, _clear_side)
    if pair is None:
        return None
    text = dice.one((
        "is the {} left or right of the {}?", "is the {} to the right or to the left of the {}?",
        "on which side of the {1} is the {0}?", "left or right: where is the {} from the {}?",
    ))  # fmt: skip
    return text.format(pair[0].shape, pair[1].shape), "left" if pair[0].x < pair[1].x else "right"


def _front(dice: _Dice, things: list[_Thing], scenes: Scenes, i: int) -> _Asked:
    pair = _pair(dice, things, lambda a, b: _clear_front(scenes, i, a, b))
    if pair is None:
        return None
    text = dice.one((
        "is the {} in front of or behind the {}?", "is the {} behind the {} or in front of it?",
        "does the {} stand in front of the {} or behind it?", "front or behind: where is the {} from the {}?",
    ))  # fmt: skip
    return text.format(pair[0].shape, pair[1].shape), "front" if pair[0].depth < pair[1].depth else "behind"


_ASK: dict[str, _Asks] = {
    "colour": _about(
        "colour",
        "what colour is the {}?",
        "what is the colour of the {}?",
        "which colour does the {} have?",
        "what color is the {}?",
    ),
    "shape": _shape,
    "texture": _about(
        "texture",
        "what texture is the {}?",
        "what pattern does the {} have?",
        "is the {} plain, striped or dotted?",
        "what is the texture of the {}?",
    ),
    "size": _about(
        "size",
        "is the {} large or small?",
        "what size is the {}?",
        "how big is the {}, small or large?",
    ),
    "digit": _digit,
    "count": _count,
    "exists": _exists,
    "side": _side,
    "front": _front,
}
