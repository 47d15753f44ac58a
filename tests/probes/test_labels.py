"""Token labels against a brute-force count of pixels and a worked example."""

from __future__ import annotations

import numpy as np
import pytest

from probes.labels import token_labels


def brute(class_map: np.ndarray, box: np.ndarray, purity: float) -> tuple[int, float]:
    """Overlap area pixel by pixel."""
    areas: dict[int, float] = {}
    for y in range(class_map.shape[0]):
        for x in range(class_map.shape[1]):
            w = max(0.0, min(x + 1, box[2]) - max(x, box[0]))
            h = max(0.0, min(y + 1, box[3]) - max(y, box[1]))
            areas[int(class_map[y, x])] = areas.get(int(class_map[y, x]), 0.0) + w * h
    total = sum(areas.values())
    best = max(areas, key=lambda k: areas[k])
    share = areas[best] / total
    return (best if share >= purity else -1), share


def test_worked_example() -> None:
    class_map = np.array([[1, 1, 2, 2], [1, 3, 2, 2]])
    boxes = [[0, 0, 2, 2], [2, 0, 4, 2], [1, 0, 3, 2]]
    found = token_labels(class_map, boxes, purity=0.7)
    assert found.labels.tolist() == [1, 2, -1]
    assert found.purity == pytest.approx([0.75, 1.0, 0.5])
    assert token_labels(class_map, boxes, purity=0.8).labels.tolist() == [-1, 2, -1]
    assert token_labels(class_map, boxes, purity=0.7, ignore=[2]).labels.tolist() == [1, -1, -1]


def test_boxes_that_cut_pixels_equal_brute_force() -> None:
    rng = np.random.default_rng(0)
    maps = rng.integers(0, 4, (3, 9, 11)).astype(np.uint8)
    corner = rng.uniform(0, 6, (20, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(0.3, 4.0, (20, 2))], axis=1)
    found = token_labels(maps, boxes, purity=0.45)
    assert found.labels.shape == (3, 20)
    for i in range(3):
        for j in range(20):
            label, share = brute(maps[i], boxes[j], 0.45)
            assert found.labels[i, j] == label
            assert found.purity[i, j] == pytest.approx(share, abs=1e-6)


def test_only_the_part_inside_the_image_counts() -> None:
    found = token_labels(np.full((4, 4), 7), [[2, 2, 10, 10], [5, 5, 6, 6], [1, 1, 1, 1]], purity=0.9)
    assert found.labels.tolist() == [7, -1, -1]


@pytest.mark.parametrize(
    ("class_map", "boxes", "purity"),
    [
        (np.zeros((4, 4)), [[0, 0, 1, 1]], 0.5),
        (np.zeros(4, int), [[0, 0, 1, 1]], 0.5),
        (np.zeros((0, 4), int), [[0, 0, 1, 1]], 0.5),
        (np.zeros((4, 4), int), [[0, 0, 1]], 0.5),
        (np.zeros((4, 4), int), [[0, 0, 1, 1]], 1.5),
        (np.full((4, 4), -1), [[0, 0, 1, 1]], 0.5),
    ],
)
def test_nonsense_is_refused(class_map: np.ndarray, boxes: list[list[float]], purity: float) -> None:
    with pytest.raises(ValueError):
        token_labels(class_map, boxes, purity=purity)
