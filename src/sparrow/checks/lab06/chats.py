"""Exercise 6.2: a conversation as one text, mark by mark."""

from collections.abc import Callable, Mapping, Sequence

import torch

from sparrow.checks.compare import Causes, compare_equal
from sparrow.checks.protocol import Case, Check, Plain, Verdict
from sparrow.language import _
from sparrow.text import chat

__all__ = ["CHECKS"]

TURNS, ASKING = "turns", "asking for an answer"
ROLES = ("system", "user", "assistant")
WORDS = ("numbers 3 7 target 21", "<think>3*7=21</think>", "麻雀", " two  spaces ", "")


def cases(generator: torch.Generator, hidden: bool) -> list[Case]:
    """Short and long conversations, each told and each asked in both ways."""
    asked = [("user", WORDS[0])]
    answered = [*asked, ("assistant", WORDS[1])]
    given = {
        "one question": asked,
        "a question and its answer": answered,
        "with a word from the system": [("system", "Be brief."), *answered],
        "two rounds": [*answered, ("user", WORDS[3]), ("assistant", WORDS[2])],
        "an empty answer": [*asked, ("assistant", "")],
    }
    if hidden:
        for name in ("drawn 1", "drawn 2", "drawn 3"):
            draw = torch.randint(0, 15, (5,), generator=generator).tolist()
            given[name] = [(ROLES[each % 3], WORDS[each // 3]) for each in draw]
    found = []
    for name, turns in given.items():
        messages: list[Plain] = [
            {"role": role, "content": content} for role, content in turns
        ]
        found.append(
            Case(
                name,
                TURNS,
                {"messages": messages, "ask": False, "open_thought": False},
            )
        )
        for ask, open_thought in ((True, False), (True, True), (False, True)):
            inputs: dict[str, Plain] = {
                "messages": messages,
                "ask": ask,
                "open_thought": open_thought,
            }
            found.append(Case(name, ASKING, inputs))
    return found


def expected(case: Case) -> Plain:
    """What the library writes."""
    return chat.write_chat(**case.inputs)  # type: ignore[arg-type]


def compare(case: Case, wanted: Plain, actual: Plain) -> Verdict:
    """Letter by letter the same."""
    return compare_equal(actual, wanted, causes=causes(), inputs=case.inputs)


Messages = Sequence[Mapping[str, str]]


def written(
    *,
    mark: Callable[[str], str] = lambda role: (
        chat.ASSISTANT if role == "assistant" else chat.USER
    ),
    said: Callable[[str], str] = lambda content: content,
    close: str = chat.END,
    between: str = "",
    asking: Callable[[bool, bool], str] = lambda ask, thinks: (
        (chat.ASSISTANT + ("<think>" if thinks else "")) if ask else ""
    ),
) -> Callable[[Messages, bool, bool], str]:
    """A way to write conversations; what is not named is done right."""

    def wrong(messages: Messages, ask: bool, open_thought: bool) -> str:
        turns = [
            mark(each["role"]) + said(each["content"]) + close for each in messages
        ]
        return between.join(turns) + asking(ask, open_thought)

    return wrong


def causes() -> Causes:
    """What each likely mistake writes."""
    mark, end, think = chat.ASSISTANT, chat.END, "<think>"

    def end_once(messages: Messages, ask: bool, open_thought: bool) -> str:
        turns = written(close="", asking=lambda *_flags: "")(messages, False, False)
        return turns + end + (mark + think * open_thought if ask else "")

    return [
        (_("The end token is missing: it closes every turn."), written(close="")),
        (_("Every turn has its own end token, not only the last one."), end_once),
        (
            _("The end token is only behind the assistant: it closes every turn."),
            lambda messages, ask, open_thought: written(
                mark=lambda role: mark if role == "assistant" else chat.USER,
                close="",
                said=lambda content: content,
            )(
                [
                    {**each, "content": each["content"] + end}
                    if each["role"] == "assistant"
                    else each
                    for each in messages
                ],
                ask,
                open_thought,
            ),
        ),
        (_("Nothing says who speaks."), written(mark=lambda _role: "")),
        (
            _("The two marks are swapped."),
            written(mark=lambda role: chat.USER if role == "assistant" else mark),
        ),
        (
            _("Who is not the user is not always the assistant: look at system."),
            written(mark=lambda role: chat.USER if role == "user" else mark),
        ),
        (
            _("There is no mark for a role of its own: only the user's and ours."),
            written(mark=lambda role: f"<|{role}|>"),
        ),
        (_("Nothing stands between two turns."), written(between="\n")),
        (_("Nothing stands between two turns."), written(close=end + "\n")),
        (
            _("Spaces belong to what was said: keep them."),
            written(said=lambda content: content.strip()),
        ),
        (
            _("To ask, let the assistant begin: its mark stands at the end."),
            written(asking=lambda _ask, _thinks: ""),
        ),
        (
            _("The assistant begins even where nobody asks."),
            written(asking=lambda _ask, thinks: mark + think * thinks),
        ),
        (
            _("Asked and told to think, it must begin with <think>."),
            written(asking=lambda ask, _thinks: mark * ask),
        ),
        (
            _("It thinks where nobody asks: open_thought counts only with ask."),
            written(asking=lambda ask, thinks: mark * ask + think * thinks),
        ),
        (
            _("It thinks unasked: <think> comes only with open_thought."),
            written(asking=lambda ask, _thinks: (mark + think) * ask),
        ),
        (
            _("The answer is not written yet: no end token after the mark."),
            written(asking=lambda ask, thinks: (mark + think * thinks + end) * ask),
        ),
    ]


CHECKS = {
    "6.2": Check(
        exercise="6.2",
        solution="sparrow.text.chat:write_chat",
        groups={TURNS: 0.5, ASKING: 0.5},
        cases=cases,
        expected=expected,
        compare=compare,
    )
}
