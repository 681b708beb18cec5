"""The tests of the segmentation run on one thread: on few rows, k-means only waits for a second."""

from collections.abc import Iterator

import pytest
from threadpoolctl import threadpool_limits


@pytest.fixture(autouse=True, scope="package")
def _one_thread() -> Iterator[None]:
    with threadpool_limits(limits=1):
        yield
