"""Figures and grids of images."""
