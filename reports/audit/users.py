"""The users, rows and seeds of a run: users of its split alone, each row a planned one, each seed once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from prefbench.api import SPLITS, Sample, agreeing, counted
from prefbench.check.findings import Row, fail, skip, warn

from .audited_run import AuditedRun

_LEARNED_FROM = ("train", "scorer")


def users(run: AuditedRun) -> str:
    """The run's users are of its split and of no other, and no id is listed twice."""
    split, suite = run.contents.split, run.suite
    if split in _LEARNED_FROM:
        fail(f"the run is of the split {split}, which is learned from")
    homes: dict[str, list[str]] = {}
    for name in SPLITS:
        for user in suite.users(name):
            homes.setdefault(user.id, []).append(name)
    twice = [{"user": user, "splits": splits} for user, splits in homes.items() if len(splits) > 1]
    if twice:
        fail(f"{counted(len(twice), 'id')} {agreeing(len(twice), 'is', 'are')} listed twice", twice)
    members = sorted({*run.description["kinds"], *(sample.user for sample in run.samples)})
    strays = [
        {"user": user, "split": home[0] if home else None}
        for user in members
        if (home := homes.get(user, [])) != [split]
    ]
    if strays:
        of_all = f"{len(strays)} of {counted(len(members), 'user')}"
        fail(f"{of_all} {agreeing(len(strays), 'is', 'are')} not of the split {split}", strays)
    if others := _other_kinds(run):
        of_all = f"{len(others)} of {counted(len(members), 'user')}"
        fail(f"{of_all} {agreeing(len(others), 'is', 'are')} of another kind in the suite", others)
    return f"{counted(len(members), 'user')} of {split}, none of another split, of the kinds that the suite says"


def _other_kinds(run: AuditedRun) -> list[Row]:
    """Users whose kind in the run is not that in the suite: rows of tables by kind would be of others."""
    stated = {user.id: user.kind for user in run.suite.users(run.contents.split)}
    kinds = run.description["kinds"].items()
    return [{"user": user, "kind": kind, "suite": stated[user]} for user, kind in kinds if kind != stated[user]]


def rows(run: AuditedRun) -> str:
    """Each row is the case it names, of the user it names, and one that the spec plans; each profile is its user's."""
    faulty: list[Row] = [
        {"key": sample.key, "user": sample.user, "case": sample.case, "fault": fault}
        for sample in run.samples
        if not _as_planned(run, sample)
        for fault in _faults(run, sample)
    ]
    places = Counter((sample.user, sample.case, sample.index) for sample in run.samples)
    faulty += [
        {"user": u, "case": c, "index": i, "fault": counted(n, "row")} for (u, c, i), n in places.items() if n > 1
    ]
    faulty += _foreign_profiles(run)
    if faulty:
        fail(f"{counted(len(faulty), 'fault')} in {counted(len(run.samples), 'row')}", faulty)
    undrawn = int(run.description["planned"]) - len(run.samples)
    failed = [{"key": s.key, "user": s.user, "error": s.error} for s in run.samples if s.status == "failed"]
    if undrawn > 0 or failed:
        warn(f"{counted(undrawn, 'row')} {agreeing(undrawn, 'is', 'are')} not drawn yet, {len(failed)} failed", failed)
    checked = "each as planned" if run.plan is not None else "planned under a control that is not registered"
    return f"{counted(len(run.samples), 'row')}, {checked}"


def seeds(run: AuditedRun) -> str:
    """Every sample has noise of its own."""
    counts = Counter(sample.seed for sample in run.samples)
    shared = [{"key": s.key, "user": s.user, "seed": s.seed} for s in run.samples if counts[s.seed] > 1]
    if shared:
        fail(f"{counted(len(shared), 'row')} {agreeing(len(shared), 'shares', 'share')} a seed with another", shared)
    if not counts:
        skip("nothing was drawn")
    return f"{counted(len(counts), 'seed')}, each once"


def _as_planned(run: AuditedRun, sample: Sample) -> bool:
    """Whether nothing can be at fault: most rows are told apart from the others in a fraction of the time."""
    planned = run.plan.get(sample.key) if run.plan is not None else None
    if planned is None:
        return False
    case, index, seed = planned.case, planned.index, planned.seed
    stated = (sample.case, sample.user, sample.prompt, sample.index, sample.seed)
    return (case.id, case.user, case.prompt, index, seed) == stated


def _faults(run: AuditedRun, sample: Sample) -> Iterator[str]:
    case, plan = run.cases.get(sample.case), run.plan
    if case is None:
        yield "no case of the split"
    elif case.user != sample.user:
        yield f"a case of {case.user}"
    elif case.prompt != sample.prompt:
        yield f"its case asks for {case.prompt!r}, the row for {sample.prompt!r}"
    if plan is None:
        return
    planned = plan.get(sample.key)
    if planned is None:
        yield "a key that the spec does not plan"
    elif (planned.case.id, planned.index) != (sample.case, sample.index):
        yield f"its key is planned for {planned.case.id}, sample {planned.index}"
    elif planned.seed != sample.seed:
        yield f"seed {sample.seed}, planned {planned.seed}"


def _foreign_profiles(run: AuditedRun) -> list[Row]:
    """Profiles that were made of another history than their user's."""
    if run.histories is None:
        return []
    own = {history.digest: user for user, history in run.histories.items()}
    return [
        {"user": row.user, "fault": f"a profile of {own.get(digest, 'another history')}"}
        for digest, row in run.folder.profiles().items()
        if own.get(digest) != row.user
    ]
