"""Certificates: an authority, one of its for `localhost`, and one for a client."""

from collections.abc import Callable

import pytest
from tls_certificates import Certificates


@pytest.fixture(scope="session")
def make_certificates(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Certificates]:
    return lambda: Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def certificates(make_certificates: Callable[[], Certificates]) -> Certificates:
    return make_certificates()
