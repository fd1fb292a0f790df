"""Arguments of `fink start <service>`: the classic spellings, and the configuration keys they stand for."""

from __future__ import annotations

import pytest

from fink_broker.cli.arguments import apply, help_of, parse
from fink_broker.config.model import Config
from fink_broker.errors import UsageError
from fink_broker.service.catalogue import COMMON, SERVICES, find


@pytest.mark.parametrize("spelling", [["--exit_after", "30"], ["-exit_after", "30"], ["--exit_after=30"]])
def test_classic_spellings(spelling: list[str]) -> None:
    given = parse(find("stream2raw"), [*spelling, "-topic", "ztf_.*", "--simulator", "--conf=x.conf"])
    assert (given.conf, given.simulator, given.detach, given.help) == ("x.conf", True, False, False)
    assert given.overrides == {"stream.exit_after": "30", "kafka.topic": "ztf_.*"}
    config = apply(Config(), given.overrides)
    assert (config.stream.exit_after, config.kafka.topic) == (30, "ztf_.*")
    assert config.stream.trigger_seconds == Config().stream.trigger_seconds


def test_a_topic_of_the_simulator_is_what_it_writes() -> None:
    given = parse(find("simulator"), ["-topic", "x", "--rate", "0", "--source", "synthetic"])
    config = apply(Config(), given.overrides)
    assert (config.simulator.topic, config.simulator.rate, config.simulator.source) == ("x", 0, "synthetic")
    assert config.kafka.topic == Config().kafka.topic


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--bla"], "unknown argument --bla"),
        (["extra"], "unknown argument extra"),
        (["--exit"], "unknown argument --exit"),
        (["--exit_after"], "expected one argument"),
    ],
)
def test_an_unknown_argument_is_one_sentence(words: list[str], said: str) -> None:
    with pytest.raises(UsageError, match=said) as error:
        parse(find("kafka"), words)
    assert "\n" not in str(error.value)
    assert error.value.exit_code == 1


@pytest.mark.parametrize(
    ("key", "value"), [("stream.exit_after", "soon"), ("kafka.embedded_port", "80"), ("survey", "lsst2")]
)
def test_a_wrong_value_names_the_key(key: str, value: str) -> None:
    with pytest.raises(UsageError, match=f"{key} cannot be '{value}'"):
        apply(Config(), {key: value})


@pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)
def test_help_names_every_key(service) -> None:
    text = help_of(service)
    for argument in (*COMMON, *service.arguments):
        line = next(line for line in text.splitlines() if line.strip().startswith(argument.flags[0]))
        assert f"[{argument.key}" in line


def test_distribution_takes_options_of_spark_for_the_sake_of_scripts_and_says_that_it_ignores_them() -> None:
    service = find("distribution")
    parse(service, ["--driver-memory", "4g", "-executor-memory", "4g"])
    assert "options of Spark are accepted and ignored" in help_of(service)


def test_an_unknown_service_is_one_sentence() -> None:
    with pytest.raises(UsageError, match=r"no service named dashbord\. Available services are: kafka, ") as error:
        find("dashbord")
    assert "\n" not in str(error.value)
