"""What all panels share on the screen. Together with the panels' view.py the only part that knows Gradio."""
