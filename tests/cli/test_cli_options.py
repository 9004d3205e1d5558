from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from photodouble.cli.options import beside, repeat_option

VALUED = {"--to", "--output", "-o", "--model"}


def expand(line):
    return repeat_option(line.split(), "--to", VALUED)


def test_to_takes_every_file_up_to_the_next_option():
    assert expand("p.mp4 --to a.png b.png c.png --output o.mp4") == (
        ["p.mp4", "--to", "a.png", "--to", "b.png", "--to", "c.png", "--output", "o.mp4"]
    )
    assert expand("p.mp4 --output o.mp4 --to=a b --json") == [
        "p.mp4",
        "--output",
        "o.mp4",
        "--to=a",
        "--to",
        "b",
        "--json",
    ]


def test_before_the_plate_only_one_file_belongs_to_it():
    assert expand("--to a.png p.mp4 --output o.mp4") == ["--to", "a.png", "p.mp4", "--output", "o.mp4"]
    assert expand("--output o.mp4 --to a.png p.mp4") == ["--output", "o.mp4", "--to", "a.png", "p.mp4"]


def test_repeated_options_and_values_of_others_stay():
    for line in ("p --to a --to b -o c", "p --model mesh --to a -o o", "p --to a -- b", "p --to"):
        assert expand(line) == line.split()


@given(st.lists(st.sampled_from(["--to", "--output", "-o", "--json", "--to=x", "p", "q", "--", "-"])))
def test_no_word_is_lost_or_moved(words):
    result = repeat_option(words, "--to", VALUED)
    kept = iter(result)
    assert all(word in kept for word in words)
    assert len(result) - len(words) == result.count("--to") - words.count("--to")


def test_a_swap_into_numbered_pictures_keeps_its_project_beside_their_folder() -> None:
    assert beside(Path("a/comp/shot.####.exr")) == beside(Path("a/comp")) == Path("a/comp.photodouble")
    assert beside(Path("a/shot.mov")) == Path("a/shot.photodouble")
