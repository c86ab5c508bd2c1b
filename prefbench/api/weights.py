"""What weights are: the files that something loads, and where they come from."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class WeightFiles:
    """Files of one folder or of one repository of the hub that something needs.

    `prefbench.models.hub` finds them on this disk and names the command that gets them.
    """

    source: str
    """Hub id, or a folder."""
    files: tuple[str, ...]
    """Paths inside the source, or patterns of which at least one file must be there: `*.safetensors`."""
    revision: str | None = None
    licence: str = "unknown"
    size: int | None = None
    """Bytes of a download as published, rounded; None where nobody noted it."""
    trainer: str | None = None
    """The registered trainer that makes them, where prefbench has one."""
    command: str = ""
    """The command that gets them where neither the hub nor a trainer does."""
