"""What is made of figures that are not about HTTP."""

import jobs


def test_a_line_of_the_table_has_medians_and_the_median_of_ratios() -> None:
    row = jobs.ROWS["udp"]
    values = {"awaitd": [2.0, 4.0, 3.0], "uvloop": [3.0, 3.0, 3.3], "asyncio": [10.0, 10.0, 10.0]}
    line = jobs.judged(row, values)
    assert "| 3.00 | 3.00 | 10.00 |" in line
    assert "3.33 × asyncio (asked 2: met); 1.10 × uvloop (asked 1.2: missed)" in line


def test_more_messages_are_better_and_fewer_bytes() -> None:
    mail = jobs.judged(jobs.ROWS["mail"], {"awaitd": [50.0], "uvloop": [20.0], "asyncio": [10.0]})
    assert "5.00 × asyncio (asked 5: met)" in mail
    idle = jobs.judged(jobs.ROWS["idle"], {"awaitd": [5000.0], "uvloop": [1.0], "asyncio": [1.0]})
    assert "asked 4096: missed" in idle
