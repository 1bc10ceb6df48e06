"""The benchmark of the running service: what it says when there is none."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench.measure import Failed
from bench.online import running_server


def test_a_server_that_does_not_start_has_its_own_words_repeated(tmp_path: Path) -> None:
    with (
        pytest.raises(Failed, match=r"ended with 1 before it served:(.|\n)*papyrus"),
        running_server(tmp_path, "papyrus://roll"),
    ):
        pass
