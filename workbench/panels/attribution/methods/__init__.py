"""Every method behind one interface, from the quickest to the slowest; a file for each kind.

A method is asked about a `Case` and makes a map over its cells for each target and, where it looks at single
layers, for each layer.
"""

from __future__ import annotations

from workbench.panels.attribution.config import Method as Name
from workbench.panels.attribution.methods import (
    ablation,
    attention,
    cam,
    deeplift,
    gradients,
    nothing,
    surrogate,
    tokens,
)
from workbench.panels.attribution.methods.method import Found, Method

__all__ = ["METHODS", "Found", "Method"]

METHODS: dict[Name, Method] = {
    "attention": Method(attention.attention, "where the answer's queries look"),
    "relevancy": Method(
        attention.relevancy,
        "gradient × attention, rolled out over the layers (Chefer et al. 2021)",
    ),
    "saliency": Method(
        gradients.saliency, "size of the pixels' gradient (Simonyan et al. 2014)", pixels=True
    ),
    "input-x-gradient": Method(gradients.input_x_gradient, "pixels times gradient", signed=True, pixels=True),
    "grad-cam": Method(cam.grad_cam, "states weighted by their mean gradient (Selvaraju et al. 2017)"),
    "integrated-gradients": Method(
        gradients.integrated,
        "gradients along the path from the baseline (Sundararajan et al. 2017)",
        signed=True,
        pixels=True,
    ),
    "token-gradients": Method(
        tokens.integrated,
        "integrated gradients of the visual tokens that enter the language model",
        signed=True,
    ),
    "gradient-shap": Method(
        gradients.shap,
        "gradients at random points between several baselines and the image (Lundberg and Lee 2017)",
        signed=True,
        pixels=True,
    ),
    "deeplift": Method(
        deeplift.deeplift, "differences instead of gradients (Shrikumar et al. 2017)", True, True
    ),
    "occlusion": Method(ablation.occlusion, "a window over the image (Zeiler and Fergus 2014)", signed=True),
    "ablation": Method(ablation.ablation, "one region after the other taken away", signed=True),
    "kernel-shap": Method(
        surrogate.kernel_shap, "Shapley values of regions (Lundberg and Lee 2017)", signed=True
    ),
    "lime": Method(surrogate.lime, "a sparse linear model of regions (Ribeiro et al. 2016)", signed=True),
    "random": Method(nothing.random, "numbers drawn evenly: what any map has to beat"),
}
