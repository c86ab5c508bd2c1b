"""Methods that redraw the content of a case in a style: see `prefbench.api.StyleBackbone`."""
