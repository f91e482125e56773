"""Several processes that train one net, as `torchrun` starts them; one alone otherwise."""

import os

import torch
from torch import distributed, nn


def join(device: str) -> torch.device:
    """Join the other processes, if there are any, and return this one's device."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return torch.device(device)
    cuda = device.startswith("cuda")
    if not distributed.is_initialized():
        distributed.init_process_group("nccl" if cuda else "gloo")
    return torch.device(f"cuda:{os.environ['LOCAL_RANK']}" if cuda else device)


def rank() -> int:
    """Return the number of this process."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def average_gradients(net: nn.Module) -> None:
    """Replace gradients by their means over all processes."""
    if not distributed.is_initialized():
        return
    gradients = [value.grad for value in net.parameters() if value.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    distributed.all_reduce(flat)
    flat /= distributed.get_world_size()
    for gradient, part in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(part.view_as(gradient))


def any_of(here: bool, device: torch.device) -> bool:  # noqa: FBT001 - what is asked
    """Whether it holds for any process."""
    if not distributed.is_initialized():
        return here
    flag = torch.tensor(float(here), device=device)
    distributed.all_reduce(flag, distributed.ReduceOp.MAX)
    return bool(flag > 0)
