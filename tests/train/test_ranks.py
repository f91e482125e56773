"""Two processes train one net: with the same weights, from different samples."""

import os
import subprocess
import sys

import torch

SCRIPT = """
import sys
from pathlib import Path

import torch

from groundshift.nets.fusion import FusionConfig
from groundshift.synth.recipe import Recipe
from groundshift.train import TrainConfig, train
from groundshift.train.ranks import rank

torch.set_num_threads(1)
config = TrainConfig(
    net=FusionConfig(widths=(8, 8, 8), iterations=1),
    recipe=Recipe(size=64, radar=1.0, plain=1.0, motions=(("constant", 1.0),)),
    steps=3, batch=1, pool=3, warmup=1, save=3, validate=3, samples=1,
)
state = train(config, Path(sys.argv[1]) / "run", workers=0)
torch.save(state.net.state_dict(), Path(sys.argv[1]) / f"net{rank()}.pt")
"""


def test_two_processes_end_with_the_same_net(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    done = subprocess.run(
        [*command, "--nproc-per-node=2", str(script), str(tmp_path)],
        env={**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    one, two = (torch.load(tmp_path / f"net{k}.pt", weights_only=True) for k in (0, 1))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert (tmp_path / "run" / "state.pt").exists()
    assert len((tmp_path / "run" / "log.jsonl").read_text().splitlines()) == 2
