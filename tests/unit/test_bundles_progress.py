import pytest
from miradouro.bundles.progress import LogProgress, TerminalProgress, default_progress
from structlog.testing import capture_logs


def test_logs_show_the_start_and_every_quarter() -> None:
    with capture_logs() as lines, LogProgress().transfer("weights.whl", total_bytes=1000, present_bytes=100) as advance:
        for _ in range(90):
            advance(10)
    assert [line["done_bytes"] for line in lines] == [100, 350, 600, 850, 1000]
    assert {(line["event"], line["file"], line["total_bytes"]) for line in lines} == {("downloading", "weights.whl", 1000)}


def test_logs_go_on_after_a_download_began_anew() -> None:
    with capture_logs() as lines, LogProgress().transfer("weights.whl", total_bytes=1000, present_bytes=0) as advance:
        advance(600)
        advance(-600)
        advance(300)
    assert [line["done_bytes"] for line in lines] == [0, 600, 300]


def test_a_terminal_shows_a_bar_with_the_filename(capfd: pytest.CaptureFixture[str]) -> None:
    with TerminalProgress().transfer("weights.whl", total_bytes=2000, present_bytes=500) as advance:
        advance(1500)
    written = capfd.readouterr()
    assert "weights.whl" in written.err
    assert "100%" in written.err
    assert "2.00k/2.00k" in written.err
    assert written.out == ""


def test_without_a_terminal_there_are_log_lines() -> None:
    with capture_logs() as lines:
        default_progress().step("asking")
    assert [line["event"] for line in lines] == ["asking"]
