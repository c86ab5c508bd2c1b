"""A folder of finished images: `<user>/<case>-<n>.png`; of a suite of one person the user's folder may be left out."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from prefbench.api import PrefbenchError, counted
from prefbench.run.given.image import GivenImage, GivenImages
from prefbench.run.given.names import Files, listing, meant, same
from prefbench.run.given.table import SUFFIXES as TABLES

PICTURES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff"})
CARD = "card.toml"
_NAME = re.compile(r"([0-9]{1,9})-([0-9]{1,9})")
RULE = "<user>/<case>-<n>.png, both numbers counted from 0"


def read_folder(folder: Path, names: Mapping[str, str]) -> GivenImages:
    """The images of a folder.

    Args:
        folder: with a folder for each user, or the pictures of the one user.
        names: user to the name of the user's folder, of all users of the split.
    """
    users = {same(name).casefold(): user for user, name in names.items()}
    files, passed = Files(folder), Counter[str]()
    images: list[GivenImage] = []
    for path in listing(folder):
        if path.is_dir():
            user = users.get(same(path.name).casefold(), path.name)
            images += [_image(files, one, user) for one in listing(path) if _counts(one, passed)]
        elif _counts(path, passed):
            images.append(_image(files, path, next(iter(names)) if len(names) == 1 else ""))
    if not images:
        raise PrefbenchError(f"{folder} holds no images: {RULE}")
    others = [f"{counted(n, 'file')} that {'is' if n == 1 else 'are'} no picture ({end})" for end, n in passed.items()]
    return GivenImages(folder, tuple(images), tuple(others))


def _counts(path: Path, passed: Counter[str]) -> bool:
    """Whether a file is given as a picture; folders within a user's are, so that they are said to be none."""
    is_one = path.suffix.lower() in PICTURES or path.is_dir()
    if not is_one and path.name != CARD:
        passed[path.suffix or path.name] += 1
    return is_one


def _image(files: Files, path: Path, user: str) -> GivenImage:
    origin = path.relative_to(files.folder).as_posix()
    match = _NAME.fullmatch(path.stem.strip())
    fault = f"{origin} leads out of the folder by a link" if files.leaves(path) else ""
    if match is None or path.is_dir():
        stray = "a folder in a user's" if path.is_dir() else f"no name of the form {RULE}"
        return GivenImage(path, origin, user, stray=stray)
    return GivenImage(path, origin, user, case=str(int(match[1])), sample=int(match[2]), fault=fault)


def methods_in(path: Path, names: Mapping[str, str]) -> dict[str, Path]:
    """The methods that a path gives images of: by name, the table or the folder of each.

    A table is one. A folder is one where some folder in it is a user's or it holds pictures; where it holds tables,
    each is one; otherwise each of its folders is.

    Raises:
        PrefbenchError: there is no such path, it is no table, or a folder in which nothing is a user's.
    """
    if not path.exists():
        near = meant(path.name, [one.name for one in listing(path.parent)]) if path.parent.is_dir() else ""
        raise PrefbenchError(f"there is no file or folder {path}{near}")
    if not path.is_dir():
        if path.suffix.lower() not in TABLES:
            raise PrefbenchError(f"{path} is no table of images: {', '.join(TABLES)}, or a folder {RULE}")
        return {path.stem: path}
    children = listing(path)
    if tables := [one for one in children if one.suffix.lower() in TABLES and not one.is_dir()]:
        methods = {one.stem: one for one in tables}
        if twin := next((one for one in tables if methods[one.stem] != one), None):
            raise PrefbenchError(f"{path} has {twin.name} and {methods[twin.stem].name}: keep one of them")
        return methods if len(methods) > 1 else {path.resolve().name: tables[0]}
    folders = [one for one in children if one.is_dir()]
    if not folders or _is_of_users(children, names):
        return {path.resolve().name: path}
    if methods := {one.name: one for one in folders if _is_method(one, names)}:
        return _each(methods, names)
    users = f"no folder in it is a user's ({', '.join(list(names.values())[:5])}{', ...' * (len(names) > 5)})"
    raise PrefbenchError(f"{path} holds no images: {users}{meant(folders[0].name, names.values())}")


def _each(methods: Mapping[str, Path], names: Mapping[str, str]) -> dict[str, Path]:
    """The methods of a folder of folders; the table in one where it has one."""
    return {name: next(iter(methods_in(path, names).values())) for name, path in methods.items()}


def _is_method(folder: Path, names: Mapping[str, str]) -> bool:
    children = listing(folder)
    return _is_of_users(children, names) or any(one.suffix.lower() in TABLES for one in children)


def _is_of_users(children: list[Path], names: Mapping[str, str]) -> bool:
    """Whether these are the folders of users, or the pictures of the one user."""
    folders = {same(name).casefold() for name in names.values()}
    if any(one.is_dir() and same(one.name).casefold() in folders for one in children):
        return True
    return len(names) == 1 and any(one.suffix.lower() in PICTURES and not one.is_dir() for one in children)
