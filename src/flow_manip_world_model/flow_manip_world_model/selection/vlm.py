# SPDX-License-Identifier: Apache-2.0
"""Selection by a vision-language model, on top of geometry.

The model sees numbered pictures of what geometry let through (NovaFlow). It may veto and reorder
those, never bring one back. When it is silent or answers nonsense, geometry's order stands and
`Ranking.note` says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
import logging
from typing import Any, Protocol

import numpy as np

from flow_manip_core.chat import ChatConfig, ChatModel, NoAnswerError
from flow_manip_core.errors import BackendError, ConfigurationError, NoAcceptableFlowError
from flow_manip_core.flow import ObjectFlow
from flow_manip_core.observation import Mask, Observation
from flow_manip_core.robot import Context
from flow_manip_world_model.selection import Ranking
from flow_manip_world_model.selection.geometric import GeometricSelection
from flow_manip_world_model.selection.limits import GeometricConfig
from flow_manip_world_model.selection.opinion import (
    answer_schema,
    Opinion,
    question_of,
    read_opinions,
)
from flow_manip_world_model.selection.picture import candidates_picture
from flow_manip_world_model.selection.qwen import QwenConfig, QwenModel

MAX_SHOWN = 16  # tiles in one picture
SCORE_STEP = 0.05  # a model's scores are no finer; equals keep geometry's order

logger = logging.getLogger(__name__)


class Model(Protocol):
    """Somebody who answers questions about images; `ChatModel` and `QwenModel` do."""

    @property
    def name(self) -> str:
        """What it is called in notes."""

    def ask(self, question: str, images: Any, schema: Any, read: Any) -> Any:
        """Return what `read` makes of the answer; raises NoAnswerError."""


class VlmSelection:
    """Lets a vision-language model veto and reorder what geometry accepts."""

    @dataclass(frozen=True)
    class Config:
        """Whom to ask, and the geometry before it.

        Attributes:
            geometric: limits of the selection that comes first.
            chat: a model behind HTTP; used where its url is set.
            local: a Qwen-VL model in this process; used where its model is set.
            max_shown: at most so many candidates are shown, the best by geometry.
        """

        geometric: GeometricConfig = field(default_factory=GeometricConfig)
        chat: ChatConfig = field(default_factory=ChatConfig)
        local: QwenConfig = field(default_factory=QwenConfig)
        max_shown: int = field(default=8, metadata={'doc': 'Candidates that are shown'})

        def __post_init__(self) -> None:
            """Refuse nobody and two at once.

            Raises:
                ConfigurationError: with what is wrong.
            """
            if bool(self.chat.url) == bool(self.local.model):
                raise ConfigurationError('vlm: set either chat.url and chat.model, or local.model')
            if not 1 <= self.max_shown <= MAX_SHOWN:
                raise ConfigurationError(f'vlm: max_shown {self.max_shown}, 1..{MAX_SHOWN}')

    def __init__(self, config: Config, context: Context, model: Model | None = None) -> None:
        """Build geometry, and the model unless one is handed over."""
        self._config = config
        self._geometric = GeometricSelection(config.geometric, context)
        own: Model = ChatModel(config.chat) if config.chat.url else QwenModel(config.local)
        self._model = model or own

    def rank(
        self,
        observation: Observation,
        instruction: str,
        mask: Mask,
        candidates: Sequence[ObjectFlow],
    ) -> Ranking:
        """Rank the candidates; see `FlowSelector.rank`."""
        ranking = self._geometric.rank(observation, instruction, mask, candidates)
        shown = ranking.order[: self._config.max_shown]
        numbers = [i + 1 for i in shown]
        picture = candidates_picture(observation, mask, [candidates[i] for i in shown], numbers)
        try:
            opinions = self._model.ask(
                question_of(instruction, mask.label, len(shown)),
                [picture],
                answer_schema(numbers),
                lambda text: read_opinions(text, numbers),
            )
        except (NoAnswerError, BackendError) as error:
            note = f'{self._model.name} did not judge, the order is geometry alone: {error}'
            logger.warning(note)
            return Ranking(ranking.scores, ranking.vetoes, ranking.order, note)
        return weighed(ranking, {number - 1: said for number, said in opinions.items()})


def weighed(ranking: Ranking, opinions: dict[int, Opinion]) -> Ranking:
    """Weigh opinions into a ranking.

    Args:
        ranking: of geometry.
        opinions: by index of a candidate that geometry accepts.

    Returns:
        Candidates that pass all gates by the model's score, equals as geometry had them; then
        those that it was not shown. Their score is the mean of both (geometric).

    Raises:
        NoAcceptableFlowError: the model vetoed all that were left.
    """
    scores, vetoes = ranking.scores.copy(), list(ranking.vetoes)
    for i, said in opinions.items():
        vetoes[i] = said.veto
        scores[i] = 0.0 if said.failed else np.sqrt(scores[i] * said.score)
    left = [i for i in ranking.order if not vetoes[i]]
    if not left:
        reasons = '; '.join(f'{i + 1}: {veto}' for i, veto in enumerate(vetoes))
        raise NoAcceptableFlowError(f'all {len(vetoes)} candidates are vetoed: {reasons}')

    def key(i: int) -> tuple[bool, int]:
        said = opinions.get(i)
        return said is None, 0 if said is None else -round(said.score / SCORE_STEP)

    return Ranking(scores, tuple(vetoes), tuple(sorted(left, key=key)))
