"""Whose a run folder is: the config, and the bank or store, that it can be gone on with."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from groundshift.errors import OutputError
from groundshift.nets.weights import STATE
from groundshift.train.config import TrainConfig

CONFIG, BANK = "config.json", "bank.sha256"
"""In a run folder."""
FREE = {"steps", "cool", "single", "crop", "save", "validate", "samples"}
"""Keys that may change when a run goes on."""


def check_run(run: Path, config: TrainConfig, bank: str) -> None:
    """Make the folder of a run, or check that this config and bank (its digest) go on with it.

    Raises
    ------
    OutputError
        If it is the run of others, or cannot be a folder.
    """
    try:
        run.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"{run} cannot be the folder of a run: {error.strerror}; choose another name"
        ) from error
    if not (run / STATE).exists():
        return  # of a run that failed before its first checkpoint nothing is worth keeping
    known = (run / BANK).read_text() if (run / BANK).exists() else bank
    if known != bank:
        other = "another" if known else "no"
        raise OutputError(
            f"{run} was trained with {other} bank or store; pass the same, or choose another "
            "folder and start from this run (start in the YAML)"
        )
    if not (run / CONFIG).exists():
        return
    try:
        there = json.loads((run / CONFIG).read_text())
    except ValueError as error:
        raise OutputError(
            f"{run / CONFIG} is damaged; restore it from a copy, or choose another folder and "
            "start from this run (start in the YAML)"
        ) from error
    usual = _values(TrainConfig())
    # What a key was before there was one.
    there = {**usual, **there, "recipe": {**usual["recipe"], **there.get("recipe", {})}}
    other = sorted(k for k, v in _values(config).items() if there[k] != v and k not in FREE)
    if other:
        raise OutputError(
            f"{run} holds a run with other {', '.join(other)}; choose another folder, or "
            f"change only {', '.join(sorted(FREE))}"
        )


def claim(run: Path, config: TrainConfig, bank: str) -> None:
    """Write the config, and the bank's digest, of a run that was checked."""
    (run / BANK).write_text(bank)
    temporary = run / f".{CONFIG}.part"
    temporary.write_text(json.dumps(_values(config), indent=1))
    temporary.replace(run / CONFIG)


def _values(config: TrainConfig) -> dict[str, Any]:
    """Return what JSON makes of it."""
    return json.loads(json.dumps(asdict(config)))
