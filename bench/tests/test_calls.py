"""What is made of figures of clients."""

import calls


def test_the_table_says_what_was_asked_and_found() -> None:
    rates = {
        "awaitd": [1900.0, 2000.0],
        "httpx": [100.0, 100.0],
        "httpx2": [500.0, 500.0],
        "aiohttp": [4000.0, 4000.0],
        "null": [1.0, 1.0],
    }
    used = {name: [120.0, 130.0] for name in rates} | {"null": [100.0, 100.0]}
    line = calls.report("get", rates, used)[0]
    assert "19.50 × httpx (asked 18: met); 0.49 × aiohttp (asked 0.75: missed)" in line
    assert "1.25 × null's CPU (asked 1.2: missed)" in line
    large = calls.report("large", {"awaitd": [900.0], "httpx": [400.0]}, {"awaitd": [1.0], "httpx": [1.0]})
    assert "| awaitd | 900 | | 2.25 × httpx (asked 2: met) |" in large[0]
