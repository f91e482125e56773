"""Random pairs: what is drawn and in which proportions; a number says which one it is.

Sample ``i`` of a recipe is the same whoever draws it, in whatever order: its random numbers follow
from the recipe's seed, its split and ``i`` alone. What the numbers of a batch of another device are
differs, since each device has its own stream.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from groundshift.synth import optics, radar
from groundshift.synth.backscatter import Backscatter
from groundshift.synth.bank import Bank
from groundshift.synth.earthquake import earthquake
from groundshift.synth.families import FAMILIES
from groundshift.synth.motions import Motion
from groundshift.synth.radar import Radar, Surface
from groundshift.synth.sample import Sample, sample_of
from groundshift.synth.sunlit import Sunlit
from groundshift.synth.volcano import volcano

SPLITS = {"train": 0, "validation": 1, "test": 2}
SHADOW_SHARE = 0.5
"""A pixel with more shadow than this on either date cannot be measured."""


@dataclass(frozen=True)
class Recipe:
    """Proportions and ranges of what is drawn."""

    size: int = 256
    """Rows and columns, pixels."""
    seed: int = 0
    split: str = "train"
    """"train", "validation" or "test": separate random numbers, and separate scenes of the bank."""
    motions: tuple[tuple[str, float], ...] = (
        ("zero", 0.10),
        ("constant", 0.08),
        ("ramp", 0.08),
        ("earthquake", 0.28),
        ("glacier", 0.18),
        ("landslide", 0.10),
        ("waves", 0.06),
        ("brownian", 0.05),
        ("bowl", 0.04),
        ("volcano", 0.03),
    )
    """Families and their weights: a quarter is stable ground, shifts and ramps."""
    radar: float = 0.8
    """Share of radar pairs; the others are optical."""
    plain: float = 0.5
    """Share of radar pairs of uniform backscatter: nothing to see but speckle."""
    real: float = 0.5
    """Share of the other pairs that show crops of the bank, where there is one."""
    dates: float = 0.5
    """Share of crops that show two dates of one place, where the bank has them."""
    coherence: tuple[float, float] = (0.25, 1.0)
    spacing: tuple[float, float] = (0.5, 30.0)
    """Of the pixels, metres: how large faults and magma chambers appear."""


class Draw(NamedTuple):
    """A sample and what it is."""

    sample: Sample
    family: str
    sensor: str
    """"radar" or "optical"."""


def draw(
    recipe: Recipe, index: int, bank: Bank | None = None, device: torch.device | str = "cpu"
) -> Draw:
    """Make one sample of a recipe.

    Parameters
    ----------
    recipe
        What to draw.
    index
        Which sample.
    bank
        Texture of real images; without one, all scenes are invented.
    device
        Where to render.
    """
    rng = np.random.default_rng((recipe.seed, SPLITS[recipe.split], index))
    names, weights = zip(*recipe.motions, strict=True)
    family = str(rng.choice(names, p=np.array(weights) / sum(weights)))
    motion = motion_of(family, rng, recipe)
    generator = torch.Generator(device).manual_seed(int(rng.integers(2**62)))
    sensor = "radar" if rng.random() < recipe.radar else "optical"
    render = _radar if sensor == "radar" else _optical
    return Draw(render(recipe, motion, rng, generator, bank), family, sensor)


def motion_of(family: str, rng: np.random.Generator, recipe: Recipe) -> Motion:
    """Draw a motion of a family."""
    if family in FAMILIES:
        return FAMILIES[family](rng, recipe.size)
    low, high = np.log(recipe.spacing)
    spacing = float(np.exp(rng.uniform(low, high)))
    return (earthquake if family == "earthquake" else volcano)(rng, recipe.size, spacing)


def draw_radar(rng: np.random.Generator) -> Radar:
    """Choose a product: oversampled SLC, ground range, averaged, or as it is (aliased)."""
    window = float(rng.uniform(0.6, 1.0))
    kind = rng.choice(("kept", "grd", "averaged", "aliased"), p=(0.6, 0.25, 0.08, 0.07))
    if kind == "kept":
        return Radar(float(rng.uniform(0.3, 0.5)), window)
    if kind == "grd":
        looks = int(rng.choice((3, 4, 5, 9)))
        return Radar(float(rng.uniform(0.4, 0.55)), window, looks=looks)
    return Radar(float(rng.uniform(0.7, 1.0)), window, fine=2, average=kind == "averaged")


def _radar(
    recipe: Recipe,
    motion: Motion,
    rng: np.random.Generator,
    generator: torch.Generator,
    bank: Bank | None,
) -> Sample:
    product = draw_radar(rng)
    n = recipe.size * product.fine + 2 * radar.MARGIN
    surface = _surface(recipe, n, product.fine, rng, generator, bank)
    pair = radar.acquire(product, surface, motion, recipe.size, generator)
    return sample_of(motion, pair, pair.coherence, product.bandwidth, pair.valid)


def _surface(
    recipe: Recipe,
    n: int,
    fine: int,
    rng: np.random.Generator,
    generator: torch.Generator,
    bank: Bank | None,
) -> Surface:
    """Backscatter of both dates, coherence and noise."""
    device = generator.device
    one = torch.ones((), device=device)
    gamma = torch.full((), float(rng.uniform(*recipe.coherence)), device=device)
    none = torch.zeros((), dtype=torch.complex64, device=device)
    noise = 10 ** float(rng.uniform(-3, -0.7))
    if rng.random() < recipe.plain:
        return Surface(gamma, one, one, none, noise)
    if bank is not None and rng.random() < recipe.real:
        # Detected images bring speckle of their own, which passes for fine texture.
        kind = "reflectivity" if rng.random() < 0.7 else "detected"
        amplitude = _crops(bank, recipe, n, kind, rng).to(device)
        power = (amplitude / amplitude.mean()).clamp(min=0.05) ** 2
        return Surface(gamma, power[0], power[-1], none, noise)
    scene = Backscatter.draw(rng)((n, n), generator, oversample=fine)
    level = scene.reference.mean()
    # Each patch of land decorrelates by itself: water always, the rest around the scene's value.
    spread = torch.randn(scene.cover.patches, generator=generator, device=device)
    own = (gamma + 0.15 * spread).clamp(*recipe.coherence)[scene.cover.patch]
    own = torch.where(scene.cover.label == 0, 0.0, own)
    points = torch.zeros(n, n, dtype=torch.complex64, device=device)
    rows, columns = (at.round().long().clamp(0, n - 1) for at in (scene.points.y, scene.points.x))
    # Peak power under the response spreads over a resolution cell.
    points[rows, columns] = scene.points.amplitude * (2 / level.sqrt())
    return Surface(own, scene.reference / level, scene.secondary / level, points, noise)


def _optical(
    recipe: Recipe,
    motion: Motion,
    rng: np.random.Generator,
    generator: torch.Generator,
    bank: Bank | None,
) -> Sample:
    camera = optics.Optics(
        spread=float(rng.uniform(0.45, 0.9)),
        noise=tuple(np.exp(rng.uniform(np.log(0.003), np.log(0.15), 2)).tolist()),
        stripes=tuple((rng.uniform(0, 0.05, 2) * (rng.random() < 0.2)).tolist()),
        gain=float(rng.uniform(0, 0.3)) * float(rng.random() < 0.5),
        levels=int(rng.choice((0, 0, 64, 256))),
    )
    n = recipe.size * camera.fine + 2 * optics.MARGIN
    shadow = None
    if bank is not None and rng.random() < recipe.real:
        crops = _crops(bank, recipe, n, "optical", rng).to(generator.device)
        ground = crops[0] / crops[0].std(), crops[-1] / crops[-1].std()
    else:
        scene = Sunlit.draw(rng)((n, n), generator, oversample=camera.fine)
        contrast = scene.reference.std()
        ground = scene.reference / contrast, scene.secondary / contrast
        shadow = (scene.reference_shadow | scene.secondary_shadow).float()
    pair = optics.acquire(camera, ground, motion, recipe.size, generator)
    nan = torch.full_like(pair.reference, math.nan)
    sample = sample_of(motion, pair, nan, math.nan, pair.valid)
    if shadow is None:
        return sample
    edge, fine = optics.MARGIN, camera.fine
    dark = shadow[edge:-edge, edge:-edge].unflatten(0, (-1, fine)).unflatten(2, (-1, fine))
    return sample._replace(valid=sample.valid & (dark.mean((1, 3)) < SHADOW_SHARE))


def _crops(bank: Bank, recipe: Recipe, n: int, kind: str, rng: np.random.Generator) -> Tensor:
    """One or two dates of a place, as large as needed: small ones are enlarged twice."""
    dates = 2 if rng.random() < recipe.dates else 1
    for count, size in ((dates, n), (1, n), (1, (n + 1) // 2)):
        if bank.select(kind=kind, split=recipe.split, size=size, dates=count):
            crop = bank.crop(rng, size, kind, recipe.split, dates=count)
            break
    else:
        crop = bank.crop(rng, (n + 1) // 2, kind, recipe.split)
    if crop.shape[-1] < n:
        crop = torch.nn.functional.interpolate(
            crop[None], (n, n), mode="bicubic", align_corners=False
        )[0]
    return crop
