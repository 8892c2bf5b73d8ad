"""A list of learners: any script, and one sentence for each line that is wrong."""

import pytest

from workshop.classroom.account_names import account_for
from workshop.classroom.roster import Person, RosterError, read


@pytest.fixture
def listed(tmp_path):
    def write(text, **given):
        path = tmp_path / "learners.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read(path, given.get("taken", ()), given.get("known", ()))

    return write


def problems(caught) -> list[str]:
    return str(caught.value).split("\n")


@pytest.mark.parametrize(
    ("name", "email", "account"),
    [
        ("Aïcha N'Diaye", "", "aicha-ndiaye"),
        ("Jean-Luc  Müller", "", "jean-luc-muller"),
        ("Søren Łukasz Æble", "", "soren-lukasz-aeble"),
        ("Ng'ang'a Wanjirũ", "", "nganga-wanjiru"),
        ("Nguyễn Thị Ánh", "", "nguyen-thi-anh"),
        ("محمد العربي", "mohamed.elarabi@example.org", "mohamed-elarabi"),
        ("王小明", "wang@example.org", "wang"),
        ("محمد", "", ""),
        ("王 Ming", "", ""),  # half a name is nobody's account
        ("4th Learner", "", ""),
        ("A" * 60, "", "a" * 31),
    ],
)
def test_an_account_is_made_from_a_name_in_any_script(name, email, account):
    assert account_for(name, email) == account


def test_names_keep_their_script_and_apostrophes(listed):
    found = listed(
        "name,email,language\n"
        "محمد العربي,mohamed@example.org,ar\n"
        '"N\'Diaye, Aïcha",,fr\n'
    )
    assert found.people == [
        Person(
            account="mohamed",
            name="محمد العربي",
            email="mohamed@example.org",
            language="ar",
        ),
        Person(account="ndiaye-aicha", name="N'Diaye, Aïcha", language="fr"),
    ]


def test_a_spreadsheets_semicolons_mark_and_spaces_are_read(listed):
    text = "\ufeffName; Email\r\n  Ana   Silva ; ana@example.org\r\n"
    (person,) = listed(text).people
    assert person == Person(
        account="ana-silva", name="Ana Silva", email="ana@example.org"
    )


def test_two_ways_to_write_one_letter_are_one_name(listed):
    with pytest.raises(RosterError, match="Zoë Diop stands in line 2 already"):
        listed("name\nZoe\u0308 Diop\nZo\u00eb Diop\n")


def test_empty_lines_are_reported_and_passed_over(listed):
    found = listed("name\n\nAna\n , \nBeth\n\n".replace(" , ", "  "))
    assert [each.name for each in found.people] == ["Ana", "Beth"]
    assert found.empty_lines == [2, 4, 6]


def test_every_wrong_line_is_named_at_once(listed):
    with pytest.raises(RosterError) as caught:
        listed(
            "name,account,language\n"
            "Ana Silva,,\n"
            "Ana Silva,,\n"
            "Ana Sílva,,\n"
            "Root,root,\n"
            ",x,\n"
            "王小明,,\n"
            "Beth,Beth!,\n"
            "Carl,,french\n"
            "A\x07da,,\n",
            taken={"root"},
        )
    said = problems(caught)
    assert [each.partition(":")[0] for each in said[:-1]] == [
        f"Line {n}" for n in range(3, 11)
    ]
    for words, sentence in zip(
        (
            "stands in line 2 already",
            "would get the account ana-silva, as Ana Silva in line 2",
            "root is somebody else's account",
            "the name is missing",
            "no account can be made from the name 王小明",
            '"Beth!" cannot be an account',
            '"french" is no language',
            "the name holds '\\x07'",
        ),
        said,
        strict=False,
    ):
        assert words in sentence
    assert said[-1].startswith("Nothing was changed: mend")


def test_a_clash_ends_with_accounts_of_their_own(listed):
    found = listed("name,account\nAna Silva,ana1\nAna Silva,ana2\n")
    assert [each.account for each in found.people] == ["ana1", "ana2"]


def test_who_is_enrolled_keeps_the_account(listed):
    known = [Person(account="mo", name="Mohamed Ali")]
    (person,) = listed("name\nMohamed Ali\n", known=known).people
    assert person.account == "mo"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is empty: its first line names the columns"),
        ("name\n\n", "names nobody"),
        ("email\na@b\n", "has no column called name"),
        ("name,mail\nA,b\n", 'a column "mail" (did you mean email?)'),
        ("name,name\nA,b\n", "may stand there once"),
        ("name\nSilva, Ana\n", "Line 2: 2 cells for 1 columns; put quotes"),
        ('name\n"Ana\n', "Line 2: unexpected end of data."),
        ("name\nAna Gonçalves\n".encode("latin-1"), "is not written in UTF-8"),
    ],
)
def test_a_list_that_is_none_says_why(listed, text, sentence):
    with pytest.raises(RosterError) as caught:
        listed(text)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_list_that_is_not_there_says_so(tmp_path):
    with pytest.raises(RosterError, match="cannot be read .No such file"):
        read(tmp_path / "none.csv", ())
