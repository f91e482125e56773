"""Synthetic pairs whose displacement is known exactly.

A motion says where each place went, a sensor what its images look like. Draw both at random, by
number, in the proportions of a recipe:

>>> import numpy as np
>>> from groundshift.synth import Constant, Recipe, Sum, draw, earthquake, speckle_sample
>>> found = draw(Recipe(size=64, seed=1), index=7)
>>> found.sample.reference.shape, found.sample.dx.shape
(torch.Size([64, 64]), torch.Size([64, 64]))

or choose them; motions add up:

>>> rupture = earthquake(np.random.default_rng(3), 64, spacing=20.0, magnitude=7.0)
>>> pair = speckle_sample(Sum((rupture, Constant(dx=0.5))), size=64, coherence=0.8, seed=0)
>>> round(float(pair.coherence.mean()), 3)
0.8

What is at ``(y, x)`` in the reference is at ``(y + dy, x + dx)`` in the secondary; ``y`` counts
rows downward, ``x`` columns to the right, in pixels.
"""

from groundshift.synth.bank import Bank
from groundshift.synth.earthquake import Earthquake, earthquake, earthquakes
from groundshift.synth.families import FAMILIES
from groundshift.synth.gridded import Gridded, random_motion
from groundshift.synth.motions import Constant, Fault, Motion, Sum, Waves
from groundshift.synth.optics import Optics
from groundshift.synth.radar import Radar
from groundshift.synth.recipe import Draw, Recipe, draw
from groundshift.synth.sample import Sample, demo_pair, speckle_sample
from groundshift.synth.slides import Bowl, Glacier, Landslide, Linear
from groundshift.synth.speckle import speckle, tracking_limit
from groundshift.synth.stream import Stream
from groundshift.synth.volcano import volcano

__all__ = [
    "FAMILIES",
    "Bank",
    "Bowl",
    "Constant",
    "Draw",
    "Earthquake",
    "Fault",
    "Glacier",
    "Gridded",
    "Landslide",
    "Linear",
    "Motion",
    "Optics",
    "Radar",
    "Recipe",
    "Sample",
    "Stream",
    "Sum",
    "Waves",
    "demo_pair",
    "draw",
    "earthquake",
    "earthquakes",
    "random_motion",
    "speckle",
    "speckle_sample",
    "tracking_limit",
    "volcano",
]
