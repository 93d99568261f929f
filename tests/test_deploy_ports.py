"""Ports: fixed ones are checked, free ones chosen and kept."""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.ports import AUTO_PORTS, PORTS, check_ports, choose_ports, free, port_of
from deploy.local.ports import pinned_ports as pinned_of
from schemas.errors import PortTakenError
from schemas.settings import Settings, load_settings, load_with_origins

NAMES = [name for names in PORTS.values() for name in names]


@pytest.fixture
def held() -> Iterator[int]:
    """A port on which another program listens (this one)."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


def settings_of(home: Path, **kafka: int) -> Settings:
    return load_settings(home=str(home), ports="auto", **({"kafka": kafka} if kafka else {}))


def ports_of(settings: Settings) -> list[int]:
    return [port_of(settings, name) for name in NAMES]


def test_auto_chooses_a_different_free_port_for_every_service(tmp_path: Path):
    chosen = choose_ports(settings_of(tmp_path), (), random.Random(1).choice)

    ports = ports_of(chosen)
    assert len(set(ports)) == len(ports)
    assert all(port in AUTO_PORTS and free(port) for port in ports)


def test_every_later_command_in_the_home_finds_the_chosen_ports(tmp_path: Path):
    chosen = choose_ports(settings_of(tmp_path), (), random.Random(1).choice)

    assert ports_of(load_settings(home=str(tmp_path))) == ports_of(chosen)


def test_the_next_run_keeps_the_ports_that_are_still_free(tmp_path: Path, held: int):
    first = choose_ports(settings_of(tmp_path), (), random.Random(1).choice)
    toml = tmp_path / "ports.toml"
    toml.write_text(toml.read_text().replace(str(first.kafka.port), str(held)))

    second = choose_ports(settings_of(tmp_path), (), random.Random(2).choice)

    assert second.kafka.port not in (first.kafka.port, held)
    assert ports_of(second)[1:] == ports_of(first)[1:]


def test_a_port_that_the_user_has_set_is_left_alone(tmp_path: Path):
    choose_ports(settings_of(tmp_path), (), random.Random(1).choice)
    settings, origins = load_with_origins(home=str(tmp_path), kafka={"port": 31_999})
    pinned = pinned_of(settings, origins)

    chosen = choose_ports(settings, pinned, random.Random(2).choice)

    assert pinned == {"kafka.port"}
    assert chosen.kafka.port == 31_999


def test_a_damaged_file_of_ports_is_chosen_anew(tmp_path: Path):
    settings = settings_of(tmp_path)
    (tmp_path / "ports.toml").write_text("[kafka\nport =")

    chosen = choose_ports(settings, (), random.Random(1).choice)

    assert ports_of(load_settings(home=str(tmp_path))) == ports_of(chosen)


def test_a_taken_port_is_named_with_its_holder_and_what_to_set(tmp_path: Path, held: int):
    with pytest.raises(PortTakenError) as caught:
        check_ports(settings_of(tmp_path, port=held), ["kafka"])

    assert str(held) in caught.value.detail
    assert f"pid {os.getpid()}" in caught.value.detail
    assert "TICKERPLANT_KAFKA__PORT" in caught.value.hint
    assert "TICKERPLANT_PORTS=auto" in caught.value.hint


def test_ports_of_services_that_do_not_run_may_be_taken(tmp_path: Path, held: int):
    settings = choose_ports(settings_of(tmp_path), (), random.Random(1).choice)
    produce = settings.produce.model_copy(update={"metrics_port": held})

    check_ports(settings.model_copy(update={"produce": produce}), ["kafka", "questdb", "stream"])


def test_two_services_on_one_port_are_refused(tmp_path: Path):
    settings = settings_of(tmp_path, port=31_000, controller_port=31_000)

    with pytest.raises(PortTakenError, match=r"31000: kafka\.port, kafka\.controller_port"):
        check_ports(settings, ["kafka"])
