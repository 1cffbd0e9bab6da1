"""Why a peer could not be installed, in one line."""

from provision import package, pins, reason

BUILD = """  error: subprocess-exited-with-error
  × Building wheel for bjoern (pyproject.toml) did not run successfully.
      bjoern/request.c:1:10: fatal error: ev.h: No such file or directory
      [end of output]
  ERROR: Failed building wheel for bjoern
"""


def test_the_quoted_programs_error_counts() -> None:
    assert reason(BUILD) == "bjoern/request.c:1:10: fatal error: ev.h: No such file or directory"


def test_else_pips_own_first() -> None:
    text = "ERROR: Could not find a version that satisfies x==9\nERROR: No matching distribution found for x==9\n"
    assert reason(text) == "ERROR: Could not find a version that satisfies x==9"


def test_else_the_end_of_what_it_said() -> None:
    assert reason("killed\n") == "killed"


def test_pins_are_named_as_the_servers_are() -> None:
    assert [package(pin) for pin in pins("# peers\n\nuWSGI==2.0.31\nuvicorn==0.54.0\n")] == ["uwsgi", "uvicorn"]
