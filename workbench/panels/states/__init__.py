"""Visual states: what the model draws on its way to an answer."""
