"""The run folder: whole files or none, a cut line costs that line alone, what is damaged is named."""

from __future__ import annotations

import multiprocessing
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from prefbench.api import PrefbenchError, Sample, UnreadableImageError, image_digest, pictures
from prefbench.files import explained_disk_errors
from prefbench.models.extractors.style_statistics import StyleStatistics
from prefbench.run import images
from prefbench.run.folder import RunFolder
from prefbench.score.cache import FeatureCache
from tests.support.stored import SPEC, profile

DRAWN_AGAIN = "the run's own command draws it again"
ADVICE = "delete it and run the same command again"


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "run")


def picture(seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (32, 32, 3), dtype=np.uint8))


def sample(key: str, image: str | None = None, **changes: object) -> Sample:
    row = {
        "user": "ann",
        "case": "ann/0",
        "prompt": "a cat",
        "index": 0,
        "seed": 1,
        "status": "ok" if image else "failed",
    }
    return Sample(key=key, image=image, **(row | changes))  # type: ignore[arg-type]


@contextmanager
def limited_files(size: int) -> Iterator[None]:
    """No file of this process may grow beyond `size` bytes: a write is cut where a full disk would cut it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def files(folder: RunFolder) -> set[str]:
    """All but the hidden ones."""
    paths = [path for path in folder.path.rglob("*") if path.is_file() and not path.name.startswith(".")]
    return {path.relative_to(folder.path).as_posix() for path in paths}


def test_the_last_row_of_a_key_counts(folder: RunFolder) -> None:
    digest = folder.put_image(picture())
    folder.append_samples([sample("a", error="first try"), sample("b", error="first try")])
    folder.append_samples([sample("a", digest)])
    assert folder.samples() == {"a": sample("a", digest), "b": sample("b", error="first try")}
    assert set(folder.finished()) == {"a"}


def test_a_sample_without_its_image_is_not_finished(folder: RunFolder) -> None:
    digest = folder.put_image(picture())
    folder.append_samples([sample("a", digest)])
    folder.image_path(digest).unlink()
    assert folder.finished() == {}


def test_a_resumed_run_tells_how_far_the_reading_of_its_images_is(folder: RunFolder) -> None:
    """Every stored image once, however many samples show it, damaged ones too; nothing where there is none."""
    told: list[tuple[str, int, str] | int] = []

    @contextmanager
    def bar(stage: str, total: int, unit: str) -> Iterator[Callable[[int], object]]:
        told.append((stage, total, unit))
        yield told.append

    folder.append_samples([sample("failed", error="out of luck")])
    assert folder.finished(bar) == {}
    assert told == []
    first, second = (folder.put_image(picture(shade)) for shade in (1, 2))
    folder.append_samples([sample("a", first), sample("b", second), sample("c", first)])
    folder.image_path(second).write_bytes(b"")
    assert set(folder.finished(bar)) == {"a", "c"}
    assert told[0] == ("read images", 2, "img")
    assert sum(count for count in told[1:] if isinstance(count, int)) == 2


def test_a_stop_while_images_are_read_waits_for_no_other(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    def slowly(_: Path, digest: str) -> bool:
        time.sleep(0.01)
        read.append(digest)
        return True

    monkeypatch.setattr(images, "is_intact", slowly)

    def stop(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        images.intact(folder.path, [f"{i:064x}" for i in range(2_000)], stop)
    assert len(read) < 200


def test_rows_of_several_workers_are_read(folder: RunFolder) -> None:
    folder.append_samples([sample("a")])
    folder.append_samples([sample("b")], worker="1")
    assert set(folder.samples()) == {"a", "b"}


def test_hostile_text_survives_a_row(folder: RunFolder) -> None:
    text = 'a\nb\u2028c\x00d\x85e"f\\g 猫 😀'
    folder.append_samples([sample("a", prompt=text)])
    assert folder.samples()["a"].prompt == text


def test_a_line_cut_off_anywhere_costs_that_line_alone(folder: RunFolder) -> None:
    folder.append_samples([sample("a"), sample("b")])
    path = folder.path / "samples" / "0.jsonl"
    whole = path.read_bytes()
    start = whole.rindex(b"\n", 0, -1) + 1
    for cut in range(start, len(whole) - 1):
        path.write_bytes(whole[:cut])
        assert set(folder.samples()) == {"a"}
        folder.append_samples([sample("c")])
        assert set(folder.samples()) == {"a", "c"}


def test_a_line_that_lost_only_its_end_is_kept(folder: RunFolder) -> None:
    folder.append_samples([sample("a")])
    path = folder.path / "samples" / "0.jsonl"
    path.write_bytes(path.read_bytes().rstrip(b"\n"))
    folder.append_samples([sample("b")])
    assert set(folder.samples()) == {"a", "b"}


def test_a_cut_line_is_said_until_the_run_goes_on(folder: RunFolder, caplog: pytest.LogCaptureFixture) -> None:
    folder.append_samples([sample("a"), sample("b")])
    path = folder.path / "samples" / "0.jsonl"
    path.write_bytes(path.read_bytes()[:-30])
    assert set(folder.samples()) == {"a"}
    assert "line 3 is cut off and left out; the same command does it again" in caplog.text
    caplog.clear()
    folder.append_samples([sample("c")])
    assert set(folder.samples()) == {"a", "c"}
    assert not caplog.text


def test_profiles_and_scores_come_back(folder: RunFolder) -> None:
    assert folder.profiles() == {}
    assert folder.scored() == []
    failed, made = profile("ann", "a" * 64, status="failed"), profile("ann", "a" * 64)
    folder.append_profile(failed)
    folder.append_profile(made)
    folder.write_scores("utility", {"metric": "utility@1"}, [{"key": "a", "value": None}])
    assert folder.profiles() == {made.history: made}
    assert folder.scored() == ["utility"]


def test_an_image_is_stored_once_under_its_digest(folder: RunFolder) -> None:
    digest = folder.put_image(picture())
    path = folder.path / "images" / digest[:2] / f"{digest}.png"
    before = path.stat().st_mtime_ns
    assert folder.put_image(picture()) == digest == image_digest(picture())
    assert path.stat().st_mtime_ns == before
    assert folder.image(digest).tobytes() == picture().tobytes()
    assert len(files(folder)) == 1


def test_odd_modes_become_rgb(folder: RunFolder) -> None:
    for mode in ("L", "RGBA", "P", "1"):
        assert folder.image(folder.put_image(picture().convert(mode))).mode == "RGB"


@pytest.mark.parametrize("damage", ["cut", "text", "empty"])
def test_a_damaged_image_is_named_with_what_to_do(folder: RunFolder, damage: str) -> None:
    digest = folder.put_image(picture())
    path = folder.image_path(digest)
    path.write_bytes({"cut": path.read_bytes()[:-200], "text": b"no image", "empty": b""}[damage])
    with pytest.raises(UnreadableImageError, match=DRAWN_AGAIN) as caught:
        folder.image(digest)
    assert str(path) in str(caught.value)


def test_a_picture_under_a_foreign_digest_is_refused(folder: RunFolder) -> None:
    digest, other = folder.put_image(picture(0)), folder.put_image(picture(1))
    folder.image_path(digest).write_bytes(folder.image_path(other).read_bytes())
    with pytest.raises(PrefbenchError, match="holds another picture than its name says"):
        folder.image(digest)


def test_a_missing_image_is_named(folder: RunFolder) -> None:
    with pytest.raises(PrefbenchError, match=f"is missing; {DRAWN_AGAIN}"):
        folder.image("ab" * 32)


def test_a_huge_image_is_refused_before_it_is_decoded(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = folder.put_image(picture())
    monkeypatch.setattr(pictures, "MAX_PIXELS", 1000)
    with pytest.raises(PrefbenchError, match="is 32x32, over 1000 pixels"):
        folder.image(digest)


DESCRIPTION = {"spec": SPEC, "method": {"name": "m"}, "kinds": {"ann": "user"}, "planned": 3}


def test_a_description_comes_back(folder: RunFolder) -> None:
    folder.write_description(DESCRIPTION)
    content = folder.read_description()
    assert {name: content[name] for name in DESCRIPTION} == DESCRIPTION
    assert content["format"] == 2
    assert files(folder) == {"run.json"}


@pytest.mark.parametrize(
    "content", [b"", b'{"spec": {"ba', b"\xff\xfe\x00", b"[]", b"{}", b'{"spec": 3}', b"[" * 10**6]
)
def test_a_damaged_description_is_one_line(folder: RunFolder, content: bytes) -> None:
    folder.write_description(DESCRIPTION)
    (folder.path / "run.json").write_bytes(content)
    with pytest.raises(PrefbenchError, match=rf"is damaged.*{ADVICE}") as caught:
        folder.read_description()
    assert "\n" not in str(caught.value)


def test_a_folder_that_is_no_run_says_so(folder: RunFolder) -> None:
    with pytest.raises(PrefbenchError, match=r"is not a run folder: it has no run\.json"):
        folder.read_description()


def test_a_full_disk_is_one_line_and_leaves_no_part_of_an_image(folder: RunFolder) -> None:
    kept = folder.put_image(picture(0))
    with (
        limited_files(1000),
        pytest.raises(PrefbenchError, match=r"no space left while writing .*run the same command"),
    ):
        folder.put_image(picture(1))
    assert files(folder) == {f"images/{kept[:2]}/{kept}.png"}
    assert folder.put_image(picture(1)) == image_digest(picture(1))


def test_features_that_do_not_fit_name_their_file_and_the_way_on(folder: RunFolder) -> None:
    cache = FeatureCache(folder.path, StyleStatistics())
    said = r"no space left while writing .*features/.*npz; make room and run the same command again"
    with limited_files(100), pytest.raises(PrefbenchError, match=said):
        cache.get(["a"], lambda _: [np.asarray(picture())])
    assert [name for name in files(folder) if name.startswith("features")] == []


def test_rows_cut_by_a_full_disk_cost_those_rows_alone(folder: RunFolder) -> None:
    folder.append_samples([sample("a")])
    size = (folder.path / "samples" / "0.jsonl").stat().st_size
    with limited_files(2 * size - 50), pytest.raises(PrefbenchError, match="no space left"):
        folder.append_samples([sample("b"), sample("c"), sample("d")])
    assert set(folder.samples()) == {"a", "b"}
    folder.append_samples([sample("c")])
    assert set(folder.samples()) == {"a", "b", "c"}


def test_a_description_that_does_not_fit_leaves_the_old_one(folder: RunFolder) -> None:
    folder.write_description(DESCRIPTION)
    size = (folder.path / "run.json").stat().st_size
    with limited_files(size), pytest.raises(PrefbenchError, match="no space left"):
        folder.write_description({**DESCRIPTION, "command": "x" * 1000})
    assert "command" not in folder.read_description()
    assert files(folder) == {"run.json"}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no device that is always full")
def test_a_device_that_is_full_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    with pytest.raises(PrefbenchError, match=r"no space left while writing .*rows.jsonl"), explained_disk_errors(path):
        Path("/dev/full").write_bytes(b"a row")


def _hold(path: Path, ready: Connection) -> None:
    with RunFolder(path).locked():
        ready.send("held")
        ready.recv()


@pytest.fixture
def holder(folder: RunFolder) -> Iterator[multiprocessing.process.BaseProcess]:
    """Another process that holds the folder."""
    context = multiprocessing.get_context("fork")
    mine, theirs = context.Pipe()
    process = context.Process(target=_hold, args=(folder.path, theirs))
    process.start()
    assert mine.recv() == "held"
    yield process
    process.kill()
    process.join()


def test_a_folder_has_one_writer(folder: RunFolder, holder: multiprocessing.process.BaseProcess) -> None:
    with pytest.raises(PrefbenchError, match=rf"is being written by process {holder.pid};"), folder.locked():
        pass


def test_a_killed_writer_leaves_no_lock(folder: RunFolder, holder: multiprocessing.process.BaseProcess) -> None:
    holder.kill()
    holder.join()
    with folder.locked():
        pass


def test_readers_need_no_lock(folder: RunFolder, holder: multiprocessing.process.BaseProcess) -> None:
    assert holder.is_alive()
    assert folder.samples() == {}


@pytest.mark.parametrize(
    "place",
    ["", "images/ab", "profiles", "scores", "features/mini-clip", "report", "report/figures"],
)
def test_half_written_files_of_a_killed_process_are_swept_away(folder: RunFolder, place: str) -> None:
    (folder.path / place).mkdir(parents=True)
    for name in ("whole.json", ".prefbench-0123456789abcdef.tmp", ".hidden"):
        (folder.path / place / name).write_bytes(b"half")
    with folder.locked():
        kept = {path.name for path in (folder.path / place).iterdir()}
    assert kept - {".lock", ".owner"} == {"whole.json", ".hidden"}


def test_scores_of_a_name_with_a_colon_have_a_file_name_that_every_system_takes(folder: RunFolder) -> None:
    name = "torchmetrics:ssim(kernel_size=5,sigma=1.5)"
    folder.write_scores(name, {"metric": name}, [{"value": 1.0}])
    assert [path.name for path in (folder.path / "scores").iterdir()] == [
        "torchmetrics%3Assim(kernel_size=5,sigma=1.5).jsonl"
    ]
    assert folder.scored() == [name]
    folder.drop_scores(name)
    assert folder.scored() == []
