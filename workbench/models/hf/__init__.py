"""Image-text-to-text models of transformers, opened by convention; `families/` holds what departs from it."""
