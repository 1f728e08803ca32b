"""Figures, drawn with matplotlib, which only this package imports."""

from testbed.figures.localization import localization_figure

__all__ = ["localization_figure"]
