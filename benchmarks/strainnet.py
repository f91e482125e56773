"""What a net of StrainNet's size costs: its layers with random weights, for time and memory.

After S. Boukhtache et al., Optics and Lasers in Engineering 136, 106308 (2021), whose StrainNet-f
is FlowNetS (Dosovitskiy et al. 2015) with the first two strides taken away; here with two grey
channels, as Montagnon et al. (2024) have it: 38,662,992 parameters. No weights under a free licence
are published, so that nothing is said about its errors.
"""

import torch
from torch import Tensor, nn

from benchmarks.methods import Measured, Method

ENCODER = (
    ("1", 2, 64, 7, 1),
    ("2", 64, 128, 5, 1),
    ("3", 128, 256, 5, 2),
    ("3_1", 256, 256, 3, 1),
    ("4", 256, 512, 3, 2),
    ("4_1", 512, 512, 3, 1),
    ("5", 512, 512, 3, 2),
    ("5_1", 512, 512, 3, 1),
    ("6", 512, 1024, 3, 2),
    ("6_1", 1024, 1024, 3, 1),
)
"""Name, channels in and out, kernel, stride."""
DECODER = ((1024, 512, 512), (1026, 256, 512), (770, 128, 256), (386, 64, 128))
"""Channels in, of the enlarged, and of the level that it joins."""
TILE, MARGIN = 512, 64
"""Pixels of a tile that count each way, and around: what the receptive field needs at least."""


class StrainNet(nn.Module):
    """Two images in, displacement at full resolution out."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.ModuleDict(
            {
                name: nn.Conv2d(inner, outer, kernel, stride, kernel // 2)
                for name, inner, outer, kernel, stride in ENCODER
            }
        )
        self.enlarge = nn.ModuleList(
            nn.ConvTranspose2d(inner, outer, 4, 2, 1, bias=False) for inner, outer, _ in DECODER
        )
        flows = (*(inner for inner, _, _ in DECODER), DECODER[-1][1] + DECODER[-1][2] + 2)
        self.predict = nn.ModuleList(nn.Conv2d(n, 2, 3, 1, 1, bias=False) for n in flows)
        self.flow = nn.ModuleList(nn.ConvTranspose2d(2, 2, 4, 2, 1, bias=False) for _ in DECODER)

    def forward(self, images: Tensor) -> Tensor:
        """Predict: ``(B, 2, H, W)`` in and out; sides are multiples of 16."""
        levels, x = {}, images
        for name, layer in self.encoder.items():
            x = levels[name] = nn.functional.leaky_relu(layer(x), 0.1)
        for number, name in enumerate(("5_1", "4_1", "3_1", "2")):
            flow = self.flow[number](self.predict[number](x))
            larger = nn.functional.leaky_relu(self.enlarge[number](x), 0.1)
            x = torch.cat([levels[name], larger, flow], dim=1)
        return self.predict[-1](x)


def strainnet() -> Method:
    """Run the net in tiles."""
    net = StrainNet().eval()

    def method(reference: Tensor, secondary: Tensor) -> Measured:
        size = len(reference)
        flow = torch.full((2, size, size), torch.nan)
        edge = (MARGIN,) * 4
        images = nn.functional.pad(torch.stack([reference, secondary])[None], edge, mode="reflect")
        with torch.inference_mode():
            for top in range(0, size, TILE):
                for left in range(0, size, TILE):
                    whole = TILE + 2 * MARGIN
                    found = net(images[..., top : top + whole, left : left + whole])
                    inner = found[0, :, MARGIN:-MARGIN, MARGIN:-MARGIN]
                    part = flow[:, top : top + TILE, left : left + TILE]
                    part[:] = inner[:, : part.shape[1], : part.shape[2]]
        at = torch.arange(size, dtype=torch.float32).numpy()
        return Measured(at, at, flow[0].numpy(), flow[1].numpy())

    return method
