"""Captions, questions and answers: true of the scene by a second reading of it, and balanced."""

from __future__ import annotations

import re
import time
from collections import Counter, defaultdict
from typing import Any

import numpy as np
import pytest

from workbench.images.scene_language import (
    CANDIDATES,
    KINDS,
    NUMBERS,
    Question,
    caption,
    captions,
    objects_of,
    questions,
)
from workbench.images.scenes import COLOURS, HELD_OUT_PAIRS, SHAPES, SIZES, TEXTURES, Scenes, generate

WRONG_ARTICLE = re.compile(r"\ba (?!one\b)[aeiou]|\ban (?![aeiou])|\ban one\b")


@pytest.fixture(scope="module")
def scenes() -> Scenes:
    return generate(np.arange(500), "train")


@pytest.fixture(scope="module")
def asked(scenes: Scenes) -> list[tuple[int, Question]]:
    rng = np.random.default_rng(0)
    return [(i, question) for i in range(len(scenes)) for question in questions(scenes, i, rng, per_kind=2)]


def rows(scenes: Scenes, i: int) -> list[dict[str, Any]]:
    """The objects of scene i by name, read independently of the module under test."""
    o = scenes.objects
    return [
        {
            "place": k,
            "shape": SHAPES[o.shape[i, k]],
            "colour": COLOURS[o.colour[i, k]],
            "texture": TEXTURES[o.texture[i, k]],
            "size": SIZES[o.size[i, k]],
            "digit": NUMBERS[o.digit[i, k]] if o.digit[i, k] >= 0 else None,
            "x": float(o.x[i, k]),
            "depth": float(o.depth[i, k]),
        }
        for k in np.flatnonzero(o.present[i])
    ]


def named(text: str, words: tuple[str, ...]) -> list[str]:
    """The words of a vocabulary in order of appearance."""
    return re.findall(rf"\b({'|'.join(words)})\b", text)


def test_every_question_has_one_word_among_its_candidates(asked: list[tuple[int, Question]]) -> None:
    for _, question in asked:
        assert question.kind in KINDS
        assert question.candidates == CANDIDATES[question.kind]
        assert question.answer in question.candidates and " " not in question.answer
        assert question.text.endswith("?") and question.text == question.text.lower()
        assert "{" not in question.text
        assert not WRONG_ARTICLE.search(question.text)


def test_answers_are_true(scenes: Scenes, asked: list[tuple[int, Question]]) -> None:
    for i, question in asked:
        assert answer_again(scenes, i, question) == question.answer, question


def answer_again(scenes: Scenes, i: int, question: Question) -> str:
    """A second, independent way from question to answer; raises where there is no single answer."""
    things = rows(scenes, i)
    by_shape = {thing["shape"]: thing for thing in things}
    text = question.text
    shapes, colours = named(text, SHAPES), named(text, COLOURS)
    if question.kind in ("colour", "size"):
        return by_shape[shapes[0]][question.kind]
    if question.kind == "texture":
        return by_shape[shapes[0]]["texture"]
    if question.kind == "shape":
        textures = named(text, TEXTURES)
        (only,) = [
            thing
            for thing in things
            if thing["colour"] == colours[0] and (not textures or thing["texture"] == textures[0])
        ]
        return only["shape"]
    if question.kind == "digit":
        (only,) = [
            thing for thing in things if thing["digit"] and (not shapes or thing["shape"] == shapes[0])
        ]
        return only["digit"]
    if question.kind == "count":
        return NUMBERS[sum(not colours or thing["colour"] == colours[0] for thing in things)]
    if question.kind == "exists":
        textures = named(text, TEXTURES)
        return (
            "yes"
            if any(
                thing["shape"] == shapes[0]
                and (not colours or thing["colour"] == colours[0])
                and (not textures or thing["texture"] == textures[0])
                for thing in things
            )
            else "no"
        )
    first, second = (by_shape[shape] for shape in shapes)
    if question.kind == "side":
        if text.startswith("on which side of the"):
            first, second = second, first
        assert abs(first["x"] - second["x"]) > 0.08
        return "left" if first["x"] < second["x"] else "right"
    gap = abs(first["depth"] - second["depth"])
    covers = scenes.objects.covers[i]
    hides = covers[first["place"], second["place"]] or covers[second["place"], first["place"]]
    assert gap >= 0.25 or (hides and gap >= 0.06)
    return "front" if first["depth"] < second["depth"] else "behind"


def test_every_kind_has_several_phrasings(asked: list[tuple[int, Question]]) -> None:
    frames: dict[str, set[str]] = defaultdict(set)
    content = re.compile(rf"\b({'|'.join(COLOURS + SHAPES)})s?\b")
    for _, question in asked:
        if question.kind == "texture":
            frames[question.kind].add(re.sub(rf"\b({'|'.join(SHAPES)})\b", "_", question.text))
        else:
            frames[question.kind].add(content.sub("_", question.text))
    assert set(frames) == set(KINDS) and len(KINDS) >= 8
    for kind, seen in frames.items():
        assert len(seen) >= 3, (kind, seen)


def test_answers_are_balanced(asked: list[tuple[int, Question]]) -> None:
    answers: dict[str, Counter[str]] = defaultdict(Counter)
    for _, question in asked:
        answers[question.kind][question.answer] += 1
    for kind in ("exists", "side", "front"):
        share = answers[kind].most_common(1)[0][1] / answers[kind].total()
        assert share < 0.56, (kind, answers[kind])
    for kind, most in (
        ("colour", 0.2),
        ("shape", 0.25),
        ("texture", 0.5),
        ("size", 0.65),
        ("digit", 0.2),
        ("count", 0.35),
    ):
        assert answers[kind].most_common(1)[0][1] / answers[kind].total() < most, (kind, answers[kind])
        assert set(answers[kind]) >= set(CANDIDATES[kind]) - {"zero"}


def test_training_never_asks_about_held_out_pairs() -> None:
    rng = np.random.default_rng(1)
    held_out = [f"{colour} {shape}" for colour, shape in HELD_OUT_PAIRS]
    counts = {}
    for split in ("train", "validation", "test"):
        scenes = generate(np.arange(300), split)
        texts = [q.text for i in range(300) for q in questions(scenes, i, rng, per_kind=3)]
        counts[split] = sum(pair in text for text in texts for pair in held_out)
    assert counts["train"] == counts["validation"] == 0
    assert counts["test"] > 20


def test_questions_follow_their_generator_and_do_not_repeat(scenes: Scenes) -> None:
    for i in range(50):
        first = questions(scenes, i, np.random.default_rng(i), per_kind=4)
        assert first == questions(scenes, i, np.random.default_rng(i), per_kind=4)
        texts = [question.text for question in first]
        assert len(set(texts)) == len(texts)
        assert max(Counter(question.kind for question in first).values()) <= 4
    several = {tuple(questions(scenes, 0, np.random.default_rng(k))) for k in range(8)}
    assert len(several) > 4


def test_the_caption_lists_everything_left_to_right(scenes: Scenes) -> None:
    for i in range(len(scenes)):
        things = sorted(rows(scenes, i), key=lambda thing: thing["x"])
        parts = caption(scenes, i).split(", ")
        assert len(parts) == len(things)
        for part, thing in zip(parts, things, strict=True):
            words = part.split()
            assert words[:5] == ["a", thing["size"], thing["colour"], thing["texture"], thing["shape"]]
            if thing["digit"]:
                assert words[5:] == ["with", "an" if thing["digit"] == "eight" else "a", thing["digit"]]
            else:
                assert words[5:] == []


def test_objects_of_reads_captions_back(scenes: Scenes) -> None:
    for i in range(len(scenes)):
        truth = {(t["colour"], t["shape"], t["texture"]) for t in rows(scenes, i)}
        assert objects_of(caption(scenes, i)) == truth
    assert objects_of("There is a Red star and a blue striped ring.") == {
        ("red", "star", ""),
        ("blue", "ring", "striped"),
    }
    assert objects_of("a red and a star, infrared stars, a blue") == frozenset()


def test_richer_captions_are_true(scenes: Scenes) -> None:
    rng = np.random.default_rng(3)
    kinds: Counter[str] = Counter()
    for i in range(len(scenes)):
        things = rows(scenes, i)
        by_shape = {thing["shape"]: thing for thing in things}
        said = captions(scenes, i, rng)
        assert said[0] == caption(scenes, i)
        assert len(set(said)) == len(said)
        for text in said[1:]:
            assert text == text.lower() and not WRONG_ARTICLE.search(text)
            shapes = named(text, SHAPES)
            for colour, shape, _ in objects_of(text):
                assert by_shape[shape]["colour"] == colour
            mentioned = [by_shape[shape] for shape in shapes]
            if " left of " in text or " on the left of " in text:
                kinds["left"] += 1
                assert mentioned[0]["x"] < mentioned[1]["x"]
            elif " right of " in text:
                kinds["right"] += 1
                assert mentioned[0]["x"] > mentioned[1]["x"]
            elif "in front of" in text:
                kinds["front"] += 1
                assert mentioned[0]["depth"] < mentioned[1]["depth"]
            elif "behind" in text:
                kinds["behind"] += 1
                assert mentioned[0]["depth"] > mentioned[1]["depth"]
            elif "near" in text:
                kinds["near"] += 1
                depths = [thing["depth"] for thing in mentioned]
                assert depths == sorted(depths)
                assert depths[0] == min(t["depth"] for t in things)
                assert depths[-1] == max(t["depth"] for t in things)
            elif "object" in text:
                kinds["count"] += 1
                assert named(text.replace("one object", "one"), NUMBERS)[0] == NUMBERS[len(things)]
            elif len(shapes) == 1 and named(text, NUMBERS):
                kinds["digit"] += 1
                assert named(text, NUMBERS) == [by_shape[shapes[0]]["digit"]]
            else:
                kinds["list"] += 1
                assert len(shapes) == len(things)
                assert [t["x"] for t in mentioned] == sorted(t["x"] for t in mentioned)
    assert set(kinds) == {"left", "right", "front", "behind", "near", "count", "digit", "list"}


def test_questions_are_quick_enough_to_train_on(scenes: Scenes) -> None:
    """The target is 2,000 scenes a second; a busy machine gets half of that before this fails."""
    rng = np.random.default_rng(0)
    best = np.inf
    for _ in range(3):
        start = time.perf_counter()
        for i in range(200):
            questions(scenes, i, rng)
        best = min(best, time.perf_counter() - start)
    assert 200 / best > 1000
