"""When slow senders were none."""

import pytest

from fresh import check_drip
from load import Drip


@pytest.mark.parametrize(
    ("drip", "reason"),
    [
        (Drip(10_000, 9_500, 0, 70_000, 7.0), ""),
        (Drip(10_000, 10_000, 12_345, 66_500, 7.0), ""),
        (Drip(10_000, 9_499, 0, 70_000, 7.0), "9499 of 10000 slow senders were open at the end"),
        (Drip(10_000, 10_000, 0, 66_499, 7.0), "slow senders sent 66499 bytes in 7.0 s, not one per second each"),
    ],
)
def test_a_row_without_its_slow_senders_is_void(drip: Drip, reason: str) -> None:
    assert check_drip(drip) == reason
