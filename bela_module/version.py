"""The version of this package, in the one place that the build and STATUS read."""

__version__ = "0.2.0"
