"""`prefbench doctor`: versions, hardware, folders, weights."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from prefbench.cli.options import as_json, print_json

if TYPE_CHECKING:
    from prefbench.models.inventory import InventoryRow


@click.command()
@as_json
def doctor(as_json: bool) -> None:
    """Versions, device, memory, folders, and which weights are present or how to get them."""
    from prefbench.cli.plain import print_table
    from prefbench.files import WEIGHTS, cache_folder
    from prefbench.models.inventory import Inventory
    from prefbench.registry import default, load
    from prefbench.run.environment import hardware, versions

    rows = Inventory(load("suite", default("suite")).card).rows()
    content: dict[str, Any] = {
        "versions": versions(),
        "hardware": hardware(),
        "folders": {"cache": str(cache_folder()), "weights": str(WEIGHTS)},
        "weights": [{**asdict(row), "ready": row.ready} for row in rows],
    }
    if as_json:
        print_json(content)
        return
    for title in ("versions", "hardware", "folders"):
        print_table([title, ""], [[key, value] for key, value in content[title].items()])
    print_table(["weights of", "", "state", "size", "licence", "get them with"], [_cells(row) for row in rows])


def _cells(row: InventoryRow) -> list[str]:
    state = "ready" if row.ready else f"missing: {'; '.join(row.missing)}"
    sizes = [f"{_megabytes(row.bytes_here)} here"] if row.bytes_here else []
    if row.bytes_missing:
        sizes.append(f"about {_megabytes(row.bytes_missing)} to download")
    return [row.kind, row.name, state, ", ".join(sizes), ", ".join(row.licences), row.command]


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"
