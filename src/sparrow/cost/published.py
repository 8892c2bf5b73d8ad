"""Recompute the published cost of DeepSeek-V3 and R1 from their own figures."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from sparrow.config import Config, Yarn
from sparrow.cost import bill
from sparrow.language import _

__all__ = [
    "PRESS_OTHER_USD",
    "R1_ADDED_HOURS",
    "V3",
    "V3_SHAPE",
    "Figure",
    "Run",
    "recompute",
]


@dataclass(frozen=True, kw_only=True)
class Run:
    """A training run as its authors report it."""

    active_parameters: float
    total_parameters: float
    tokens: float
    stage_hours: Mapping[str, float]  # hours of one card, by stage
    cards: int
    price_per_hour_usd: float  # assumed by the authors

    @property
    def machine_hours(self) -> float:
        """The hours of all stages."""
        return sum(self.stage_hours.values())

    @property
    def money_usd(self) -> float:
        """The bill at the assumed rent."""
        return self.machine_hours * self.price_per_hour_usd


# arXiv:2412.19437, section 1 and table 1.
V3 = Run(
    active_parameters=37e9,
    total_parameters=671e9,
    tokens=14.8e12,
    stage_hours=MappingProxyType(
        {"pretraining": 2_664e3, "context extension": 119e3, "post-training": 5e3}
    ),
    cards=2048,
    price_per_hour_usd=2.0,
)
# arXiv:2412.19437, section 4.2; YaRN: section 4.3. A shape only: nobody builds it here.
V3_SHAPE = Config(
    vocab_size=129_280,
    hidden_size=7168,
    num_hidden_layers=61,
    num_attention_heads=128,
    intermediate_size=18_432,
    max_position_embeddings=163_840,
    q_lora_rank=1536,
    kv_lora_rank=512,
    qk_nope_head_dim=128,
    qk_rope_head_dim=64,
    v_head_dim=128,
    n_routed_experts=256,
    n_shared_experts=1,
    num_experts_per_tok=8,
    moe_intermediate_size=2048,
    first_k_dense_replace=3,
    n_group=8,
    topk_group=4,
    routed_scaling_factor=2.5,
    num_nextn_predict_layers=1,
    yarn=Yarn(factor=40.0, original_max_position_embeddings=4096),
)
# Reinforcement learning for R1-Zero, data generation, and training of R1:
# arXiv:2501.12948, appendix on training cost.
R1_ADDED_HOURS = 147e3
# A figure from the press. Nobody outside has audited it.
PRESS_OTHER_USD = 100e6
HOURS_PER_TRILLION_TOKENS = 180e3


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One published figure beside our own computation of it."""

    name: str
    formula: str  # without a dollar sign, which notebooks take for mathematics
    unit: str
    computed: float
    published: float | None  # None: derived here, printed nowhere
    source: str

    @property
    def agrees(self) -> bool | None:
        """Whether both agree to the precision of the published one (1 %)."""
        if self.published is None:
            return None
        return abs(self.computed - self.published) <= 0.01 * abs(self.published)


def recompute() -> list[Figure]:
    """Compute each published figure again; what is only derived here says so."""
    return [*_bills(), *_derived(), _press()]


def _bills() -> list[Figure]:
    """What the two papers print, or what follows in one step."""
    v3_source = _("arXiv:2412.19437, section 1, table 1")
    r1_source = _("arXiv:2501.12948, appendix on training cost")
    return [
        Figure(
            name=_("Pretraining of V3"),
            formula="14.8 × 180K",
            unit=_("thousand H800-hours"),
            computed=V3.tokens / 1e12 * HOURS_PER_TRILLION_TOKENS / 1e3,
            published=2664,
            source=v3_source,
        ),
        Figure(
            name=_("All stages of V3"),
            formula="2664K + 119K + 5K",
            unit=_("thousand H800-hours"),
            computed=V3.machine_hours / 1e3,
            published=2788,
            source=v3_source,
        ),
        Figure(
            name=_("Price of V3"),
            formula="2788K × 2",
            unit=_("million dollars"),
            computed=V3.money_usd / 1e6,
            published=5.576,
            source=v3_source,
        ),
        Figure(
            name=_("Price of the step from V3 to R1"),
            formula="147K × 2",
            unit=_("million dollars"),
            computed=R1_ADDED_HOURS * V3.price_per_hour_usd / 1e6,
            published=0.294,
            source=r1_source,
        ),
        Figure(
            name=_("What R1 added"),
            formula="147K / 2788K",
            unit="%",
            computed=100 * bill.share_frac(R1_ADDED_HOURS, V3.machine_hours),
            published=None,
            source=r1_source,
        ),
    ]


def _derived() -> list[Figure]:
    """What nobody printed, computed from what they did print."""
    pretraining_hours = V3.stage_hours["pretraining"]
    # The speed does not matter for the FLOPs: one FLOP a second will do.
    flops = bill.training_effort(V3.active_parameters, V3.tokens, 1.0).flops
    rate = bill.achieved_flops_per_s(flops, pretraining_hours)
    return [
        Figure(
            name=_("Work of V3's pretraining"),
            formula="6 × 37B × 14.8T",
            unit=_("10²⁴ FLOPs"),
            computed=flops / 1e24,
            published=None,
            source=_("derived here"),
        ),
        Figure(
            name=_("Speed of one card"),
            formula="FLOPs / 2664K / 3600",
            unit="TFLOP/s",
            computed=rate / 1e12,
            published=None,
            source=_("derived here"),
        ),
        Figure(
            name=_("Pretraining on 2048 cards"),
            formula="2664K / 2048 / 24",
            unit=_("days"),
            computed=bill.calendar_days(pretraining_hours, V3.cards),
            published=None,
            source=_("derived here"),
        ),
    ]


def _press() -> Figure:
    """The ratio that newspapers printed."""
    return Figure(
        name=_('The "1/18" of the press'),
        formula="100M / 5.576M",
        unit=_("times"),
        computed=bill.times_cheaper(PRESS_OTHER_USD, V3.money_usd),
        published=18,
        source=_("press figure, not audited"),
    )
