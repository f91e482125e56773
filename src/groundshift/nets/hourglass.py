"""Encoder and decoder of the FlowNet family: two images in, displacement at several scales out.

Convolutions halve the image step by step; on the way back each level joins what the encoder saw
there, what is enlarged, and the coarser displacement (Dosovitskiy et al. 2015). What the members of
the family differ in is a table each, see :mod:`groundshift.nets.flownets` and its neighbours.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, max_pool2d

from groundshift.nets.layers import activated, masked, narrowed
from groundshift.nets.spans import Span, reach_of

IMAGES = 2
"""Channels of the input: one grey image each."""


class Step(NamedTuple):
    """A convolution of the encoder."""

    name: str
    outside: int
    """Channels it gives."""
    kernel: int
    stride: int


DEEP = (
    Step("4", 512, 3, 2),
    Step("4_1", 512, 3, 1),
    Step("5", 512, 3, 2),
    Step("5_1", 512, 3, 1),
    Step("6", 1024, 3, 2),
    Step("6_1", 1024, 3, 1),
)
"""The coarse levels, which most of the family have in common."""
JOINED = (("5_1", 512), ("4_1", 256), ("3_1", 128), ("2", 64))
"""Their decoder."""


class Plan(NamedTuple):
    """A net, as a table."""

    encoder: tuple[Step, ...]
    decoder: tuple[tuple[str, int], ...]
    """From coarse to fine: the step that a level joins, and channels of what is enlarged."""
    between: bool = False
    """Whether a convolution precedes each displacement but the coarsest, and constants are added
    to what is enlarged of it."""

    @property
    def strides(self) -> dict[str, int]:
        """Pixels from one value of each step to the next."""
        found, stride = {}, 1
        for step in self.encoder:
            stride *= step.stride
            found[step.name] = stride
        return found

    @property
    def period(self) -> int:
        """Shift of the images that shifts the result alike, pixels."""
        return max(self.strides.values())

    @property
    def stride(self) -> int:
        """Pixels from one value of the finest displacement to the next."""
        return self.strides[self.decoder[-1][0]]

    @property
    def reach(self) -> int:
        """Pixels around a period of results that these depend on, at most."""
        # Which values a period of pixels follows from, first and last, from the end to the images.
        last = (self.period - 1) // self.stride
        flow = Span(0, last).around(int(self.stride > 1))
        seen: dict[str, Span] = {}
        features = flow
        for name, _ in reversed(self.decoder):
            features = features.union(flow.around(1 + self.between))
            seen[name] = features
            features = flow = features.around(1).coarser()
        needed = features.union(flow.around(1))
        for step in reversed(self.encoder):
            needed = needed.union(seen.get(step.name, needed))
            needed = needed.starts(step.stride).around(step.kernel // 2)
        return reach_of(needed, self.period)


class Hourglass(nn.Module):
    """A net by its plan.

    Parameters
    ----------
    plan
        What it is made of.
    width
        Times as many channels; 1 is as published.
    """

    def __init__(self, plan: Plan, width: float = 1.0) -> None:
        super().__init__()
        self.plan = plan
        names, wide = zip(*((step.name, step.outside) for step in plan.encoder), strict=True)
        channels = dict(zip(names, narrowed(wide, width), strict=True))
        self._channels = channels
        inside = (IMAGES, *channels.values())
        self.encoder = nn.ModuleDict(
            {
                step.name: activated(
                    nn.Conv2d(n, channels[step.name], step.kernel, step.stride, step.kernel // 2)
                )
                for n, step in zip(inside, plan.encoder, strict=False)
            }
        )
        self.enlarge, self.between = nn.ModuleList(), nn.ModuleList()
        self.flow, self.finer = nn.ModuleList(), nn.ModuleList()
        n = inside[-1]
        self.flow.append(_flow(n))
        for name, outside in plan.decoder:
            (wide,) = narrowed((outside,), width)
            enlarge = nn.ConvTranspose2d(n, wide, 4, 2, 1, bias=False)
            nn.init.kaiming_normal_(enlarge.weight, a=0.1)
            self.enlarge.append(enlarge)
            self.finer.append(nn.ConvTranspose2d(2, 2, 4, 2, 1, bias=plan.between))
            n = channels[name] + wide + 2
            if plan.between:
                self.between.append(nn.Conv2d(n, wide, 3, 1, 1))
            self.flow.append(_flow(wide if plan.between else n))

    @property
    def period(self) -> int:
        """Shift of the images that shifts the result alike, pixels."""
        return self.plan.period

    @property
    def stride(self) -> int:
        """Pixels from one value of the finest displacement to the next."""
        return self.plan.stride

    @property
    def reach(self) -> int:
        """Pixels around a period of results that these depend on, at most."""
        return self.plan.reach

    @property
    def bytes_per_pixel(self) -> int:
        """Memory for each pixel of the images, an upper estimate: what the finest levels hold."""
        strides = self.plan.strides
        held = sum(self._channels[name] / strides[name] ** 2 for name in strides)
        return round(3 * 4 * held)

    def forward(self, images: Tensor, known: Tensor) -> list[Tensor]:
        """Predict displacements.

        Parameters
        ----------
        images
            Standardised, ``(B, 2, H, W)``, zero where there is no data; sides are multiples of the
            plan's `period`.
        known
            Where there is, 0 or 1, ``(B, 1, H, W)``.

        Returns
        -------
        list of Tensor
            ``(B, 2, h, w)``, ``dy`` first, in pixels of the images, the coarsest first.
        """
        masks = {n: max_pool2d(known, n) for n in sorted(set(self.plan.strides.values()))}
        seen, x = {}, images
        for name, layer in self.encoder.items():
            x = seen[name] = masked(layer(x), masks[self.plan.strides[name]])
        flows = [masked(self.flow[0](x), masks[self.plan.period])]
        for number, (name, _) in enumerate(self.plan.decoder):
            mask = masks[self.plan.strides[name]]
            larger = nn.functional.leaky_relu(self.enlarge[number](x), 0.1)
            x = torch.cat([seen[name], larger, self.finer[number](flows[-1])], 1) * mask
            told = self.between[number](x) * mask if self.plan.between else x
            flows.append(self.flow[number + 1](told) * mask)
        return flows


def enlarged(flow: Tensor, stride: int) -> Tensor:
    """Interpolate a displacement of every so many pixels to all of them."""
    if stride == 1:
        return flow
    return interpolate(flow, scale_factor=float(stride), mode="bilinear", align_corners=False)


def parameters(net: nn.Module) -> int:
    """Count the numbers that a net learns."""
    return sum(each.numel() for each in net.parameters())


def _flow(inside: int) -> nn.Conv2d:
    """Read a displacement off: nothing, to begin with."""
    layer = nn.Conv2d(inside, 2, 3, 1, 1, bias=False)
    nn.init.normal_(layer.weight, std=1e-3)
    return layer
