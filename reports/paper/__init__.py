"""Tables and figures for a paper: LaTeX that fits its width, figures in the size in which they are printed."""
