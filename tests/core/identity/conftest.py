from collections.abc import AsyncIterator

import pytest

from tests.support.issuer import Issuer, running_issuer


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    """An issuer without keys."""
    async with running_issuer() as issuer:
        yield issuer
