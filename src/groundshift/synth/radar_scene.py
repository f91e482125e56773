"""Random radar pairs: a product, the ground it sees, and how much coherence is left where."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from groundshift.synth import radar, sentinel1
from groundshift.synth.backscatter import Backscatter
from groundshift.synth.decorrelation import Decorrelation, temporal_coherence
from groundshift.synth.fields import from_quantiles, gamma_quantiles, random_field
from groundshift.synth.landscape import cells
from groundshift.synth.likeness import ALIKE, backscatter_likeness
from groundshift.synth.motions import Motion
from groundshift.synth.radar import Radar, RadarPair, Surface
from groundshift.synth.sample import Sample, sample_of
from groundshift.synth.texture import Texture

RIGID = ("zero", "offset", "constant")
"""Families that tear nothing."""
SHAPES, LENGTHS = (0.4, 10.0), (0.3, 8.0)
"""Of texture: the inverse of its variance, and its correlation length, pixels."""
LEVELS = (15.0, 500.0)
"""Mean of amplitudes that are whole numbers, least and most."""


class RadarShares(NamedTuple):
    """Proportions of radar scenes."""

    plain: float
    """Share of scenes of uniform backscatter."""
    coherence: tuple[float, float]
    """Of the scene as a whole, least and most."""
    lost: bool = False
    """Whether nothing is coherent, or both dates show other places."""
    products: str = "mixed"
    """Which radars: one of `PRODUCTS`."""
    patchy: float = 0.0
    """Share of scenes, but invented land, whose coherence changes from patch to patch."""
    quantised: float = 0.0
    """Share of scenes whose amplitudes are whole numbers."""
    textured: float = 0.0
    """Share of the scenes without backscatter to see that have texture all the same."""


def render(
    family: str,
    motion: Motion,
    size: int,
    shares: RadarShares,
    texture: Texture,
    rng: np.random.Generator,
    generator: torch.Generator,
) -> Sample:
    """Draw a product and a scene, and render the pair with the motion."""
    product = PRODUCTS[shares.products](rng)
    n = size * product.fine + 2 * radar.MARGIN
    surface = _surface(n, product.fine, shares, texture, rng, generator)
    elsewhere = shares.lost and bool(rng.random() < 0.5)
    if elsewhere:
        surface = _elsewhere(surface)
    elif shares.lost:
        share = float(rng.uniform(0, shares.coherence[0])) / surface.coherence.max().clamp(min=0.01)
        surface = surface._replace(coherence=surface.coherence * share)
    loss = Decorrelation.draw(rng, family)
    if loss != Decorrelation() and family not in RIGID:
        first = float(product.places(1, torch.device("cpu"))[0])
        at = torch.arange(n, dtype=torch.float64, device=generator.device) - radar.MARGIN
        at = at / product.fine + first
        kept = loss(motion, *torch.meshgrid(at, at, indexing="ij"))
        surface = surface._replace(coherence=surface.coherence * kept.float())
    pair = radar.acquire(product, surface, motion, size, generator)
    if shares.quantised and rng.random() < shares.quantised:
        pair = _quantised(pair, float(np.exp(rng.uniform(*np.log(LEVELS)))))
    sample = sample_of(motion, pair, pair.coherence, product.mean_bandwidth, pair.valid)
    if elsewhere or not surface.first.dim():
        return sample
    # What is not coherent can still be followed by what is bright and what is dark.
    alike = sample.valid & (backscatter_likeness(product, surface) > ALIKE)
    return sample._replace(measurable=sample.measurable | alike)


def _quantised(pair: RadarPair, level: float) -> RadarPair:
    """Round amplitudes to whole numbers of a mean level; zero would mean no data."""
    scale = level / pair.reference.mean()
    one, two = ((image * scale).round().clamp(min=1) for image in pair[:2])
    return pair._replace(reference=one, secondary=two)


def draw_product(rng: np.random.Generator) -> Radar:
    """Choose a product: oversampled SLC, ground range, averaged, or as it is (aliased)."""
    window = float(rng.uniform(0.6, 1.0))
    kind = rng.choice(("kept", "grd", "averaged", "aliased"), p=(0.6, 0.25, 0.08, 0.07))
    if kind == "kept":
        return Radar(float(rng.uniform(0.3, 0.5)), window)
    if kind == "grd":
        looks = int(rng.choice((3, 4, 5, 9)))
        return Radar(float(rng.uniform(0.4, 0.55)), window, looks=looks)
    return Radar(float(rng.uniform(0.7, 1.0)), window, fine=2, average=kind == "averaged")


def draw_sentinel1(rng: np.random.Generator) -> Radar:
    """Choose a product of Sentinel-1: ground range, or an SLC detected as it is, of any swath."""
    swath = int(rng.integers(1, 4))
    return sentinel1.grd(swath) if rng.random() < 2 / 3 else sentinel1.slc(swath)


def draw_any(rng: np.random.Generator) -> Radar:
    """Choose Sentinel-1 as often as any other radar."""
    return (draw_sentinel1 if rng.random() < 0.5 else draw_product)(rng)


PRODUCTS = {"mixed": draw_product, "sentinel1": draw_sentinel1, "any": draw_any}
"""Radars by the names that recipes use."""


def _surface(
    n: int,
    fine: int,
    shares: RadarShares,
    texture: Texture,
    rng: np.random.Generator,
    generator: torch.Generator,
) -> Surface:
    """Backscatter of both dates, coherence before any motion, and noise."""
    device = generator.device
    one = torch.ones((), device=device)
    none = torch.zeros((), dtype=torch.complex64, device=device)
    gamma = torch.full((), float(rng.uniform(*shares.coherence)), device=device)
    noise = 10 ** float(rng.uniform(-3, -0.7))
    plain = rng.random() < shares.plain
    patchy = bool(shares.patchy) and rng.random() < shares.patchy
    if plain:
        if patchy:
            gamma = _patches(n, fine, shares.coherence, rng, generator)
        power = one
        if shares.textured and rng.random() < shares.textured:
            power = _texture(n, fine, rng, generator)
        return Surface(gamma, power, power, none, noise)
    crops = None
    if texture.chance(rng):
        # Detected images bring speckle of their own, which passes for fine texture.
        kind = "reflectivity" if rng.random() < 0.7 else "detected"
        crops = texture.crops(n, kind, rng)
    if crops is not None:
        amplitude = crops.to(device)
        power = (amplitude / amplitude.mean()).clamp(min=0.05) ** 2
        if patchy:
            gamma = _patches(n, fine, shares.coherence, rng, generator)
        elif rng.random() < 0.5:
            varied = random_field((n, n), 0.6, float(rng.uniform(20, 200)) * fine, generator)
            gamma = (gamma + 0.15 * varied).clamp(0, shares.coherence[1])
        return Surface(gamma, power[0], power[-1], none, noise)
    scene = Backscatter.draw(rng)((n, n), generator, oversample=fine)
    level = scene.reference.mean()
    if rng.random() < 0.5:
        # What covers the land decides, and time: 1 to 400 days.
        own = temporal_coherence(scene.cover, float(400 ** rng.uniform()), generator)
    else:
        # Each patch by itself: water never, the rest around the scene's value.
        spread = torch.randn(scene.cover.patches, generator=generator, device=device)
        own = (gamma + 0.15 * spread).clamp(*shares.coherence)[scene.cover.patch]
        own = torch.where(scene.cover.label == 0, 0.0, own)
    points = _points(scene.points.y, scene.points.x, scene.points.amplitude, n)
    points = points * (2 / level.sqrt())  # power at the peak spreads over a resolution cell
    return Surface(own, scene.reference / level, scene.secondary / level, points, noise)


def _patches(
    n: int,
    fine: int,
    limits: tuple[float, float],
    rng: np.random.Generator,
    generator: torch.Generator,
) -> Tensor:
    """Divide the scene into patches of 8 to 150 px, each with a coherence of its own."""
    side = float(np.exp(rng.uniform(np.log(8), np.log(150)))) * fine
    at = torch.arange(n, dtype=torch.float32, device=generator.device)
    y, x = torch.meshgrid(at, at, indexing="ij")
    patch, count = cells(y, x, side, generator)
    low, high = limits
    own = torch.rand(count, generator=generator, device=generator.device)
    return (low + (high - low) * own)[patch]


def _texture(n: int, fine: int, rng: np.random.Generator, generator: torch.Generator) -> Tensor:
    """Draw gamma texture that both dates share: from even ground to towns, from a pixel up."""
    shape, length = (float(np.exp(rng.uniform(*np.log(limits)))) for limits in (SHAPES, LENGTHS))
    deviates = random_field((n, n), 0.5, length * fine, generator)
    return from_quantiles(deviates, gamma_quantiles(shape, generator.device))


def _elsewhere(surface: Surface) -> Surface:
    """Let the second date show another place."""
    nothing = torch.zeros_like(surface.points)
    second = surface.second.flip(0, 1) if surface.second.dim() else surface.second
    return surface._replace(second=second, coherence=0 * surface.coherence, points=nothing)


def _points(y: Tensor, x: Tensor, amplitude: Tensor, n: int) -> Tensor:
    plane = torch.zeros(n, n, dtype=torch.complex64, device=y.device)
    rows, columns = (at.round().long().clamp(0, n - 1) for at in (y, x))
    plane[rows, columns] = amplitude
    return plane
