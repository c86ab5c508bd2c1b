"""`ours`: PrefGen (arXiv 2512.06020), one module per component; `ours.md` beside this file says what is the paper's."""
