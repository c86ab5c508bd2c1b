"""`viper-proxy`: the metric of ViPer: does a picture fit these likes and dislikes?"""

from __future__ import annotations

from typing import ClassVar

from prefbench.api import ScorerCard

from .asking import BASE, QUESTION, AskingScorer


class ViperProxy(AskingScorer):
    """ViPer's proxy metric (Salehi et al. 2024, arXiv 2407.17365): a LoRA on Idefics2-8b that reads no prompts.

    Args: see `AskingScorer`. The authors show eight pairs in one order.
    """

    card: ClassVar[ScorerCard] = ScorerCard(
        name="viper-proxy",
        version="1",
        summary="whether a picture goes with the likes or with the dislikes, by Idefics2-8b with ViPer's adapter",
        licence="sample-code-license (the adapter's repository), Apache-2.0 (its code, and Idefics2)",
        personal=True,
        encoders=("HuggingFaceM4/idefics2-8b",),
        trained_on=("pictures that ViPer drew for 12,000 simulated agents",),
        source="https://arxiv.org/abs/2407.17365",
        scale="how likely the picture was drawn for the agent of these likes and not for another one, of two answers",
        caveats=(
            "orders 55.15 % of pairs that single users judged as they did (learn-user-pref, table 1); its authors"
            " publish no accuracy",
            "its dislikes were other agents' pictures: it learned to tell users apart, not what one of them dislikes",
            "its likes were drawn by ViPer: it favours pictures that look like ViPer's",
            "Idefics2 is also the model of ViPer, of learn-user-pref and, it seems, of PrefGen: no independent judge of"
            " them",
            "the prompt is not read: a picture of something else can win",
            "asked as in training, with the answer next after `Assistant:`; the authors' script puts a space there"
            " first. Never compared with the authors' numbers",
        ),
    )

    def __init__(
        self,
        *,
        source: str = "EPFL-VILAB/Metric-ViPer",
        base: str = BASE,
        pairs: int = 8,
        orders: int = 4,
        seed: int = 0,
        batch: int = 1,
        device: str | None = None,
    ) -> None:
        super().__init__(source=source, base=base, pairs=pairs, orders=orders, seed=seed, batch=batch, device=device)

    def _question(self, prompt: str) -> str:
        del prompt
        return QUESTION
