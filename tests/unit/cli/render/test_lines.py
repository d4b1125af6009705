from __future__ import annotations

import errno
import io
import os
import subprocess
import sys
import textwrap
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from toolkit.cli.render.lines import LineWriter, Paint, Row, format_table, visible, visible_lines, wrap

PLAIN = Paint(has_colour=False)


@given(st.text(alphabet=st.characters(exclude_categories=())))
def test_visible_text_holds_nothing_that_a_terminal_obeys(text: str) -> None:
    shown = visible(text)
    assert not [c for c in shown if unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"}]
    assert visible(shown) == shown


def test_ordinary_text_stays_as_it_is() -> None:
    assert (
        visible("docker-hub/library/nginx:1.16 – für später 画像") == "docker-hub/library/nginx:1.16 – für später 画像"
    )


def test_escape_sequences_line_ends_and_reordering_marks_are_spelled_out() -> None:
    assert visible("a\x1b[2Jb\r\n\u202ec\ud800") == r"a\x1b[2Jb\r\n\u202ec\ud800"


def test_lines_of_a_text_are_kept_and_their_contents_made_visible() -> None:
    assert visible_lines("\none\r\n\ttwo\x07 \n\nthree\n") == ["one", r"    two\x07", "", "three"]


def test_wrapping_keeps_long_words_whole() -> None:
    name = "a" * 80
    assert wrap(f"see {name} there", width=40, indent="  ") == ["  see", f"  {name}", "  there"]


@given(st.lists(st.text(alphabet="abc-/", min_size=1, max_size=15), min_size=1), st.integers(40, 120))
def test_wrapped_lines_stay_within_the_width(words: list[str], width: int) -> None:
    lines = wrap(" ".join(words), width=width, indent="    ")
    assert max(map(len, lines)) <= width
    assert " ".join(lines).split() == words


def test_a_table_that_fits_is_aligned() -> None:
    rows = [Row(("copied", "a:1", "10 MB")), Row(("unchanged", "long/name:1", ""))]
    assert format_table(rows, width=60, paint=PLAIN) == [
        "  copied     a:1          10 MB",
        "  unchanged  long/name:1",
    ]


def test_a_table_too_wide_puts_the_facts_of_a_long_row_below_its_name() -> None:
    rows = [Row(("copied", "a:1", "10 MB", "4 s")), Row(("unchanged", "x" * 60, "", "0 s"))]
    assert format_table(rows, width=60, paint=PLAIN) == [
        "  copied     a:1  10 MB  4 s",
        "  unchanged  " + "x" * 60,
        "             0 s",
    ]


def test_a_table_of_nothing_is_nothing() -> None:
    assert format_table([], width=60, paint=PLAIN) == []


def test_colour_surrounds_the_first_cell_only_and_is_absent_unless_asked_for() -> None:
    rows = [Row(("+", "a:1"), style="green")]
    assert format_table(rows, width=60, paint=Paint(has_colour=True)) == ["  \x1b[32m+\x1b[0m  a:1"]
    assert format_table(rows, width=60, paint=PLAIN) == ["  +  a:1"]


def test_lines_are_dropped_once_the_reader_has_gone() -> None:
    read_end, write_end = os.pipe()
    stream = os.fdopen(write_end, "w")
    writer = LineWriter(stream)
    writer.write("one", "two")
    assert os.read(read_end, 100) == b"one\ntwo\n"
    os.close(read_end)
    writer.write("three")
    writer.write("four")
    stream.close()  # what was buffered must not fail now


def test_a_full_disk_stops_nothing_and_is_told_of() -> None:
    with open("/dev/full", "w") as stream:  # noqa: PTH123 - a device
        writer = LineWriter(stream)
        writer.write("one")
        writer.write("two")
    assert writer.failure
    assert writer.failure.errno == errno.ENOSPC


def test_a_reader_that_left_is_no_failure() -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    with os.fdopen(write_end, "w") as stream:
        writer = LineWriter(stream)
        writer.write("one")
    assert writer.failure is None


def test_a_closed_stream_is_left_alone() -> None:
    stream = io.StringIO()
    stream.close()
    LineWriter(stream).write("one")


def test_a_program_whose_reader_left_ends_with_its_own_exit_code() -> None:
    program = textwrap.dedent(
        """
        import sys
        from toolkit.cli.render.lines import LineWriter
        writer = LineWriter(sys.stdout)
        sys.stdin.read()
        for number in range(3):
            writer.write(str(number))
        sys.exit(7)
        """
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdin and process.stdout and process.stderr
    process.stdout.close()
    process.stdin.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait() == 7
