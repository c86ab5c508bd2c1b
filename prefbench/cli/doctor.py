"""`prefbench doctor`: versions, hardware, folders, weights."""

from __future__ import annotations

import json
from typing import Any

import click

from prefbench.cli.options import as_json


@click.command()
@as_json
def doctor(as_json: bool) -> None:
    """Versions, device, memory, folders, and which weights are present or how to get them."""
    from prefbench.cli.screen import print_table
    from prefbench.environment import hardware, versions
    from prefbench.files import WEIGHTS, cache_folder

    content: dict[str, Any] = {
        "versions": versions(),
        "hardware": hardware(),
        "folders": {"cache": str(cache_folder()), "weights": str(WEIGHTS)},
        "weights": _weights(),
    }
    if as_json:
        click.echo(json.dumps(content, indent=1))
        return
    for title, entries in content.items():
        print_table([title, ""], [[key, value] for key, value in entries.items()])


def _weights() -> dict[str, str]:
    """Model to `present`, or the command that gets it; then for each method what it lacks on the default backbone."""
    from prefbench.files import WEIGHTS
    from prefbench.models.backbones.weights import missing
    from prefbench.models.mllms.weights import missing as missing_of_mllm
    from prefbench.registry import load, names

    found = {f"backbone {name}": missing(load("backbone", name)) or "present" for name in names("backbone")}
    found |= {f"mllm {name}": missing_of_mllm(load("mllm", name)) or "present" for name in names("mllm")}
    for name in [name for name in names("weights") if name not in (*names("backbone"), *names("mllm"))]:
        present = any((WEIGHTS / name).glob("*.safetensors"))
        found[name] = "present" if present else f"prefbench train {name} --install"
    default = found["backbone mini-sd"]
    return found | {f"method {name}": "ready" if default == "present" else default for name in names("method")}
