"""Generated blocks in a person's file: made anew, and not one word of the person lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drills.report.blocks import Block, BlockError, update, wrap

FACTS = Block("## Facts", "one fact")


def record(content: str = "one fact", before: str = "# Title\n\n## Facts\n\n", after: str = "\n\nmy words\n") -> str:
    """Return a file with one block."""
    return before + wrap("facts", content) + after


def test_a_block_is_made_anew_and_all_else_stays() -> None:
    """Every byte before and after the markers is as it was."""
    assert update(record("old"), {"facts": FACTS}) == record("one fact")


def test_an_update_with_the_same_content_changes_nothing() -> None:
    """The same content gives the same file."""
    assert update(record(), {"facts": FACTS}) == record()


@given(before=st.text(), after=st.text())
def test_no_word_of_a_person_is_lost(before: str, after: str) -> None:
    """Whatever stands around a block, in whatever line ends, is there afterwards."""
    text = record("old", before=f"{before}\n", after=f"\n{after}")
    made = update(text, {"facts": FACTS})
    assert made.startswith(f"{before}\n<!--")
    assert made.endswith(f"-->\n{after}")


def test_line_ends_of_another_system_survive() -> None:
    """A file with CRLF keeps it, inside of the block too, and is no edited one."""
    text = record("old\nand older").replace("\n", "\r\n")
    made = update(text, {"facts": FACTS})
    assert made == record("one fact").replace("\n", "\r\n")


def test_an_edited_block_is_never_overwritten() -> None:
    """Words between the markers are a person's: the update is refused, and says in which lines and what to do."""
    with pytest.raises(BlockError, match=r"Lines 6 to 6: the generated block facts was edited.*Move them"):
        update(record("old").replace("\nold\n", "\nold, which I doubt\n"), {"facts": FACTS})


@pytest.mark.parametrize(
    ("text", "recorded"),
    [
        (record().replace("<!-- meshdrill:end facts -->", ""), "Line 5: the block facts has no end marker"),
        (record().replace("<!-- meshdrill:begin facts", "<!-- meshdrill: facts"), "Line 5: unexpected marker"),
        (record() + record(), "Line 14: unexpected marker"),
        (record().replace("end facts", "end other"), "Line 7: unexpected marker"),
        (record().replace(" facts", " gone"), "Nothing generates the block gone"),
    ],
)
def test_broken_markers_are_told_by_their_line(text: str, recorded: str) -> None:
    """A missing, strange, repeated or crossed marker is refused: no guess where a block ends."""
    with pytest.raises(BlockError, match=recorded):
        update(text, {"facts": FACTS})


def test_a_missing_block_goes_below_its_heading() -> None:
    """A new kind of block finds its section; without the section both go to the end."""
    more = {"facts": FACTS, "more": Block("## Facts", "more"), "last": Block("## Last", "words")}
    made = update("# Title\n\n## Facts\n\nmine", more)
    assert made.index("## Facts") < made.index("one fact") < made.index("\nmore\n") < made.index("mine")
    assert made.index("mine\n\n## Last\n") < made.index("words")
    assert update(made, more) == made
