"""What a net of StrainNet's size costs: its layers with random weights, for time and memory.

After S. Boukhtache et al., Optics and Lasers in Engineering 136, 106308 (2021), with two grey
channels, as Montagnon et al. (2024) have it. No weights under a free licence are published, so that
nothing is said about its errors.
"""

import torch
from torch import Tensor, nn

from benchmarks.methods import Measured, Method
from groundshift.nets.strainnet import StrainNet, StrainNetConfig

TILE, MARGIN = 512, 64
"""Pixels of a tile that count each way, and around: what the receptive field needs at least."""


def strainnet() -> Method:
    """Run the net in tiles."""
    net = StrainNet(StrainNetConfig("f")).eval()

    def method(reference: Tensor, secondary: Tensor) -> Measured:
        size = len(reference)
        flow = torch.full((2, size, size), torch.nan)
        edge = (MARGIN,) * 4
        images = nn.functional.pad(torch.stack([reference, secondary])[None], edge, mode="reflect")
        with torch.inference_mode():
            for top in range(0, size, TILE):
                for left in range(0, size, TILE):
                    whole = TILE + 2 * MARGIN
                    part = images[..., top : top + whole, left : left + whole]
                    found = net(part, torch.ones_like(part[:, :1]))[-1]
                    inner = found[0, :, MARGIN:-MARGIN, MARGIN:-MARGIN]
                    cells = flow[:, top : top + TILE, left : left + TILE]
                    cells[:] = inner[:, : cells.shape[1], : cells.shape[2]]
        at = torch.arange(size, dtype=torch.float32).numpy()
        return Measured(at, at, flow[0].numpy(), flow[1].numpy())

    return method
