"""Multinomial logistic regression for many label sets and many feature matrices at once, on a CPU or a GPU.

scikit-learn's objective, solved in another way. Features come in the basis of their principal directions,
where the curvature of the objective at W = 0 is diagonal, so that L-BFGS (Nocedal and Wright, algorithm 7.4)
starts from the true one and needs tens of steps where it needs hundreds in the features as they are. A step
moves the logits along a straight line, so a line search costs no product with the features. Shuffled labels
share each product with all other shuffles.
"""

from __future__ import annotations

from collections import deque

import torch
from torch import Tensor

MOST = 300
"""Steps after which the search ends wherever it is."""
MEMORY = 10
"""Pairs of steps and gradients that L-BFGS keeps."""
TOLERANCE = 1e-7
"""Nats an image by which the next step is expected to lower the loss when the search ends."""
ENOUGH = 0.2
"""Part of the slope at a step's start that a line search leaves of it."""


@torch.no_grad()
def fit(
    features: Tensor, labels: Tensor, classes: int, inverse_penalty: Tensor, start: Tensor | None = None
) -> Tensor:
    """Minimise, for each feature matrix X and each label set y,

        1/2 |W|^2 + C sum_i -log softmax(W x_i + b)[y_i],

    with |W|^2 in place of its half where there are two classes: scikit-learn then penalises one weight
    vector, their difference.

    Args:
        features: (matrices, n, r), columns of each with mean 0 and orthogonal to each other; columns of zeros
            do no harm. Its number type is the one computed in.
        labels: int64 (sets, n), 0..classes-1.
        classes: how many there are.
        inverse_penalty: C > 0 of each matrix, (matrices,).
        start: where to begin, as returned for the same labels and another C.

    Returns:
        (matrices, r + 1, sets, classes): weights, the last row the intercepts.
    """
    s, n, r = features.shape
    x = torch.cat([features, features.new_ones(s, n, 1)], dim=2)
    y = labels.T[None, :, :, None].expand(s, n, len(labels), 1)
    decay = (1 + (classes == 2)) / (inverse_penalty.to(x) * n)[:, None].repeat(1, r + 1)
    decay[:, -1] = 0
    # At W = 0 all classes are equally likely, and the Hessian is this in the directions that matter.
    curvature = (decay + (x * x).mean(dim=1) / classes)[..., None, None]
    decay = decay[..., None, None]
    w = x.new_zeros(s, r + 1, len(labels), classes) if start is None else start.clone()
    logits = _times(x, w)
    errors = _errors(logits, y)
    gradient = _times(x.mT, errors) / n + decay * w
    past: deque[tuple[Tensor, Tensor, Tensor]] = deque(maxlen=MEMORY)
    for _ in range(MOST):
        direction = _direction(gradient, past, curvature)
        slope = _inner(gradient, direction)
        going = slope < -2 * TOLERANCE
        if not going.any():
            break
        direction = torch.where(going[:, None, :, None], direction, 0)
        along = _times(x, direction)
        bend = decay * direction
        length, errors = _search(logits, along, y, _inner(bend, w), _inner(bend, direction), slope * going)
        step = length[:, None, :, None] * direction
        w += step
        logits += length[:, None, :, None] * along
        before, gradient = gradient, _times(x.mT, errors) / n + decay * w
        change = gradient - before
        turned = _inner(step, change)
        # Where a search has ended there is no step, and its pair must count for nothing.
        past.append((step, change, torch.where(turned > 0, 1 / turned, 0)))
    return w


def predict(weights: Tensor, intercepts: Tensor, features: Tensor) -> Tensor:
    """The likeliest class of (m, d) by weights (d, sets, classes), intercepts (sets, classes): (sets, m)."""
    return ((features @ weights.flatten(1)).unflatten(1, intercepts.shape) + intercepts).argmax(-1).T


def _times(x: Tensor, w: Tensor) -> Tensor:
    """(matrices, a, b) times (matrices, b, sets, classes): one product for all sets."""
    return (x @ w.flatten(2)).unflatten(2, w.shape[2:])


def _inner(a: Tensor, b: Tensor) -> Tensor:
    """Inner product of every problem's own weights: (matrices, sets)."""
    return (a * b).sum(dim=(1, 3))


def _errors(logits: Tensor, y: Tensor) -> Tensor:
    """Softmax minus the indicator of the label, (matrices, n, sets, classes)."""
    return logits.softmax(dim=3).scatter_add_(3, y, torch.full_like(logits[..., :1], -1.0))


def _direction(gradient: Tensor, past: deque[tuple[Tensor, Tensor, Tensor]], curvature: Tensor) -> Tensor:
    """Minus the gradient times L-BFGS's estimate of the inverse Hessian (the two-loop recursion)."""
    q = -gradient
    shares = []
    for step, change, weight in reversed(past):
        share = weight * _inner(step, q)
        q = q - share[:, None, :, None] * change
        shares.append(share)
    q = q / curvature
    if past:
        _, change, weight = past[-1]
        bent = weight * _inner(change, change / curvature)
        q = q * torch.where(bent > 0, 1 / bent, 1)[:, None, :, None]
    for (step, change, weight), share in zip(past, reversed(shares), strict=True):
        q = q + (share - weight * _inner(change, q))[:, None, :, None] * step
    return q


def _search(
    logits: Tensor, along: Tensor, y: Tensor, pull: Tensor, stiffness: Tensor, slope: Tensor
) -> tuple[Tensor, Tensor]:
    """Lengths (matrices, sets) of the step, and the errors after it: Newton's method in one dimension.

    The loss along a line is convex; where Newton leaves the interval that holds its minimum, that is halved.
    """
    n = logits.shape[1]
    length, low = torch.ones_like(slope), torch.zeros_like(slope)
    high = torch.full_like(slope, torch.inf)
    for _ in range(20):
        errors = _errors(logits + length[:, None, :, None] * along, y)
        here = _inner(errors, along) / n + pull + length * stiffness
        done = here.abs() <= ENOUGH * slope.abs()
        if done.all():
            break
        high, low = torch.where(here > 0, length, high), torch.where(here < 0, length, low)
        likely = errors.scatter_add(3, y, torch.ones_like(along[..., :1]))
        mean = (likely * along).sum(dim=3, keepdim=True)
        second = _inner(likely * (along - mean), along) / n + stiffness
        newton = length - here / second
        safe = (newton > low) & (newton < high) & (newton < 10 * length)
        other = torch.where(high.isfinite(), (low + high) / 2, 4 * length)
        length = torch.where(done, length, torch.where(safe, newton, other))
    return length, errors
