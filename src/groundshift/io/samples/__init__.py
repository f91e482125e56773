"""Stores of synthetic samples: a Zarr group that grows by whole shards and can be trained on."""

from groundshift.io.samples.layout import Layout, create, done
from groundshift.io.samples.reader import Samples
from groundshift.io.samples.shards import size_of, write

__all__ = ["Layout", "Samples", "create", "done", "size_of", "write"]
