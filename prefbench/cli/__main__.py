"""`python -m prefbench.cli`, for launchers that start a module."""

from prefbench.cli.main import main

main(prog_name="prefbench")
