"""Draw the example scenes that the page shows at once: ``python assets/samples/make.py``."""

import json
from pathlib import Path

from PIL import Image

from workbench.panels.specimen import scene

SEEDS = (10, 15, 27, 30, 42, 45)


def main() -> None:
    """Write one PNG for each scene and samples.json, which says what each is."""
    folder = Path(__file__).parent
    about = []
    for seed in SEEDS:
        found = scene(seed)
        file = f"scene_{seed}.png"
        Image.fromarray(found.picture.pixels).save(folder / file, optimize=True)
        about.append(
            {
                "file": file,
                "source": found.source,
                "name": found.name,
                "question": found.question,
                "truth": found.truth,
                "notes": list(found.picture.notes),
                "sha256": found.picture.sha256,
            }
        )
    (folder / "samples.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
