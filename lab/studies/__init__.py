"""Studies: a base config, a grid of overrides, a table and a page."""
