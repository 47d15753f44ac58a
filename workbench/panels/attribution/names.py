"""What methods are called, for whoever shows a result without a model."""

from __future__ import annotations

from workbench.panels.attribution.scores import BASELINES

ALL_LAYERS = "all layers"
"""The first of a method's layers where it has several: their mean."""
LABELS: dict[str, str] = {
    "attention": "attention",
    "relevancy": "relevancy",
    "saliency": "saliency",
    "input-x-gradient": "input × gradient",
    "grad-cam": "Grad-CAM",
    "integrated-gradients": "integrated gradients",
    "token-gradients": "IG of tokens",
    "gradient-shap": "GradientSHAP",
    "deeplift": "DeepLIFT",
    "occlusion": "occlusion",
    "ablation": "ablation",
    "kernel-shap": "KernelSHAP",
    "lime": "LIME",
    "random": "random",
    **BASELINES,
}
