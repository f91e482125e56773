"""Writes the presets as YAML, to read, cite and change: ``python -m groundshift.train.configs``.

Each file holds what differs from the defaults, and is one that `groundshift train` reads. Presets
themselves are Python, as training runs where nothing reads YAML.
"""

import sys
from inspect import getdoc, getmodule
from pathlib import Path

from groundshift.settings import Text
from groundshift.train.config import TrainConfig
from groundshift.train.presets import PRESETS

CONFIGS = Text(TrainConfig, "training", "groundshift train", PRESETS)


def texts() -> dict[str, str]:
    """Return the YAML of each preset by the name of its file."""
    return {f"{name}.yaml": _text(name, config) for name, config in PRESETS.items()}


def _text(name: str, config: TrainConfig) -> str:
    about = (getdoc(getmodule(type(config.net))) or "").split("\n")[0]
    return f"# {about}\n# groundshift train {name} RUN\n{CONFIGS.difference(config)}"


if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "configs")
    folder.mkdir(exist_ok=True)
    for file, text in texts().items():
        (folder / file).write_text(text)
