"""Fixtures. By hand: "FRONT=/path/amp-cors-cgi pytest tests/http"; what has
a library put before libc wants TEST_HELPERS=build/helpers too."""

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).parent))

import kit  # noqa: E402

PR_SET_CHILD_SUBREAPER = 36
# what a web server leaves behind becomes ours, and is seen
ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
os.umask(0o022)


def pytest_collection_modifyitems(items):
    """What only root can do is no test for anybody else."""
    if os.geteuid() != 0:
        items[:] = [i for i in items
                    if not getattr(i.cls, "root_alone", False)]


@pytest.fixture(scope="session")
def helper():
    """The folder of the compiled helpers: make's, or one of our own."""
    if "TEST_HELPERS" in os.environ:
        yield Path(os.environ["TEST_HELPERS"])
        return
    folder = kit.Folder()
    for name in ("bad-cgi", "run-env", "storm-cgi"):
        source = kit.ROOT / "tests" / "helpers" / (name + ".c")
        subprocess.run([os.environ.get("CC", "cc"), "-O1", "-std=c11",
                        "-D_GNU_SOURCE", "-o", folder.path / name, source],
                       check=True)
    yield folder.path
    folder.remove()


@pytest.fixture
def folder():
    made = kit.Folder()
    yield made
    made.remove()


@pytest.fixture(scope="class")
def class_folder():
    made = kit.Folder()
    yield made
    made.remove()


@pytest.fixture
def front(folder, helper):
    """One front; FastCGI only if the test starts it."""
    made = kit.Front(folder, helper)
    yield made
    status = made.stop()
    assert status in (None, 0), status


@pytest.fixture(scope="class")
def shared(class_folder, helper):
    """A front for a whole class of tests."""
    made = kit.Front(class_folder, helper)
    yield made
    status = made.stop()
    assert status in (None, 0), status


@pytest.fixture(scope="class", params=[kit.ByCgi, kit.ByFastCgi],
                ids=lambda way: way.name)
def way(request, shared):
    """A class's front, asked as a CGI program and as a FastCGI server."""
    policy = getattr(request.cls, "policy", "")
    server = getattr(request.cls, "server", "")
    shared.configure(policy, server)
    made = request.param(shared)
    made.front.forget()
    yield made
    shared.stop()


@pytest.fixture(scope="class")
def site(request, class_folder, helper):
    """The web server of a class, running."""
    made = request.cls.way(class_folder, helper)
    try:
        yield made.start()
    finally:
        made.stop()
