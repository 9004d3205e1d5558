"""Third-party model files (and demo pictures): fetched once, checked by SHA-256, cached."""

from photodouble.weights.cache import cache_dir
from photodouble.weights.fetch import cached, fetch, path
from photodouble.weights.registry import REGISTRY, Weight

__all__ = ["REGISTRY", "Weight", "cache_dir", "cached", "fetch", "path"]
