"""What is done to a model, as one record that checks itself."""

from dataclasses import dataclass

from sparrow.errors import QuantizationError
from sparrow.language import _

__all__ = ["SCHEMES", "Scheme", "find"]

BITS = (4, 8)
METHODS = ("nearest", "gptq", "awq")
ACTIVATIONS = ("float", "int8")
FORMATS = ("integer", "fp8")


@dataclass(frozen=True, kw_only=True)
class Scheme:
    """How the matrices of a model are kept, and how their codes are found.

    The head, and an embedding, are more sensitive and are read more often than any
    other matrix: in four bits they would be the worst part of the model, so they are
    kept in int8, one scale a row. With FP8 they stay as they are, as in DeepSeek-V3.

    Args:
        bits: of a code: 4 or 8.
        group_size: weights in a row that share a scale; None: the whole row.
        symmetric: whether the grid is the same on both sides of zero.
        method: how codes are found: nearest, gptq or awq.
        activations: float, or int8: rounded too, each token with its own scale.
        beam: ways to round a row that gptq keeps side by side; 1: GPTQ as published.
        format: integer, or fp8: E4M3 in tiles; then nothing else has a meaning.

    Raises:
        QuantizationError: the parts do not go together.
    """

    bits: int = 8
    group_size: int | None = None
    symmetric: bool = True
    method: str = "nearest"
    beam: int = 1
    activations: str = "float"
    format: str = "integer"

    def __post_init__(self) -> None:
        for name, got, known in (
            ("bits", self.bits, BITS),
            ("method", self.method, METHODS),
            ("activations", self.activations, ACTIVATIONS),
            ("format", self.format, FORMATS),
        ):
            if got not in known:
                raise QuantizationError(
                    _(
                        "{name} must be one of {known}; got {got}.",
                        name=name,
                        known=", ".join(map(str, known)),
                        got=got,
                    )
                )
        if self.group_size is not None and (self.group_size < 2 or self.group_size % 2):
            raise QuantizationError(
                _(
                    "a group must have an even number of weights, at least 2; got "
                    "{got}.",
                    got=self.group_size,
                )
            )
        if self.beam < 1:
            raise QuantizationError(
                _(
                    "a beam keeps at least 1 way to round a row; got {got}.",
                    got=self.beam,
                )
            )
        if self.beam > 1 and self.method != "gptq":
            raise QuantizationError(
                _(
                    "only gptq keeps several ways to round a row; with {method} the "
                    "beam must be 1, got {got}.",
                    method=self.method,
                    got=self.beam,
                )
            )
        is_plain = self.bits == 8 and self.group_size is None and self.symmetric
        if self.activations == "int8" and not is_plain:
            raise QuantizationError(
                _(
                    "activations in int8 need weights in int8, symmetric, with one "
                    "scale a row."
                )
            )
        if self.format == "fp8" and (self.method, self.activations) != (
            "nearest",
            "float",
        ):
            raise QuantizationError(
                _("fp8 rounds to the nearest number, weights and activations alike.")
            )

    @property
    def needs_calibration(self) -> bool:
        """Whether it looks at what flows through the model."""
        return self.method != "nearest"


SCHEMES = {
    "int8": Scheme(),
    "int8-dynamic": Scheme(activations="int8"),
    "int4": Scheme(bits=4, group_size=32, symmetric=False),
    "gptq-int4": Scheme(bits=4, group_size=32, symmetric=False, method="gptq"),
    "awq-int4": Scheme(bits=4, group_size=32, symmetric=False, method="awq"),
    "fp8-block": Scheme(format="fp8"),
}


def find(scheme: str | Scheme) -> Scheme:
    """The scheme of a name.

    Raises:
        QuantizationError: there is none of that name.
    """
    if isinstance(scheme, Scheme):
        return scheme
    if scheme not in SCHEMES:
        raise QuantizationError(
            _(
                'there is no scheme "{name}"; choose one of: {known}.',
                name=scheme,
                known=", ".join(SCHEMES),
            )
        )
    return SCHEMES[scheme]
