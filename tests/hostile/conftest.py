"""One stack for every test of a worker; a repository of its own for each test."""

import pytest

from tests.hostile.world import Repo, World


@pytest.fixture(scope="session")
def a_world(tmp_path_factory):
    """A healthy stack, up for the whole session."""
    with World(tmp_path_factory.mktemp("world") / "demo") as world:
        yield world


@pytest.fixture
def world(a_world):
    """The same stack, with nothing bent before or after."""
    a_world.clear()
    yield a_world
    a_world.clear()


@pytest.fixture
def repo(world, tmp_path):
    """A repository that points at the stack."""
    return Repo.copy(world, tmp_path / "repo")
