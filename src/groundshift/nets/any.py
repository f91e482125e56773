"""Every net, by its name in settings and in files of weights."""

from dataclasses import fields
from typing import Any

import torch

from groundshift.errors import MatcherError
from groundshift.nets.ccressiam import CCResSiam, CCResSiamConfig
from groundshift.nets.coherence import CoherenceConfig, CoherenceNet
from groundshift.nets.flownets import FlowNetS, FlowNetSConfig
from groundshift.nets.flownetsd import FlowNetSD, FlowNetSDConfig
from groundshift.nets.fusion import Fusion, FusionConfig
from groundshift.nets.geoflownet import GeoFlowNet, GeoFlowNetConfig
from groundshift.nets.microflow import MicroFlow, MicroFlowConfig
from groundshift.nets.strainnet import StrainNet, StrainNetConfig
from groundshift.nets.unet import UNet, UNetConfig
from groundshift.nets.unetpp import UNetPlusPlus, UNetPlusPlusConfig
from groundshift.nets.voxelmorph import VoxelMorph, VoxelMorphConfig

AnyConfig = (
    FusionConfig
    | FlowNetSConfig
    | FlowNetSDConfig
    | StrainNetConfig
    | GeoFlowNetConfig
    | UNetConfig
    | UNetPlusPlusConfig
    | MicroFlowConfig
    | CCResSiamConfig
    | VoxelMorphConfig
    | CoherenceConfig
)
"""What says which net and how large; each has its `name`."""
Direct = (
    FlowNetS
    | FlowNetSD
    | StrainNet
    | GeoFlowNet
    | UNet
    | UNetPlusPlus
    | MicroFlow
    | CCResSiam
    | VoxelMorph
)
"""Nets that regress a displacement at once, see :mod:`groundshift.nets.direct`."""
AnyNet = Fusion | Direct | CoherenceNet
NETS: dict[type, type] = {
    FusionConfig: Fusion,
    FlowNetSConfig: FlowNetS,
    FlowNetSDConfig: FlowNetSD,
    StrainNetConfig: StrainNet,
    GeoFlowNetConfig: GeoFlowNet,
    UNetConfig: UNet,
    UNetPlusPlusConfig: UNetPlusPlus,
    MicroFlowConfig: MicroFlow,
    CCResSiamConfig: CCResSiam,
    VoxelMorphConfig: VoxelMorph,
    CoherenceConfig: CoherenceNet,
}


def net_of(config: AnyConfig) -> Any:
    """Make the net of a config, with weights to begin with.

    Channels of a pixel lie together: a third faster on processors for most nets.
    """
    return NETS[type(config)](config).to(memory_format=torch.channels_last)


def config_of(values: dict[str, Any]) -> AnyConfig:
    """Make the config of what JSON holds of one; without a name it is that of `Fusion`."""
    values = {key: tuple(v) if isinstance(v, list) else v for key, v in values.items()}
    name = values.pop("name", FusionConfig.name)
    named = {config.name: config for config in NETS}  # type: ignore[attr-defined]
    if name not in named:
        raise MatcherError(f"there is no net {name!r}; there are: {', '.join(named)}")
    known = {each.name for each in fields(named[name])}
    if other := sorted(set(values) - known):
        raise MatcherError(f"{name} has no {', '.join(other)}")
    return named[name](**values)
