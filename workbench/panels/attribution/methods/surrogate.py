"""Methods that fit a linear model to what becomes of the target when regions come and go, through Captum."""

from __future__ import annotations

from typing import Any

import numpy as np

from workbench.panels.attribution.case import Case
from workbench.panels.attribution.methods.ablation import AT_ONCE, averaged, each, tensor
from workbench.panels.attribution.methods.method import Found, seeded
from workbench.panels.attribution.parts import parts


def kernel_shap(case: Case) -> Found:
    """Shapley values of the regions, estimated with the kernel that makes a linear fit them."""
    from captum.attr import KernelShap

    return _fitted(case, KernelShap)


def lime(case: Case) -> Found:
    """Coefficients of a sparse linear model (the lasso) near the image, as Captum sets it by default."""
    from captum.attr import Lime

    return _fitted(case, Lime)


def _fitted(case: Case, kind: Any) -> Found:
    import torch

    regions = torch.from_numpy(parts(case))[None, None]

    def explained(forward: Any) -> np.ndarray:
        with seeded(case.config.seed):
            found = kind(forward).attribute(
                tensor(case.image),
                baselines=tensor(case.baseline),
                feature_mask=regions,
                n_samples=case.config.samples,
                perturbations_per_eval=AT_ONCE,
            )
        return averaged(case, found[0, 0].double().numpy())

    return each(case, explained)
