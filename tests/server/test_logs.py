"""Logs: only known keys are written, and of other libraries only what can't quote data."""

from __future__ import annotations

import json
import logging
from io import StringIO

from goldenthread.server.config import Config
from goldenthread.server.logs import configure_logs, logger


def configured(**settings: object) -> StringIO:
    written = StringIO()
    configure_logs(Config(**settings), written)  # type: ignore[arg-type]  # the tests give fields of Config
    return written


def test_a_key_that_is_not_known_is_dropped() -> None:
    written = configured()

    logger().info("call", code="OK", email="konrad@zuse.example")

    assert json.loads(written.getvalue())["code"] == "OK"
    assert "zuse" not in written.getvalue()


def test_a_stream_that_is_no_terminal_gets_json() -> None:
    written = configured(log_format="auto")

    logger().warning("stopping")

    assert json.loads(written.getvalue())["level"] == "warning"


def test_text_can_be_chosen() -> None:
    written = configured(log_format="text")

    logger().warning("stopping")

    assert "stopping" in written.getvalue()
    assert not written.getvalue().startswith("{")


def test_less_than_the_level_is_not_written() -> None:
    written = configured(log_level="warning")

    logger().info("call")

    assert written.getvalue() == ""


def test_another_librarys_arguments_and_error_texts_are_not_written() -> None:
    written = configured()

    try:
        raise ValueError("Konrad Zuse")
    except ValueError:
        logging.getLogger("driver").exception("query failed for %s", "konrad@zuse.example")

    line = json.loads(written.getvalue())
    assert (line["event"], line["error"], line["part"]) == ("query failed for %s", "ValueError", "driver")
    assert "zuse" not in written.getvalue().lower()


def test_only_the_first_line_of_another_librarys_message_is_written() -> None:
    written = configured()

    logging.getLogger("asyncio").error("Task exception was never retrieved\nfuture: ValueError('Konrad Zuse')")

    assert "Zuse" not in written.getvalue()
