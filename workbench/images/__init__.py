"""Images: reading them safely, corrupting them by definition, drawing scenes whose truth is known."""
