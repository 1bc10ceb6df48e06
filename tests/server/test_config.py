"""Settings: where they come from, and which are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from goldenthread.server.config import Config, ConfigError, load_config, parse_address, settings


def test_a_flag_beats_a_variable_beats_the_file_beats_the_default(tmp_path: Path) -> None:
    file = tmp_path / "goldenthread.yaml"
    file.write_text("log_level: error\nbatch_records: 7\nmax_record_bytes: 4096\n")
    environ = {"GOLDENTHREAD_LOG_LEVEL": "warning", "GOLDENTHREAD_BATCH_RECORDS": "8"}

    config = load_config({"log_level": "debug", "batch_records": None}, environ, file)

    assert (config.log_level, config.batch_records, config.max_record_bytes) == ("debug", 8, 4096)
    assert config.max_concurrent_calls == Config().max_concurrent_calls


def test_a_variable_can_name_the_file(tmp_path: Path) -> None:
    file = tmp_path / "goldenthread.yaml"
    file.write_text("default_tenant: acme\n")

    assert load_config(environ={"GOLDENTHREAD_CONFIG": str(file)}).default_tenant == "acme"


def test_an_empty_file_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "goldenthread.yaml"
    file.touch()

    assert load_config(file=file) == Config()


def refusal(
    flags: dict[str, object] | None = None, environ: dict[str, str] | None = None, file: Path | None = None
) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load_config(flags, environ, file)
    assert caught.value.remedy
    return caught.value


def test_a_value_of_the_wrong_type_names_the_setting_and_its_origin() -> None:
    error = refusal(environ={"GOLDENTHREAD_BATCH_RECORDS": "many"})

    assert error.setting == "batch_records"
    assert "from GOLDENTHREAD_BATCH_RECORDS" in str(error)


def test_a_value_out_of_range_is_refused() -> None:
    assert refusal({"batch_records": 0}).setting == "batch_records"


def test_an_unknown_setting_in_the_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "goldenthread.yaml"
    file.write_text("lisen: 127.0.0.1:1\n")

    assert refusal(file=file).setting == "lisen"


def test_a_variable_one_slip_off_a_setting_is_refused_and_others_are_not_the_servers() -> None:
    with pytest.raises(ConfigError, match="GOLDENTHREAD_BATCH_RECORDS") as refused:
        load_config(environ={"GOLDENTHREAD_BATCH_RECORD": "5"})

    assert refused.value.setting == "batch_record"
    load_config(environ={"GOLDENTHREAD_TOKEN": "t", "GOLDENTHREAD_TLS_CA": "ca.pem", "GOLDENTHREAD_TEST_NEO4J_URI": "bolt://x"})


@pytest.mark.parametrize("content", [b"- a\n- b\n", b"listen: [", b"\xff\xfe\x00"])
def test_a_file_that_is_not_a_mapping_of_settings_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "goldenthread.yaml"
    file.write_bytes(content)

    assert refusal(file=file).setting == "config"


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert refusal(file=tmp_path / "none.yaml").setting == "config"


@pytest.mark.parametrize("listen", ["0.0.0.0:7461", "[::]:7461", "192.0.2.7:7461", "gt.example:7461"])
def test_beyond_loopback_tls_is_required(listen: str) -> None:
    error = refusal({"listen": listen, "auth": "jwks", "jwks": "https://id.example/jwks", "issuer": "https://id.example"})

    assert error.setting == "listen"
    assert "without TLS" in str(error)


def test_beyond_loopback_the_local_key_is_not_enough() -> None:
    error = refusal({"listen": "0.0.0.0:7461", "tls_cert": "server.crt", "tls_key": "server.key"})

    assert error.setting == "listen"
    assert "local development key" in str(error)


def test_beyond_loopback_with_tls_and_an_issuer_is_allowed() -> None:
    config = load_config(
        {
            "listen": "0.0.0.0:7461",
            "tls_cert": "server.crt",
            "tls_key": "server.key",
            "auth": "jwks",
            "jwks": "https://id.example/jwks",
            "issuer": "https://id.example",
        }
    )

    assert config.listen == "0.0.0.0:7461"


@pytest.mark.parametrize("listen", ["127.0.0.1:0", "[::1]:7461", "localhost:7461", "127.8.0.1:7461"])
def test_loopback_needs_neither(listen: str) -> None:
    assert load_config({"listen": listen}).listen == listen


def test_metrics_beyond_loopback_need_client_certificates() -> None:
    assert refusal({"metrics_listen": "0.0.0.0:7462"}).setting == "metrics_listen"


def test_half_a_key_pair_is_refused() -> None:
    assert refusal({"tls_cert": "server.crt"}).setting == "tls_cert"


def test_a_key_set_over_plain_http_is_refused() -> None:
    assert refusal({"auth": "jwks", "jwks": "http://id.example/jwks", "issuer": "x"}).setting == "jwks"


def test_jwks_without_an_issuer_is_refused() -> None:
    assert refusal({"auth": "jwks", "jwks": "https://id.example/jwks"}).setting == "issuer"


@pytest.mark.parametrize("listen", ["7461", "127.0.0.1:", ":7461", "127.0.0.1:x", "127.0.0.1:70000"])
def test_an_address_without_host_or_port_is_refused(listen: str) -> None:
    assert refusal({"listen": listen}).setting == "listen"


def test_an_ipv6_address_keeps_its_brackets() -> None:
    assert str(parse_address("listen", "[::1]:7461")) == "[::1]:7461"


def test_the_shown_store_hides_user_and_password() -> None:
    config = load_config({"store": "neo4j://neo4j:secret@db.example:7687/people?token=secret"})

    assert config.shown_store == "neo4j://db.example:7687/people"


def test_the_shown_store_of_a_folder_is_its_url() -> None:
    assert load_config({"store": "sqlite:////var/lib/goldenthread"}).shown_store == "sqlite:////var/lib/goldenthread"


def test_the_embedded_store_lies_in_the_data_folder(tmp_path: Path) -> None:
    config = load_config({"data": str(tmp_path / "a b")})

    assert config.store_url == f"sqlite:///{tmp_path}/a%20b/graph"


def test_every_setting_has_a_description_and_a_variable() -> None:
    listed = settings()

    assert [setting.name for setting in listed] == list(Config.__struct_fields__)
    assert all(setting.description.endswith(".") for setting in listed)
    assert listed[0].variable == "GOLDENTHREAD_LISTEN"
