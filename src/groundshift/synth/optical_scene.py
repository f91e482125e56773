"""Random optical pairs: a camera, the ground under a sun or two, and what is in the way."""

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from groundshift.synth import optics
from groundshift.synth.fields import random_field
from groundshift.synth.likeness import ALIKE, likeness
from groundshift.synth.motions import Motion, Sum
from groundshift.synth.optics import Optics
from groundshift.synth.pushbroom import Apparent, Parallax, Pushbroom
from groundshift.synth.sample import Sample, sample_of
from groundshift.synth.sunlit import Sunlit
from groundshift.synth.texture import Texture
from groundshift.synth.weather import Weather, draw_covers, snow

HIDDEN = 0.5
"""A pixel with more shadow or snow than this on either date is not valid."""
CLOUDY, SNOWY = 0.15, 0.1
"""Chance of clouds, cirrus or haze on a date; of snow on a pair."""
STRIPED = 0.08
"""Share of the scenes without a crop that show stripes: dunes, ploughed fields, swell."""
JITTER, ARRAYS, PARALLAX = 0.15, 0.06, 0.12
"""Chances of attitude jitter, of steps between detector arrays and of parallax."""


class OpticalShares(NamedTuple):
    """What a recipe says of optical pairs."""

    same: float = 0.25
    """Of invented scenes, in which nothing but the ground's motion lies between the dates; with 1
    of all."""
    lost: bool = False
    """Whether this pair is of two places."""


class Scene(NamedTuple):
    """Ground on both dates, on the finer samples of :func:`groundshift.synth.optics.acquire`."""

    first: Tensor
    second: Tensor
    hidden: Tensor
    """Largest share of shadow or snow on either date."""
    height: Tensor | None
    """Relief, where it is known."""


def render(
    motion: Motion,
    size: int,
    shares: OpticalShares,
    texture: Texture,
    rng: np.random.Generator,
    generator: torch.Generator,
) -> tuple[Sample, Motion]:
    """Draw a camera and a scene, and render the pair.

    Returns
    -------
    tuple
        The sample, and the motion that it shows: that of the ground and what the camera adds.
    """
    camera = draw_camera(rng)
    n = size * camera.fine + 2 * optics.MARGIN
    crops = texture.crops(n, "optical", rng) if texture.chance(rng) else None
    if crops is not None:
        scene = _crop(crops, camera.fine, rng, generator)
    elif rng.random() < STRIPED:
        scene = _striped(n, camera.fine, rng, generator)
    else:
        scene = invented(n, camera.fine, rng, generator, shares.same)
    alone = shares.same == 1
    if alone:
        scene = scene._replace(second=scene.first)
    if shares.lost:
        hidden = torch.maximum(scene.hidden, scene.hidden.flip(0, 1))
        scene = scene._replace(second=scene.second.flip(0, 1), hidden=hidden)
    apparent = seen_by_scanner(motion, size, camera.fine, scene.height, rng, generator)
    early, late = (
        Weather.draw(rng, size) if rng.random() < CLOUDY and not alone else None
        for _ in ("early", "late")
    )
    sample = photographed(scene, camera, apparent, size, generator, (early, late))
    if shares.lost:
        sample = sample._replace(measurable=torch.zeros_like(sample.measurable))
    return sample, apparent


def photographed(
    scene: Scene,
    camera: Optics,
    motion: Motion,
    size: int,
    generator: torch.Generator,
    weather: tuple[Weather | None, Weather | None] = (None, None),
) -> Sample:
    """Render a scene; where dates have too little in common nothing can be measured."""
    ground = scene.first, scene.second
    pair = optics.acquire(camera, ground, motion, size, generator, weather)
    nan = torch.full_like(pair.reference, math.nan)
    sample = sample_of(motion, pair, nan, math.nan, pair.valid)
    inner = scene.hidden[optics.MARGIN : -optics.MARGIN, optics.MARGIN : -optics.MARGIN]
    hidden = inner.unflatten(0, (-1, camera.fine)).unflatten(2, (-1, camera.fine)).mean((1, 3))
    seen = sample.valid & pair.clear
    return sample._replace(
        valid=seen & (hidden < HIDDEN), measurable=seen & (likeness(camera, ground) > ALIKE)
    )


def draw_camera(rng: np.random.Generator) -> Optics:
    """Draw sharpness, noise, stripes, gain and quantisation."""
    spread = float(rng.uniform(0.45, 0.9))
    # Every third pair is from two cameras.
    other = spread if rng.random() < 2 / 3 else float(rng.uniform(0.45, 0.9))
    return Optics(
        spread=(spread, other),
        noise=tuple(np.exp(rng.uniform(np.log(0.003), np.log(0.15), 2)).tolist()),
        stripes=tuple((rng.uniform(0, 0.05, 2) * (rng.random() < 0.2)).tolist()),
        gain=float(rng.uniform(0, 0.15)) * float(rng.random() < 0.5),
        levels=int(rng.choice((0, 0, 64, 256))),
    )


def seen_by_scanner(
    ground: Motion,
    size: int,
    fine: int,
    height: Tensor | None,
    rng: np.random.Generator,
    generator: torch.Generator,
) -> Motion:
    """Add what a scanner adds to the motion of the ground: to seven pairs of ten nothing."""
    motion = ground
    if rng.random() < PARALLAX:
        n = size * fine + 2 * optics.MARGIN
        if height is None or rng.random() < 0.5:
            # Errors of an elevation model are smooth and everywhere alike.
            length = float(rng.uniform(10, 100)) * fine
            height = random_field((n, n), 0.6, length, generator, smoothness=2.0 * fine)
        spread = float(np.exp(rng.uniform(np.log(0.05), np.log(1.0))))
        first = -(optics.MARGIN + (fine - 1) / 2) / fine
        direction = float(rng.uniform(0, 2 * math.pi))
        motion = Sum((motion, Parallax.of(height, 1 / fine, first, direction, spread)))
    jitter, arrays = bool(rng.random() < JITTER), bool(rng.random() < ARRAYS)
    if jitter or arrays:
        motion = Apparent(motion, Pushbroom.draw(rng, size, jitter=jitter, arrays=arrays))
    return motion


def _crop(crops: Tensor, fine: int, rng: np.random.Generator, generator: torch.Generator) -> Scene:
    crops = crops.to(generator.device)
    n = crops.shape[-1]
    dates = [crops[k] / crops[k].std().clamp(min=1e-6) for k in (0, -1)]
    hidden = torch.zeros_like(dates[0])
    if rng.random() < SNOWY:
        length = float(np.exp(rng.uniform(np.log(20), np.log(200))))
        covers = draw_covers(rng)
        patches = snow(covers, length * fine, generator, (n, n))
        for k, (date, patch) in enumerate(zip(dates, patches, strict=True)):
            white = float(rng.uniform(1.0, 2.0)) * date[::4, ::4].quantile(0.99)
            dates[k] = date + patch * (white + 0.1 * (date - date.mean()) - date)
            hidden = torch.maximum(hidden, patch)
    return Scene(dates[0], dates[1], hidden, None)


def invented(
    n: int,
    fine: int,
    rng: np.random.Generator,
    generator: torch.Generator,
    same: float = OpticalShares().same,
) -> Scene:
    """Invent relief, land cover and one or two suns; of a share of the scenes the same."""
    scene = Sunlit.draw(rng)((n, n), generator, oversample=fine)
    contrast = scene.reference.std()
    first, second = scene.reference / contrast, scene.secondary / contrast
    dark = scene.reference_shadow | scene.secondary_shadow
    if rng.random() < same:
        second, dark = first, scene.reference_shadow
    return Scene(first, second, torch.maximum(dark.float(), scene.snow), scene.height)


def _striped(n: int, fine: int, rng: np.random.Generator, generator: torch.Generator) -> Scene:
    """Invent stripes, of one wavelength or many, and every other time some texture across."""
    device = generator.device
    direction = float(rng.uniform(0, math.pi)) if rng.random() < 0.7 else 0.0
    at = torch.arange(n, device=device) / fine
    across = at[:, None] * math.cos(direction) + at * math.sin(direction)
    scale = float(np.exp(rng.uniform(np.log(4), np.log(40))))
    if rng.random() < 0.5:
        stripes = torch.sin(across * (2 * math.pi / scale) + float(rng.uniform(0, 2 * math.pi)))
    else:
        stripes = torch.zeros_like(across)
        for _ in range(12):
            cycles, phase = abs(float(rng.normal())) / scale, float(rng.uniform(0, 2 * math.pi))
            stripes += torch.sin(across * (2 * math.pi * cycles) + phase)
        stripes = stripes / math.sqrt(6)
    other = random_field((n, n), 0.4, 8.0 * fine, generator)
    share = float(np.exp(rng.uniform(np.log(0.003), np.log(0.3)))) * float(rng.random() < 0.5)
    ground = stripes + share * other
    return Scene(ground, ground, torch.zeros_like(ground), None)
