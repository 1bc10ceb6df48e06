"""TLS files: what is wrong with them is said by the setting's name."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from goldenthread.server.config import ConfigError, load_config
from goldenthread.server.tls import make_certificate, server_credentials

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def refusal(cert: Path, key: Path) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        server_credentials(load_config({"tls_cert": str(cert), "tls_key": str(key)}))
    return caught.value


def test_a_certificate_that_is_not_there_is_named(tmp_path: Path) -> None:
    _, key = make_certificate(tmp_path, ["localhost"], NOW)

    assert refusal(tmp_path / "none.crt", key).setting == "tls_cert"


def test_a_key_of_another_certificate_is_refused(tmp_path: Path) -> None:
    cert, _ = make_certificate(tmp_path / "a", ["localhost"], NOW)
    _, key = make_certificate(tmp_path / "b", ["localhost"], NOW)

    assert refusal(cert, key).setting == "tls_key"


def test_a_file_that_is_not_pem_is_refused(tmp_path: Path) -> None:
    cert, key = make_certificate(tmp_path, ["localhost"], NOW)
    cert.write_text("hello")

    assert refusal(cert, key).setting == "tls_cert"


def test_without_a_certificate_there_is_no_tls() -> None:
    assert server_credentials(load_config({})) is None
