"""Fixtures: those of tests/http. FRONT and AMP_CORS are the programs that
refuse.c is linked into (see Makefile)."""

import importlib.util
import sys
from pathlib import Path

import pytest

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).parent))
_spec = importlib.util.spec_from_file_location(
    "http_conftest", Path(__file__).parents[1] / "http" / "conftest.py")
_http = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_http)

import torture  # noqa: E402

folder, front, helper = _http.folder, _http.front, _http.helper


@pytest.fixture
def control(folder):
    return torture.Control(folder.path)
