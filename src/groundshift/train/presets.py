"""Configs with names: sizes of the flagship, and the nets of the literature.

Each of the latter twice. Under its own name as published: full width, crops, batches, rates and
number of steps as far as the papers tell them, on what comes nearest here to what they were trained
on; days on a GPU. With "-compact" at most 0.8 million parameters, behind a search, on the recipe of
the flagship: hours on a laptop. And the one that tells coherence.
"""

from dataclasses import replace

from groundshift.nets.any import AnyConfig
from groundshift.nets.ccressiam import CCResSiamConfig
from groundshift.nets.coherence import CoherenceConfig
from groundshift.nets.flownets import FlowNetSConfig
from groundshift.nets.flownetsd import FlowNetSDConfig
from groundshift.nets.fusion import FusionConfig
from groundshift.nets.geoflownet import GeoFlowNetConfig
from groundshift.nets.microflow import MicroFlowConfig
from groundshift.nets.strainnet import StrainNetConfig
from groundshift.nets.unet import UNetConfig
from groundshift.nets.unetpp import UNetPlusPlusConfig
from groundshift.nets.voxelmorph import VoxelMorphConfig
from groundshift.synth.recipe import Recipe
from groundshift.train.config import TrainConfig

EARTHQUAKES = Recipe(
    size=512, motions=(("earthquake", 1.0),), radar=0.0, real=1.0, lost=0.0, same=1.0
)
"""One optical image, moved: the set "pre/pre" of Montagnon et al. (2024)."""
LATER = replace(EARTHQUAKES, size=256, same=0.0, dates=1.0)
"""Two dates of one place: "pre/post", and FaultDeform of MicroFlow (2025)."""
ROUGH = Recipe(
    size=256,
    motions=(
        ("brownian", 0.6),
        ("landslide", 0.2),
        ("bowl", 0.1),
        ("volcano", 0.05),
        ("earthquake", 0.05),
    ),
    radar=1.0,
    plain=0.0,
    real=1.0,
    lost=0.0,
)
"""Fractional Brownian and other motion embedded in real radar images, as DeepOT (2026)."""
RADAR = replace(Recipe(size=256), radar=1.0)

DETECTED = Recipe(
    size=256,
    motions=(("zero", 0.3), ("offset", 0.7)),
    radar=1.0,
    products="any",
    plain=0.35,
    real=0.35,
    patchy=0.5,
    textured=0.6,
    quantised=0.5,
    lost=0.0,
    coherence=(0.0, 1.0),
)
"""Radar pairs of every coherence, co-registered to two pixels or better."""

PUBLISHED = TrainConfig(rate=1e-4, decay=4e-4, guess="none", spoiled=0.0, single=0.0, warmup=1)
"""Adam at 1e-4, from nothing: what all of them have in common."""
SHORT = TrainConfig(rate=1e-3, single=1.0, crop=128, batch=4, steps=40_000, spoiled=0.8, spoil=3.0)
COMPACT: dict[str, AnyConfig] = {
    "flownets": FlowNetSConfig(0.14),
    "flownetsd": FlowNetSDConfig(0.13),
    "strainnet": StrainNetConfig("f", 0.14),
    "geoflownet": GeoFlowNetConfig(0.14),
    "microflow": MicroFlowConfig(0.08),
    "unet": UNetConfig(0.15),
    "unetpp": UNetPlusPlusConfig(0.14),
    "ccressiam": CCResSiamConfig(0.28),
    "voxelmorph": VoxelMorphConfig(lags=3),
}
PRESETS = {
    "small": TrainConfig(),
    "medium": TrainConfig(net=FusionConfig((36, 72, 136), iterations=2), rate=1e-3),
    "large": TrainConfig(net=FusionConfig((48, 96, 200), iterations=2), rate=7e-4),
    # 80,000 samples, 100 times.
    **{
        name: replace(PUBLISHED, net=net, recipe=EARTHQUAKES, batch=8, steps=1_000_000)
        for name, net in (
            ("flownets", FlowNetSConfig()),
            ("flownetsd", FlowNetSDConfig()),
            ("strainnet", StrainNetConfig()),
        )
    },
    # 20,000 samples, 40 times.
    **{
        name: replace(PUBLISHED, net=net, recipe=LATER, batch=32, steps=25_000)
        for name, net in (("geoflownet", GeoFlowNetConfig()), ("microflow", MicroFlowConfig()))
    },
    # Neither batch nor steps are published.
    **{
        name: replace(PUBLISHED, net=net, recipe=ROUGH, batch=8, steps=100_000)
        for name, net in (("unet", UNetConfig()), ("unetpp", UNetPlusPlusConfig()))
    },
    # 200,000 samples; how often is not published. Meant for a store of `groundshift labels`.
    "ccressiam": replace(PUBLISHED, net=CCResSiamConfig(), recipe=RADAR, batch=8, steps=250_000),
    "voxelmorph": replace(
        PUBLISHED,
        net=VoxelMorphConfig(),
        recipe=RADAR,
        objective="alike",
        guess="search",
        batch=1,
        steps=150_000,
    ),
    **{f"{name}-compact": replace(SHORT, net=net) for name, net in COMPACT.items()},
}
PRESETS["voxelmorph-compact"] = replace(PRESETS["voxelmorph-compact"], objective="alike")
PRESETS["coherence"] = TrainConfig(
    net=CoherenceConfig(),
    recipe=DETECTED,
    objective="coherence",
    guess="none",
    spoiled=0.0,
    batch=8,
    steps=10_000,
    single=1.0,
    crop=128,
)
