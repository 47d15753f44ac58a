"""Where in the model is the image still there? Linear readers and patch structure along the layers."""
