"""prefbench from Python, as in a notebook: each `# %%` starts a cell. Run it whole with `python examples/notebook.py`;
`prefbench check method examples/notebook.py:LikedWords` only imports it, and draws nothing of it.

Draws for three simulated users with the miniature backbone: less than a minute on a laptop's CPU.
"""

# %% A method of one's own, written where it is tried out
from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial

import prefbench
from prefbench.api import Drawing, History, Judgment, Method, MethodCard, Profile, Request


class LikedWords(Method):
    """Adds to each prompt the words that stand in the prompts of liked pictures more often than of disliked ones.

    Args:
        words: how many are added at most.
    """

    card = MethodCard(
        name="liked-words",
        version="1",
        summary="the prompt with the words of liked prompts",
        uses_prompts=True,
    )

    def __init__(self, *, words: int = 2) -> None:
        self.words = words  # under its own name, so that a run can tell two instances apart

    def profile(self, history: History) -> Profile:
        """The words, most frequent first."""
        liked, disliked = (_count(judgments) for judgments in (history.liked, history.disliked))
        return Profile(history.user, [word for word, _ in (liked - disliked).most_common(self.words)])

    def generate(self, requests: Sequence[Request]) -> Sequence[Drawing]:
        """One drawing per request, from the request's own seed."""
        backbone = self.context.backbone
        prompts = [", ".join([request.prompt, *request.profile.payload]) for request in requests]
        images = backbone.generate(prompts, [request.seed for request in requests])
        return [Drawing(image, prompt, backbone.nfe) for image, prompt in zip(images, prompts, strict=True)]


def _count(judgments: Sequence[Judgment]) -> Counter[str]:
    """Words of more than three letters, once per picture."""
    return Counter(word for judgment in judgments for word in set(judgment.prompt.split()) if len(word) > 3)


# %% What a notebook does with it
if __name__ == "__main__":
    # Draw and score, once with the instance and once with a method by its name
    run = partial(prefbench.run, users=3, metrics=["utility", "prompt-fidelity"], out="runs/notebook")
    mine = run(LikedWords(words=2))
    plain = run("prompt-only")

    # One row per sample, with its value of every per-image metric
    samples = mine.samples()
    print(samples[["user", "prompt", "prompt_used", "utility", "prompt-fidelity"]].head().to_string())

    # One row per metric and kind of user
    summary = mine.summary()
    whole = summary.query("kind == 'all'")
    print(whole[["metric", "value", "low", "high", "n_users", "n_samples", "missing"]].to_string())

    # Is it better than the prompt alone? One row per metric, paired on the same starting noise
    contrasts = prefbench.compare([mine, plain], baseline="prompt-only").to_frame()
    print(contrasts[["metric", "method", "baseline", "difference", "low", "high", "p_holm"]].to_string())

    # Tables, figures and galleries as a page; a run that was drawn before is loaded by its folder
    page = prefbench.report([prefbench.load(mine.path), plain]).write("runs/notebook/report")[0]
    print(page)
