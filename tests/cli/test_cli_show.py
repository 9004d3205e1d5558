import io
from pathlib import Path

import pytest
from rich.console import Console

from photodouble.cli.show import Drawing, Phase, draw
from photodouble.stages.events import Preview, Progress, Result, Started, Warned


class Clock:
    """Time that passes only when a test says so."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def timed(clock, events, seconds):
    for event in events:
        yield event
        clock.now += seconds


def played(events, seconds=1.0, terminal=False):
    """What is drawn of `events` that come `seconds` apart, and the result."""
    clock, out = Clock(), io.StringIO()
    console = Console(file=out, width=80, force_terminal=terminal, highlight=False, color_system=None)
    values = draw(timed(clock, events, seconds), console, clock)
    return out.getvalue(), values


def frames(stage, total, step=1, text=""):
    return [Progress(stage, done, total, "frames", text) for done in range(0, total + 1, step)]


def test_plain_lines_have_no_control_characters_and_come_every_ten_seconds():
    told, values = played(
        [Started("extract", {"frames": 100}), *frames("extract", 100), Result("extract", {"faces": 99})]
    )
    lines = told.splitlines()
    assert lines[0] == "extract: 100 frames"
    assert lines[-1] == "extract: 100/100 frames in 1 min 41 s"
    assert lines[1] == "extract: 9/100 frames, 1/s, 1 min 31 s left"
    assert 9 <= len(lines) - 2 <= 11
    assert "\x1b" not in told
    assert "\r" not in told
    assert values == {"faces": 99}


def test_the_stage_s_own_words_stay_until_it_says_new_ones():
    events = [Progress("train", 0, 60, "seconds", "held-out ssim 0.90"), Progress("train", 30, 60, "seconds")]
    told, _ = played(events, seconds=20)
    assert "train: 30 s of 1 min 00 s, 20 s left, held-out ssim 0.90" in told
    assert told.splitlines()[-1] == "train: 30 s of 1 min 00 s; held-out ssim 0.90"


def test_warnings_and_previews_are_told_once_and_in_full():
    message = "In frames 301 to 322 a hand covers the face. " * 4
    events = [Warned("extract", message), Preview("train", Path("p.jpg")), Preview("train", Path("p.jpg"))]
    told, _ = played(events)
    assert told.splitlines() == [f"warning: {message}", "train: picture to look at: p.jpg"]


def test_nested_stages_each_leave_one_line_and_the_last_result_counts():
    events = [
        Started("swap"), *frames("extract", 3), Result("extract", {"faces": 3}), *frames("convert", 2),
        Result("convert", {"frames": 2}), Result("swap", {"output": "o.mp4"}),
    ]  # fmt: skip
    told, values = played(events, seconds=0.1)
    assert [line.split(" in ")[0] for line in told.splitlines()] == [
        "swap: begins", "extract: 3/3 frames", "convert: 2/2 frames",
    ]  # fmt: skip
    assert values == {"output": "o.mp4"}


def test_an_unknown_total_shows_what_is_done():
    told, _ = played([Progress("fetch", 2_500_000, 0, "bytes")])
    assert told == "fetch: 2.5 MB in 1 s\n"


def test_a_failure_says_where_it_stopped_and_lets_the_stage_clean_up():
    cleaned = []

    def failing():
        try:
            yield from frames("convert", 4)[:3]
            raise OSError("no")
        finally:
            cleaned.append(True)

    out = io.StringIO()
    with pytest.raises(OSError, match="no"):
        draw(failing(), Console(file=out))
    assert out.getvalue() == "convert: stopped at 2/4 frames\n"
    assert cleaned


def test_an_interrupt_closes_the_stage_before_it_goes_on():
    cleaned = []

    def stage():
        try:
            yield from frames("train", 9)
        finally:
            cleaned.append(True)

    class Interrupting(io.StringIO):
        def write(self, text):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        draw((Started("x") if e.done == 5 else e for e in stage()), Console(file=Interrupting()))
    assert cleaned


def test_a_terminal_gets_a_live_line_and_its_cursor_back():
    told, _ = played(frames("extract", 100), seconds=0.3, terminal=True)
    assert "\x1b[?25l" in told  # the cursor is hidden while the bar lives
    assert told.rindex("\x1b[?25h") > told.rindex("\x1b[?25l")
    assert "extract: 100/100 frames in 30 s" in told


@pytest.mark.parametrize("unit", ["frames", "seconds", "bytes"])
def test_the_live_line_fits_80_columns(unit):
    clock, out = Clock(), io.StringIO()
    console = Console(file=out, width=80, force_terminal=True, color_system=None)
    drawing = Drawing(console, clock)
    for done in (1_000_000, 1_234_567):
        drawing.draw(Progress("extract", done, 9_876_543, unit, "held-out ssim 0.9 " * 20))
        clock.now += 7.0
    console.print(drawing)
    bar, words = out.getvalue().splitlines()
    assert max(len(bar), len(words)) <= 80
    assert bar.startswith("extract ━")
    assert bar.rstrip().endswith(" left")
    assert words.startswith("  held-out ssim 0.9")


def test_names_with_escape_codes_or_markup_are_shown_as_they_are():
    told, _ = played([Warned("extract", "[bold]clip\x1b[31m.mp4[/] is short")], terminal=True)
    assert "[bold]clip\ufffd[31m.mp4[/] is short" in told


def test_rate_counts_from_where_a_resumed_run_begins():
    phase = Phase(Progress("convert", 4000, 5000, "frames"), 0.0)
    phase.update(Progress("convert", 4100, 5000, "frames"), 10.0)
    assert phase.rate == pytest.approx(10)
    assert phase.remaining == pytest.approx(90)
    assert phase.left() == "1 min 30 s left"


def test_rate_follows_the_last_half_minute():
    phase = Phase(Progress("convert", 0, 10_000, "frames"), 0.0)
    for second in range(1, 101):
        phase.update(Progress("convert", 10 * min(second, 50) + 40 * max(second - 50, 0), 10_000, "frames"), second)
    assert phase.rate == pytest.approx(40)


def test_going_back_or_a_new_unit_begins_anew():
    phase = Phase(Progress("extract", 5, 9, "frames"), 0.0)
    assert phase.continues(Progress("extract", 6, 9, "frames"))
    assert not phase.continues(Progress("extract", 1, 9, "frames"))
    assert not phase.continues(Progress("extract", 6, 9, "faces"))
    assert not phase.continues(Progress("train", 6, 9, "frames"))
