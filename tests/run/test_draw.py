"""The runner: what fails becomes a row, neighbours survive, a run that goes on draws what is missing, ends the same."""

from __future__ import annotations

import io
import json
import re
import signal
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from prefbench.api import (
    Case,
    Context,
    Drawing,
    History,
    Judgment,
    Method,
    MethodCard,
    Picture,
    PrefbenchError,
    Profile,
    Request,
    encode_png,
)
from prefbench.registry import load
from prefbench.run import payloads
from prefbench.run.draw import RunResult, draw, failures
from prefbench.run.folder import RunFolder
from prefbench.run.peak_memory import peak_memory
from prefbench.run.plan import Planned, RunSpec, make_plan
from prefbench.run.progress import Progress
from tests.support.plain_names import PlainNames

N_USERS, BATCH = 4, 8
N_SAMPLES = N_USERS * 5 * 2
Prepared = tuple[Sequence[Sequence[Planned]], dict[str, History], RunFolder]


class Painter(Method):
    """Noise from the request's seed; fails where it is told to, and notes what it was asked for."""

    card = MethodCard(name="painter", version="1", summary="noise")

    def __init__(self, *, poison: str = "", broken_profile: str = "") -> None:
        self.poison, self.broken_profile = poison, broken_profile
        self.profiled: list[str] = []
        self.batches: list[int] = []

    def profile(self, history: History) -> Profile:
        self.profiled.append(history.user)
        if history.user == self.broken_profile:
            raise ValueError("nothing to learn from")
        return Profile(history.user, {"likes": len(history.liked)}, trained_parameters=7)

    def generate(self, requests: Sequence[Request]) -> Sequence[Drawing]:
        self.batches.append(len(requests))
        if self.poison and any(self.poison in request.case.id for request in requests):
            raise RuntimeError("cannot draw this")
        return [Drawing(paint(request.seed), f"{request.prompt}, please", 3) for request in requests]


class Miscounting(Painter):
    def generate(self, requests: Sequence[Request]) -> Sequence[Drawing]:
        drawings = super().generate(requests)
        return drawings if len(self.batches) == 1 else drawings[:-1]


class Silent(Painter):
    def generate(self, _: Sequence[Request]) -> Sequence[Drawing]:
        return None  # type: ignore[return-value]


class Undrawn(Painter):
    def generate(self, requests: Sequence[Request]) -> Sequence[Drawing]:
        return [request.prompt for request in requests]  # type: ignore[misc]


class Changing(Painter):
    """Hands back drawings that were changed."""

    def __init__(self, **changes: Any) -> None:
        super().__init__()
        self.changes = changes

    def generate(self, requests: Sequence[Request]) -> Sequence[Drawing]:
        return [replace(drawing, **self.changes) for drawing in super().generate(requests)]


class Once(Painter):
    """Hands one of its drawings back with another image."""

    def __init__(self, image: Image.Image) -> None:
        super().__init__()
        self.image: Image.Image | None = image

    def generate(self, requests: Sequence[Request]) -> Sequence[Drawing]:
        drawings = list(super().generate(requests))
        if self.image is not None:
            drawings[0], self.image = replace(drawings[0], image=self.image), None
        return drawings


class Profiling(Painter):
    """Makes of every history what it is told to."""

    def __init__(self, made: Any) -> None:
        super().__init__()
        self.made = made

    def profile(self, history: History) -> Profile:
        made = super().profile(history)
        return replace(made, **self.made) if isinstance(self.made, dict) else self.made


class Interrupted(Painter):
    """Ctrl-C in the third batch."""

    def generate(self, requests: Sequence[Request]) -> Sequence[Drawing]:
        if len(self.batches) == 2:
            signal.raise_signal(signal.SIGINT)
        return super().generate(requests)


def paint(seed: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8))


def cut_png() -> Image.Image:
    """An image that PIL opens and cannot decode."""
    return Image.open(io.BytesIO(encode_png(paint(0))[:-60]))


def closed() -> Image.Image:
    image = paint(0)
    image.close()
    return image


def post_script() -> Image.Image:
    """A drawing that Pillow would hand to Ghostscript."""
    return Image.open(io.BytesIO(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n"))


def judgment(*, liked: bool) -> Judgment:
    return Judgment(Picture.of(paint(int(liked))), "a cat", liked)


def plan_for(histories: dict[str, History], *, batch: int = BATCH) -> Sequence[Sequence[Planned]]:
    spec = RunSpec(
        suite="toy", suite_parameters={}, suite_digest="d", split="test", method="painter", method_version="1",
        parameters={}, control=None, backbone="none", backbone_digest="b", steps=1, guidance=1.0, dtype="float32",
        seed=0, samples_per_case=2, users=None, batch=batch,
    )  # fmt: skip
    cases = [Case(f"{user}/{i}", user, f"prompt {i}") for user in histories for i in range(5)]
    return make_plan(spec, cases, histories)


@pytest.fixture
def prepared(tmp_path: Path) -> Prepared:
    histories = {f"user-{i}": History(f"user-{i}", (judgment(liked=True),), ()) for i in range(N_USERS)}
    return plan_for(histories), histories, RunFolder(tmp_path / "run")


def run(prepared: Prepared, method: Method, advance: Callable[[int], object] = lambda _: None) -> RunResult:
    plan, histories, folder = prepared
    return draw(plan, method, histories, folder, progress=Progress(advance), names=PlainNames())


def digests(folder: RunFolder) -> dict[str, str | None]:
    return {key: sample.image for key, sample in folder.samples().items()}


def whole(tmp_path: Path, prepared: Prepared) -> dict[str, str | None]:
    """What a run that nothing disturbed ends with."""
    plan, histories, _ = prepared
    folder = RunFolder(tmp_path / "whole")
    draw(plan, Painter(), histories, folder)
    return digests(folder)


@pytest.mark.parametrize("control", [False, True])
def test_only_controls_see_what_the_user_chose(prepared: Prepared, control: bool) -> None:
    seen: list[Case] = []

    class Curious(Painter):
        card = replace(Painter.card, control=control)

        def generate(self, requests: Sequence[Request]) -> Sequence[Drawing]:
            seen.extend(request.case for request in requests)
            return super().generate(requests)

    plan, histories, folder = prepared
    pictures: dict[str, Any] = {"chosen": Picture.of(paint(1)), "rejected": Picture.of(paint(2))}
    known = [[planned._replace(case=replace(planned.case, **pictures)) for planned in batch] for batch in plan]
    draw(known, Curious(), histories, folder, names=PlainNames())
    expected = [planned.case for batch in (known if control else plan) for planned in batch]
    assert seen == expected


def test_a_run_stores_every_planned_sample(prepared: Prepared) -> None:
    plan, _, folder = prepared
    result = run(prepared, method := Painter())
    assert (result.planned, result.drawn, result.failed) == (N_SAMPLES, N_SAMPLES, 0)
    assert method.batches == [BATCH] * 5
    samples = folder.samples()
    for planned in (p for batch in plan for p in batch):
        sample = samples[planned.key]
        assert (sample.user, sample.prompt, sample.seed) == (planned.case.user, planned.case.prompt, planned.seed)
        assert (sample.status, sample.nfe, sample.error) == ("ok", 3, None)
        assert sample.prompt_used == f"{sample.prompt}, please"
        assert folder.image(sample.image or "").tobytes() == paint(planned.seed).tobytes()


def test_profiles_are_made_once_a_user_and_leave_a_row(prepared: Prepared) -> None:
    _, histories, folder = prepared
    run(prepared, method := Painter())
    assert method.profiled == list(histories)
    rows = folder.profiles()
    assert set(rows) == {history.digest for history in histories.values()}
    row = rows[histories["user-0"].digest]
    assert (row.user, row.status, row.trained_parameters) == ("user-0", "ok", 7)
    assert row.bytes > 0
    assert row.seconds >= 0
    assert row.peak_memory_bytes > 0


def test_progress_adds_up_to_the_plan_again_and_again(prepared: Prepared) -> None:
    for _ in range(2):
        steps_told: list[int] = []
        run(prepared, Painter(), steps_told.append)
        assert sum(steps_told) == N_SAMPLES


def test_a_second_run_over_a_finished_folder_draws_nothing(prepared: Prepared) -> None:
    run(prepared, Painter())
    before = {path: path.stat().st_mtime_ns for path in prepared[2].path.rglob("*") if path.is_file()}
    result = run(prepared, method := Painter())
    assert (result.drawn, method.batches, method.profiled) == (0, [], [])
    assert before == {path: path.stat().st_mtime_ns for path in prepared[2].path.rglob("*") if path.is_file()}


def test_images_are_written_while_the_next_batch_is_drawn(prepared: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    writers: set[str] = set()
    put = RunFolder.put_image

    def noted(folder: RunFolder, image: Image.Image) -> str:
        writers.add(threading.current_thread().name)
        return put(folder, image)

    monkeypatch.setattr(RunFolder, "put_image", noted)
    run(prepared, Painter())
    assert writers
    assert threading.main_thread().name not in writers


def test_a_failed_sample_is_a_row_and_its_neighbours_survive(tmp_path: Path, prepared: Prepared) -> None:
    _, _, folder = prepared
    result = run(prepared, Painter(poison="user-1/3"))
    assert (result.planned, result.drawn, result.failed) == (N_SAMPLES, N_SAMPLES, 2)
    failed = [sample for sample in folder.samples().values() if sample.status == "failed"]
    assert {sample.case for sample in failed} == {"user-1/3"}
    assert all(
        s.error == "RuntimeError: cannot draw this" and s.image is None and s.prompt_used is None for s in failed
    )
    assert failures(folder.samples()) == {"RuntimeError: cannot draw this": 2}
    undisturbed = whole(tmp_path, prepared)
    assert {k: v for k, v in digests(folder).items() if v} == {
        k: v for k, v in undisturbed.items() if k not in {sample.key for sample in failed}
    }


def test_a_failed_sample_is_tried_again(tmp_path: Path, prepared: Prepared) -> None:
    run(prepared, Painter(poison="user-1/3"))
    result = run(prepared, method := Painter())
    assert (result.drawn, result.failed) == (2, 0)
    assert method.batches == [BATCH]
    assert digests(prepared[2]) == whole(tmp_path, prepared)


def test_a_sample_that_fails_again_is_counted_once(prepared: Prepared) -> None:
    for _ in range(2):
        assert run(prepared, Painter(poison="user-1/3")).failed == 2
    assert len(prepared[2].samples()) == N_SAMPLES


def test_a_failed_profile_fails_its_user_alone(prepared: Prepared) -> None:
    _, histories, folder = prepared
    result = run(prepared, method := Painter(broken_profile="user-2"))
    assert result.failed == 10
    assert {sample.user for sample in folder.samples().values() if sample.status == "failed"} == {"user-2"}
    assert failures(folder.samples()) == {"ValueError: nothing to learn from": 10}
    assert method.profiled.count("user-2") == 1
    row = folder.profiles()[histories["user-2"].digest]
    assert (row.status, row.error, row.bytes) == ("failed", "ValueError: nothing to learn from", 0)


def test_a_profile_that_succeeds_later_replaces_its_row(prepared: Prepared) -> None:
    _, histories, folder = prepared
    run(prepared, Painter(broken_profile="user-2"))
    assert run(prepared, Painter()).failed == 0
    assert folder.profiles()[histories["user-2"].digest].status == "ok"


class Evil:
    """A pickle of it would write a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


class Keeping(Painter):
    """Profiles with arrays and tensors in them; draws by what the profile holds."""

    def profile(self, history: History) -> Profile:
        self.profiled.append(history.user)
        return Profile(history.user, {"mean": np.arange(3.0), "weights": [torch.ones(2)]}, trained_parameters=7)

    def generate(self, requests: Sequence[Request]) -> Sequence[Drawing]:
        assert all(r.profile.payload["mean"].tolist() == [0, 1, 2] for r in requests)
        assert all(r.profile.payload["weights"][0].sum() == 2 for r in requests)
        assert all(r.profile.trained_parameters == 7 for r in requests)
        return super().generate(requests)


def test_a_continued_run_takes_up_its_profiles(tmp_path: Path, prepared: Prepared) -> None:
    run(prepared, Keeping(poison="user-1/3"))
    result = run(prepared, method := Keeping())
    assert (result.failed, method.profiled) == (0, [])
    assert digests(prepared[2]) == whole(tmp_path, prepared)


def test_a_fresh_and_a_continued_run_draw_from_the_same_payload(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both are given what is read back from disk, which alone holds no device: a tensor made on one is on the CPU."""
    given: list[Any] = []
    made: list[Any] = []
    dumped: list[Any] = []
    dump = payloads.dump

    class Watched(Keeping):
        def profile(self, history: History) -> Profile:
            made.append(super().profile(history).payload)
            return Profile(history.user, made[-1], trained_parameters=7)

        def generate(self, requests: Sequence[Request]) -> Sequence[Drawing]:
            given.extend(request.profile.payload for request in requests)
            return super().generate(requests)

    def noted(payload: Any) -> bytes:
        dumped.append(payload)
        return dump(payload)

    monkeypatch.setattr(payloads, "dump", noted)
    run(prepared, Watched())
    assert given
    assert not {id(payload) for payload in given} & {id(payload) for payload in made}
    assert len(dumped) == len(made) == N_USERS, "each payload is written once"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an accelerator")
def test_payloads_of_an_accelerator_arrive_on_the_cpu_from_the_first_pass_on(prepared: Prepared) -> None:
    devices: set[str] = set()

    class OnDevice(Painter):
        def profile(self, history: History) -> Profile:
            return Profile(history.user, torch.ones(2, device="cuda"))

        def generate(self, requests: Sequence[Request]) -> Sequence[Drawing]:
            devices.update(request.profile.payload.device.type for request in requests)
            return super().generate(requests)

    run(prepared, OnDevice())
    assert devices == {"cpu"}


@pytest.mark.parametrize("damage", ["cut", "hostile"])
def test_damaged_and_hostile_profiles_are_made_again(damage: str, tmp_path: Path, prepared: Prepared) -> None:
    _, histories, folder = prepared
    run(prepared, Keeping(poison="user-1/3"))
    stream = io.BytesIO()
    torch.save(Evil(tmp_path / "pwned"), stream)
    folder.put_payload(histories["user-1"].digest, b"PK" if damage == "cut" else stream.getvalue())
    result = run(prepared, method := Keeping())
    assert (result.failed, method.profiled) == (0, ["user-1"])
    assert not (tmp_path / "pwned").exists()


def test_profiles_that_are_not_plain_data_are_made_again(prepared: Prepared) -> None:
    class Odd(Painter):
        def profile(self, history: History) -> Profile:
            return Profile(super().profile(history).user, history.liked)

    run(prepared, Odd(poison="user-1/3"))
    run(prepared, method := Odd())
    assert "user-1" in method.profiled
    assert not (prepared[2].path / "profiles").exists()


@pytest.mark.parametrize("method", ["prompt-only", "copy"])
@pytest.mark.parametrize("sides", ["empty", "liked", "disliked"])
def test_histories_may_be_empty_or_one_sided(method: str, sides: str, tmp_path: Path, tiny_sd: Path) -> None:
    from prefbench.models.backbones.loader import load_backbone

    history = History(
        "ann",
        (judgment(liked=True),) if sides == "liked" else (),
        (judgment(liked=False),) if sides == "disliked" else (),
    )
    drawer: Method = load("method", method)()
    drawer.setup(Context(load_backbone(tiny_sd, device="cpu", steps=1)))
    folder = RunFolder(tmp_path / "run")
    result = draw(plan_for({"ann": history}), drawer, {"ann": history}, folder)
    needs_likes = method == "copy" and sides != "liked"
    assert result.failed == (10 if needs_likes else 0)
    if needs_likes:
        assert failures(folder.samples()) == {"PrefbenchError: ann has no liked image to copy": 10}


@pytest.mark.parametrize(
    ("method", "said", "kept"),
    [
        (Miscounting(), "painter returned 7 drawings for 8 requests", BATCH),
        (Silent(), "painter returned NoneType, not a sequence of drawings", 0),
        (Undrawn(), "painter returned str where a Drawing belongs", 0),
        (Changing(image=np.zeros((8, 8, 3))), "painter returned a drawing whose image is ndarray, not a PIL image", 0),
        (Changing(prompt_used=None), "painter returned a drawing whose prompt_used is NoneType, not a text", 0),
        (Changing(nfe=2.5), "painter returned 2.5 as nfe; it is a whole number", 0),
        (Changing(nfe=-1), "painter returned -1 as nfe; it is a whole number from 0 to 2", 0),
        (Changing(nfe=2**63), "painter returned 9223372036854775808 as nfe", 0),
        (Changing(nfe=10**5000), "painter returned 2.16609 or more as nfe", 0),
        (Changing(nfe=None), "painter returned None as nfe", 0),
    ],
)
def test_a_broken_contract_stops_the_run_and_keeps_what_was_drawn(
    prepared: Prepared, method: Method, said: str, kept: int
) -> None:
    with pytest.raises(PrefbenchError, match=said):
        run(prepared, method)
    assert len(prepared[2].finished()) == kept


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (Image.new("RGB", (0, 8)), r"has no pixels \(0x8\)"),
        (Image.new("1", (8001, 8000)), "is 8001x8000, over 64000000 pixels"),
        (
            Image.new("F", (8, 8)),
            r"is of floats \(mode F\), whose range nothing tells; give RGB or L of 8 bits, or I;16",
        ),
        (Image.new("I", (8, 8)), r"is of 32-bit integers \(mode I\)"),
        (cut_png(), "cannot be decoded"),
        (closed(), "cannot be decoded"),
        (post_script(), "is a file of format EPS, no PNG, JPEG, WebP, GIF, BMP or TIFF"),
    ],
    ids=["empty", "huge", "floats", "integers", "cut", "closed", "postscript"],
)
def test_an_image_that_cannot_be_seen_is_a_failed_sample_and_the_others_are_drawn(
    prepared: Prepared, image: Image.Image, said: str
) -> None:
    result = run(prepared, Once(image))
    assert (result.planned - result.failed, result.failed) == (len(prepared[2].finished()), 1)
    (error,) = failures(prepared[2].samples())
    assert re.fullmatch(rf"UnreadableImageError: painter returned an image that {said}.*", error)
    assert "\n" not in error
    assert " at 0x" not in error


def test_a_drawing_with_alpha_is_stored_as_it_looks_on_white(prepared: Prepared) -> None:
    layer = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    layer.paste((0, 200, 0, 255), (2, 2, 6, 6))
    expected = Image.new("RGB", (8, 8), "white")
    expected.paste((0, 200, 0), (2, 2, 6, 6))
    run(prepared, Changing(image=layer))
    stored = prepared[2].image(next(iter(prepared[2].finished().values())).image or "")
    assert stored.tobytes() == expected.tobytes()


def test_a_drawing_of_sixteen_bits_is_stored_as_the_same_picture_of_eight(prepared: Prepared) -> None:
    ramp = np.arange(64, dtype=np.uint16).reshape(8, 8) * 1024
    run(prepared, Changing(image=Image.fromarray(ramp)))
    stored = prepared[2].image(next(iter(prepared[2].finished().values())).image or "")
    assert np.array_equal(np.asarray(stored)[..., 1], ramp // 256)


def test_evaluations_may_be_numbers_of_numpy(prepared: Prepared) -> None:
    assert run(prepared, Changing(nfe=np.int64(5))).failed == 0
    assert {type(s.nfe) for s in prepared[2].samples().values()} == {int}
    assert {s.nfe for s in prepared[2].samples().values()} == {5}


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ([1.0], "painter returned list, not a Profile"),
        (None, "painter returned NoneType, not a Profile"),
        ({"user": "bob"}, "painter returned the profile of 'bob' for 'user-0'"),
        (
            {"trained_parameters": "many"},
            "painter returned 'many' trained parameters; they are a whole number from 0 to 2^63 - 1",
        ),
        ({"payload": lambda: None}, "painter returned a profile that does not pickle ("),
    ],
)
def test_a_broken_profile_is_a_failed_row(prepared: Prepared, made: Any, said: str) -> None:
    _, histories, folder = prepared
    assert run(prepared, Profiling(made)).failed == N_SAMPLES
    row = folder.profiles()[histories["user-0"].digest]
    assert (row.status, row.bytes, row.trained_parameters) == ("failed", 0, 0)
    assert (row.error or "").startswith(f"PrefbenchError: {said}")
    assert {sample.status for sample in folder.samples().values()} == {"failed"}


def test_trained_parameters_may_be_a_number_of_numpy(prepared: Prepared) -> None:
    run(prepared, Profiling({"trained_parameters": np.int64(9)}))
    assert {row.trained_parameters for row in prepared[2].profiles().values()} == {9}


def test_a_full_disk_stops_the_run_and_is_no_failed_profile(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise PrefbenchError("no space left")

    monkeypatch.setattr(RunFolder, "put_payload", full)
    with pytest.raises(PrefbenchError, match="no space left"):
        run(prepared, Painter())
    assert {row.status for row in prepared[2].profiles().values()} == {"ok"}


def test_peak_memory_is_bytes_on_every_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    peaks = {}
    monkeypatch.setattr("resource.getrusage", lambda _: SimpleNamespace(ru_maxrss=2**21))
    monkeypatch.setattr("psutil.Process.memory_info", lambda _: SimpleNamespace(rss=2**20, peak_wset=2**22))
    for system in ("linux", "darwin", "win32"):
        monkeypatch.setattr("sys.platform", system)
        peaks[system] = peak_memory()
    assert peaks == {"linux": 2**31, "darwin": 2**21, "win32": 2**22}


def test_a_draw_forgets_the_peak_of_the_one_before(prepared: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    peaks = [7]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda: peaks.append(3))
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: peaks[-1])
    run(prepared, Painter())
    assert {row.peak_memory_bytes for row in prepared[2].profiles().values()} == {3}
    assert len(peaks) == 2, "once a draw"


def test_an_interrupted_run_keeps_its_batches_and_goes_on(tmp_path: Path, prepared: Prepared) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(prepared, Interrupted())
    assert len(prepared[2].finished()) == 2 * BATCH
    result = run(prepared, method := Painter())
    assert result.drawn == N_SAMPLES - 2 * BATCH
    assert method.batches == [BATCH] * 3
    assert digests(prepared[2]) == whole(tmp_path, prepared)


def test_a_batch_that_was_cut_is_drawn_again_whole(tmp_path: Path, prepared: Prepared) -> None:
    run(prepared, Painter())
    path = prepared[2].path / "samples" / "0.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[: 2 * BATCH + 4]) + lines[2 * BATCH + 4][:40])
    result = run(prepared, method := Painter())
    assert method.batches == [BATCH] * 3
    assert result.drawn == N_SAMPLES - 2 * BATCH - 3
    assert digests(prepared[2]) == whole(tmp_path, prepared)
    keys = [json.loads(line)["key"] for line in path.read_text().splitlines()[1:]]
    assert len(keys) == len(set(keys)) == N_SAMPLES


def _folder_in_place(path: Path) -> None:
    path.unlink()
    (path / "inside").mkdir(parents=True)


def _file_for_folder(path: Path) -> None:
    for image in path.parent.iterdir():
        image.unlink()
    path.parent.rmdir()
    path.parent.write_bytes(b"no folder")


DAMAGES: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-40]),
    "text": lambda path: path.write_bytes(b"<html>"),
    "flipped": lambda path: path.write_bytes(path.read_bytes()[:60] + b"\x07" + path.read_bytes()[61:]),
    "another picture": lambda path: path.write_bytes(encode_png(paint(999))),
    "another format": lambda path: paint(3).save(path, format="BMP"),
    "folder": _folder_in_place,
    "file for a folder": _file_for_folder,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_image_is_drawn_again_by_the_same_command_and_is_the_same(
    damage: Callable[[Path], object], tmp_path: Path, prepared: Prepared, caplog: pytest.LogCaptureFixture
) -> None:
    _, _, folder = prepared
    run(prepared, Painter())
    images = [folder.image_path(sample.image or "") for sample in folder.samples().values()]
    damage(images[0])
    lost = sum(not image.is_file() or image == images[0] for image in images)
    assert run(prepared, Painter()).drawn == lost
    assert caplog.messages == [
        f"{lost} of {N_SAMPLES} stored images are missing or damaged and are drawn again, such as"
        f" {min(image for image in images if image == images[0] or (lost > 1 and image.parent == images[0].parent))}"
    ]
    assert digests(folder) == whole(tmp_path, prepared)
    assert all(folder.image(sample.image or "") for sample in folder.samples().values())
    caplog.clear()
    assert run(prepared, Painter()).drawn == 0
    assert not caplog.messages


def test_a_lost_row_of_a_profile_is_made_again(prepared: Prepared, caplog: pytest.LogCaptureFixture) -> None:
    _, histories, folder = prepared
    run(prepared, Painter())
    path = folder.path / "profiles.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    result = run(prepared, method := Painter())
    assert (result.drawn, method.profiled) == (0, ["user-3"])
    assert set(folder.profiles()) == {history.digest for history in histories.values()}
    assert "is lost; it is made again" in caplog.text


def test_the_stored_profile_of_another_user_is_not_drawn_with(prepared: Prepared) -> None:
    class Naming(Painter):
        def profile(self, history: History) -> Profile:
            return replace(super().profile(history), payload={"name": history.user})

    _, histories, folder = prepared
    run(prepared, Naming())
    one, other = (folder.path / "profiles" / f"{histories[f'user-{i}'].digest}.pt" for i in range(2))
    one.write_bytes(other.read_bytes())
    (folder.path / "samples" / "0.jsonl").unlink()
    run(prepared, method := Naming())
    assert method.profiled == ["user-0"]


def test_a_deleted_image_is_drawn_again(tmp_path: Path, prepared: Prepared) -> None:
    _, _, folder = prepared
    run(prepared, Painter())
    sample = next(iter(folder.samples().values()))
    folder.image_path(sample.image or "").unlink()
    assert run(prepared, Painter()).drawn == 1
    assert digests(folder) == whole(tmp_path, prepared)
    assert folder.image(sample.image or "")
