"""What a Hugging Face Space starts."""

from workbench.app import build, launch

demo = build()

if __name__ == "__main__":
    launch(demo)
