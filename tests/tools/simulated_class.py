"""A class of thirty in a lab: names in many scripts, and mistakes that checks know.

Everybody works at a pace of their own: a time for each exercise, drawn around the one
that is planned, and checks on the way that do not pass. Some have not agreed to be
shown, one has gone home, and one sits in front of an exercise for very long.
"""

import random
from pathlib import Path

from sparrow.lab.board import key_of
from workshop.board.events import Event, Known
from workshop.board.store import Store
from workshop.classroom.roster import Person

LAB = "02_latent_attention"
NAMES = """Amina Ben Salah|عمر بن علي|Aïcha N'Diaye|Chukwuemeka Obi|Wanjiru Kamau|
李晓明|José Álvarez|Fatou Sow|Thabo Mokoena|ሰላም ተስፋዬ|Ana Beatriz Oliveira|Yusuf Abdi|
ليلى الحداد|Kwame Mensah|Zoë van der Merwe|Neema Mushi|Ravi Subramaniam|
Siobhán O'Brien|Ngozi Adeyemi-Okonkwo|Juma Hassan|Đặng Thị Hương|Ibrahim Traoré|
Grace Achieng|Mohamed El-Sayed|Lindiwe Dlamini|Pedro Nunes|Halima Juma|
Tendai Chikwanda|Sara Lemma|<b>Bobby</b> Tables""".replace("\n", "").split("|")
PEOPLE = [
    Person(account=f"learner-{number:02d}", name=name)
    for number, name in enumerate(NAMES, 1)
]
MISTAKES = {
    "2.1": ["There is no guess yet: put a number in place of None."],
    "2.2": [
        "Not written yet: write the steps, then delete the line with raise.",
        "{name} has shape {got} where {want} is needed.",
        "{name} has type {got} where {want} is needed.",
    ],
    "2.3": [
        "{name} is None: is a return missing?",
        "Axes {first} and {second} are swapped.",
    ],
    "2.4": [
        "These are halves, Llama's layout: DeepSeek pairs neighbours, (0, 1).",
        "The turn goes the wrong way: look at the sign of the sine.",
        "The second feature is computed from the new first one: keep the old.",
    ],
    "2.5": ["It is not the right value."],
    "2.6": ["Your code stopped in line {line}, `{source}`: {error}."],
    "2.7": ["It is too large."],
}
SHY, GONE, STUCK = {3, 11, 19, 26}, 8, 14


def fill(path: Path, now: float, seed: int = 7, begun_min: float = 57) -> Store:
    """A board as it stands `begun_min` minutes after the class has begun."""
    store, draw, known = Store(path), random.Random(seed), Known()
    told: list[tuple[float, str, Event]] = []
    for number, person in enumerate(PEOPLE):
        if number not in SHY:
            until = 20.0 if number == GONE else begun_min
            pace = draw.lognormvariate(0.1, 0.3)
            for minute, event in _learner(draw, known, pace, number == STUCK):
                if minute <= until:
                    at = now - 60 * (begun_min - minute)
                    told.append((at, person.account, event))
    for at, account, event in sorted(told, key=lambda each: each[0]):
        store.note(account, event, at)
    return store


def _learner(
    draw: random.Random, known: Known, pace: float, is_stuck: bool
) -> list[tuple[float, Event]]:
    """What one learner's checks say, minute by minute."""
    minute, said = draw.uniform(3, 12), []
    for exercise, planned in known.minutes[LAB].items():
        takes = planned * pace * draw.lognormvariate(0, 0.45)
        wrong = draw.choices([0, 1, 2, 3, 5], [3, 3, 2, 1, 1])[0]
        if is_stuck and exercise == "2.3":
            takes, wrong = 999.0, 300
        step = 4.0 if wrong == 300 else takes / (wrong + 1)
        for number in range(wrong):
            names = MISTAKES[exercise]
            cause = names[min(int(draw.expovariate(1.2)), len(names) - 1)]
            at = minute + step * (number + 0.4)
            said.append((at, Event(LAB, exercise, False, key_of(cause))))
        minute += takes
        said.append((minute, Event(LAB, exercise, True)))
    return said
