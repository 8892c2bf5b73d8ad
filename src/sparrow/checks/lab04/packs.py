"""Exercise 4.2: lay documents end to end, and predict nothing across them."""

from collections.abc import Callable

import torch
from torch import Tensor

from sparrow.checks.compare import compare_equal
from sparrow.checks.kinds import difference_in_kind
from sparrow.checks.protocol import Case, Check, Plain, Verdict, plain
from sparrow.data import packing
from sparrow.language import _

__all__ = ["CHECKS"]

TOKENS, TARGETS, PLACES = "the tokens", "the targets", "documents and positions"
PARTS = {TOKENS: ("tokens",), TARGETS: ("targets",), PLACES: ("document", "positions")}
END = 0
Fields = dict[str, Tensor]


def cases(generator: torch.Generator, hidden: bool) -> list[Case]:
    """Documents that are cut, that end with a row, that are empty; rows to fill."""
    given: dict[str, tuple[list[int], int]] = {
        "three documents": ([2, 1, 3], 4),
        "one long document": ([11], 4),
        "one document, no place left": ([3], 4),
        "a document that ends with its row": ([3, 5], 4),
        "an empty document": ([2, 0, 4], 5),
        "shorter than a row": ([1], 8),
    }
    if hidden:
        for name in ("drawn 1", "drawn 2", "drawn 3"):
            sizes = torch.randint(0, 12, (7,), generator=generator).tolist()
            given[name] = sizes, int(torch.randint(3, 9, (1,), generator=generator))
    found = []
    for name, (sizes, length) in given.items():
        documents: list[Plain] = [
            torch.randint(1, 50, (size,), generator=generator).tolist()
            for size in sizes
        ]
        inputs: dict[str, Plain] = {
            "documents": documents,
            "length": length,
            "end": END,
        }
        found += [Case(name, group, inputs) for group in PARTS]
    return found


def expected(case: Case) -> Plain:
    """What the library makes."""
    return plain(packing.pack(**case.inputs))  # type: ignore[arg-type]


def compare(case: Case, wanted: Plain, actual: Plain) -> Verdict:
    """The fields of this group; the others have a group too."""
    assert isinstance(wanted, dict)
    if not isinstance(actual, dict) or wanted.keys() - actual.keys():
        return Verdict(
            False,
            _("Return Packed(tokens, targets, positions, document), four tensors."),
        )
    names = PARTS[case.group]
    for name in names:
        if message := difference_in_kind(actual[name], wanted[name], name):
            return Verdict(False, message)
    mistakes = [
        (
            message,
            lambda wrong=wrong: {name: wrong(dict(wanted))[name] for name in names},
        )
        for message, wrong in changes(case)
    ]
    return compare_equal(
        {name: actual[name] for name in names},
        {name: wanted[name] for name in names},
        causes=mistakes,
    )


Change = tuple[str, Callable[[Fields], Fields]]


def changes(case: Case) -> list[Change]:
    """What each likely mistake makes of the right answer."""
    documents, length = case.inputs["documents"], case.inputs["length"]
    assert isinstance(documents, list)
    assert isinstance(length, int)
    return [*_wrong_targets(length), *_wrong_places(len(documents), length)]


def _flat(fields: Fields) -> Fields:
    return {name: each.flatten() for name, each in fields.items()}


def _wrong_targets(length: int) -> list[Change]:
    """Mistakes in what each place has to predict."""

    def next_of(line: Tensor) -> Tensor:
        return torch.cat([line[1:], torch.tensor([packing.IGNORED])])

    def with_targets(fields: Fields, targets: Tensor) -> Fields:
        return {**fields, "targets": targets.view(-1, length)}

    def across(fields: Fields) -> Fields:
        return with_targets(fields, next_of(_flat(fields)["tokens"]))

    def no_target_at_the_cut(fields: Fields) -> Fields:
        targets = fields["targets"].clone()
        targets[:, -1] = packing.IGNORED
        return {**fields, "targets": targets}

    def own_token(fields: Fields) -> Fields:
        line = _flat(fields)
        known = line["targets"] != packing.IGNORED
        return with_targets(fields, line["tokens"].where(known, packing.IGNORED))

    def wraps(fields: Fields) -> Fields:
        targets = _flat(fields)["targets"].clone()
        targets[-1] = fields["tokens"][0, 0]
        return with_targets(fields, targets)

    def end_not_predicted(fields: Fields) -> Fields:
        ends = fields["targets"] == END
        return {**fields, "targets": fields["targets"].masked_fill(ends, -100)}

    def zeros_for_nothing(fields: Fields) -> Fields:
        nothing = fields["targets"] == packing.IGNORED
        return {**fields, "targets": fields["targets"].masked_fill(nothing, END)}

    return [
        (_("A token predicts the first token of another document."), across),
        (
            _("The last token of a row has a target too: the next row begins with it."),
            no_target_at_the_cut,
        ),
        (_("Each token is its own target: take the one after it."), own_token),
        (_("The very last token predicts the first one: nothing follows it."), wraps),
        (
            _("The token that closes a document has to be predicted too."),
            end_not_predicted,
        ),
        (
            _("Where nothing is to be predicted, the target is IGNORED."),
            zeros_for_nothing,
        ),
    ]


def _wrong_places(documents: int, length: int) -> list[Change]:
    """Mistakes in numbers of documents, and in positions."""

    def places_in_row(fields: Fields) -> Fields:
        places = torch.arange(length).expand_as(fields["tokens"])
        return {**fields, "positions": places}

    def counts_on(fields: Fields) -> Fields:
        line = _flat(fields)["document"].view(1, -1)
        return {**fields, "positions": packing.places_since(line).view(-1, length)}

    def one_number_for_the_rest(fields: Fields) -> Fields:
        document = fields["document"].clamp(max=documents)
        return {
            **fields,
            "document": document,
            "positions": packing.places_since(document),
        }

    def counts_from_one(fields: Fields) -> Fields:
        return {**fields, "document": fields["document"] + 1}

    def end_is_a_document(fields: Fields) -> Fields:
        before = (fields["tokens"] == END).flatten().cumsum(0).view(-1, length)
        return {**fields, "document": before, "positions": packing.places_since(before)}

    return [
        (_("Positions begin at 0 again with each document."), places_in_row),
        (
            _("In a new row the position begins at 0, also where a document goes on."),
            counts_on,
        ),
        (
            _("The filling is one document: each empty one has a number of its own."),
            one_number_for_the_rest,
        ),
        (_("The first document has number 0."), counts_from_one),
        (_("The token that closes a document still belongs to it."), end_is_a_document),
    ]


CHECKS = {
    "4.2": Check(
        exercise="4.2",
        solution="sparrow.data.packing:pack",
        groups={TOKENS: 0.3, TARGETS: 0.4, PLACES: 0.3},
        cases=cases,
        expected=expected,
        compare=compare,
    )
}
