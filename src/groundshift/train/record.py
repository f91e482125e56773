"""The log of a run: one line of JSON for each report, and TensorBoard's where it is installed."""

import json
from pathlib import Path
from typing import Any

LOG = "log.jsonl"


class Record:
    """Writes what is reported to a run folder."""

    def __init__(self, run: Path) -> None:
        self._path = run / LOG
        self._board: Any = None
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            return
        self._board = SummaryWriter(str(run))

    def write(self, kind: str, line: dict[str, float]) -> None:
        """Add values of a step; `kind` is "train" or "validation"."""
        with self._path.open("a") as file:
            file.write(json.dumps({"kind": kind, **line}) + "\n")
        if self._board is not None:
            for name, value in line.items():
                self._board.add_scalar(f"{kind}/{name}", value, int(line["step"]))
            self._board.flush()

    def close(self) -> None:
        """Finish the files."""
        if self._board is not None:
            self._board.close()
