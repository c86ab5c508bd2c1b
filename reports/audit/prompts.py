"""Whether what was asked for had been seen: the same prompts, or the same words in another order."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from prefbench.api import agreeing, count_drawn, counted
from prefbench.api.runs import is_given
from prefbench.check.findings import Row, fail, skip, warn

from .audited_run import AuditedRun
from .contents import plain

_NEAR = 0.8
"""Jaccard similarity of two prompts' content words from which they count as near."""
_FUNCTION_WORDS = frozenset(("a", "an", "the", "and", "or", "of", "in", "on", "at", "by", "to", "for", "from", "with"))
"""Left out before prompts are compared: between short prompts of one template they would be most of what is shared."""


def targets(run: AuditedRun) -> str:
    """Nobody is asked for a prompt that they judged, and no sample's target is a picture that they were shown."""
    own = run.contents.own_prompts
    requests = [(case.user, case.id, case.prompt) for case in run.cases.values()]
    requests += [(sample.user, sample.case, sample.prompt) for sample in run.samples]
    rows = [
        {"user": user, "case": case, "prompt": prompt}
        for user, case, prompt in dict.fromkeys(requests)
        if plain(prompt) in own.get(user, ())
    ]
    if rows:
        asking = f"{counted(len(rows), 'case')} {agreeing(len(rows), 'asks', 'ask')}"
        fail(f"{asking} for a prompt that {agreeing(len(rows), 'its', 'their')} user judged", rows)
    return f"{counted(len(run.cases), 'case')}, none of a prompt that its user judged"


def exact(run: AuditedRun) -> str:
    """No prompt of the run stands in a history or a training caption."""
    prompts, sources = _asked(run), run.contents.prompts
    rows = [
        {"prompt": prompt, **row, "found": sources[key]} for key, (prompt, row) in prompts.items() if key in sources
    ]
    if rows:
        fail(f"{len(rows)} of {counted(len(prompts), 'prompt')} {agreeing(len(rows), 'was', 'were')} seen", rows)
    return f"{counted(len(prompts), 'prompt')}, none among {len(sources)} of histories and training captions"


def near(run: AuditedRun) -> str:
    """Prompts that share their content words with a seen one, in whatever order."""
    prompts, sources = _asked(run), run.contents.prompts
    if not sources:
        skip("the suite has no histories and names no training captions")
    alike = alike_prompts([key for key in prompts if key not in sources], sources)
    rows = [
        {
            "prompt": prompts[key][0],
            **prompts[key][1],
            "found": sources[other],
            "near": other,
            "jaccard": round(value, 3),
        }
        for key, (other, value) in alike.items()
    ]
    if rows:
        of_all = f"{len(rows)} of {counted(len(prompts), 'prompt')} {agreeing(len(rows), 'has', 'have')}"
        warn(f"{of_all} content words in common with a seen one (Jaccard ≥ {_NEAR:g})", rows)
    return f"no two of {len(prompts)} × {len(sources)} prompts with a Jaccard similarity of content words ≥ {_NEAR:g}"


def read(run: AuditedRun) -> str:
    """The texts that were drawn from were read whole."""
    counts = count_drawn(run.samples)
    if is_given(run.spec):
        skip("the images were given: what drew them read the prompts elsewhere")
    if not counts.texts:
        skip("the rows do not count the tokens that were read: an older run, or a backbone that reads none")
    rows = [
        {"key": s.key, "user": s.user, "unread": s.prompt_used_cut, "of other texts": s.other_cut}
        for s in run.samples
        if s.prompt_used_cut or s.other_cut
    ]
    if rows:
        warn("; ".join(counts.texts), rows)
    return "; ".join(counts.texts)


def alike_prompts(prompts: Iterable[str], sources: Iterable[str]) -> Mapping[str, tuple[str, float]]:
    """Each of `prompts` near to one of `sources`, to the nearest and the Jaccard similarity of their content words."""
    words_of = {prompt: content_words(prompt) for prompt in sources}
    holding: dict[str, list[str]] = defaultdict(list)
    for prompt, words in words_of.items():
        for word in words:
            holding[word].append(prompt)
    nearest = {}
    for prompt in prompts:
        own = content_words(prompt)
        shared = Counter(other for word in own for other in holding.get(word, ()))
        similar = {other: n / (len(own) + len(words_of[other]) - n) for other, n in shared.items()}
        best = max(similar, key=lambda other: (similar[other], other), default=None)
        if best is not None and similar[best] >= _NEAR:
            nearest[prompt] = (best, similar[best])
    return nearest


def content_words(prompt: str) -> frozenset[str]:
    """The different words of a prompt without articles and prepositions; all of them where no other is left."""
    words = frozenset("".join(c if c.isalnum() else " " for c in plain(prompt)).split())
    return words - _FUNCTION_WORDS or words


def _asked(run: AuditedRun) -> dict[str, tuple[str, Row]]:
    """Each prompt that the run was asked for, as `plain` writes it, with the first sample of it."""
    prompts: dict[str, tuple[str, Row]] = {}
    for sample in run.samples:
        prompts.setdefault(plain(sample.prompt), (sample.prompt, {"key": sample.key, "user": sample.user}))
    return prompts
