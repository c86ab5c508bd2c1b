"""The contact sheet of users."""

from pathlib import Path

from PIL import Image

from prefbench.suites.picturebook.users.sheets import kinds_sheet
from prefbench.suites.picturebook.users.worlds import FIRST, SECOND
from prefbench.suites.picturebook.world.render import SIZE


def test_the_sheet_of_users_has_a_row_for_each_kind(tmp_path: Path) -> None:
    heights = []
    for world in (FIRST, SECOND):
        kinds_sheet(tmp_path / "users.png", world)
        heights.append(Image.open(tmp_path / "users.png").height / (2 * (SIZE + 1)))

    assert heights == [5, 8]
