"""Which servers a run can't measure."""

from run import absent


def test_a_server_behind_nginx_needs_both() -> None:
    names = ["awaitd", "uwsgi", "uwsgi-http", "uwsgi@uwsgi_pass", "gunicorn@proxy_pass"]
    assert absent(names, {"uwsgi": "no compiler"}) == dict.fromkeys(names[1:4], "not available: no compiler")
    assert absent(names, {"nginx": "not installed"}) == dict.fromkeys(names[3:], "not available: not installed")
