"""What mostly waits is carried out side by side, and each part of it is judged by its own test."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

import pytest

Case = TypeVar("Case")
Done = TypeVar("Done")


@contextmanager
def carried_out(cases: Iterable[Case], work: Callable[[Case], Done], lanes: int) -> Iterator[dict[Case, Future[Done]]]:
    """The futures of this work for every case, so many at once, in order; what nobody waited for is not begun."""
    with ThreadPoolExecutor(lanes) as pool:
        try:
            yield {case: pool.submit(work, case) for case in cases}
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def asked_for(request: pytest.FixtureRequest, parameter: str) -> list[Any]:
    """The values of this parameter in the tests of the fixture's file that are to be run, in their order."""
    return [
        item.callspec.params[parameter]
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.path == request.path and hasattr(item, "callspec")
        if parameter in item.callspec.params
    ]
