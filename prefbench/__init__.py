"""prefbench: a benchmark for preference-conditioned image generation."""

from importlib.util import find_spec

__version__ = "0.2.0"

if find_spec("prefbench.methods") is None:
    raise ImportError("prefbench is not installed: run `pip install -e .` in its folder")
