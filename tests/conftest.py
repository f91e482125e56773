"""Settings for all tests; being here also puts this directory's helpers on the path."""

import os

import torch
from hypothesis import settings

settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")

# Small tensors gain nothing from threads, and threads that wait for a busy core lose much.
torch.set_num_threads(1)
