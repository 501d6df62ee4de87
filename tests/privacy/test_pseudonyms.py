import ipaddress
import re
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from starface_nb.observations.phones import tell_trunks
from starface_nb.privacy.pseudonyms import Pseudonyms, load_key

NAMES = [
    "1234.snomd345",
    "16.AL",
    "100952581997",
    "0702227978",
    "+4969123456",
    "Müller",
    "a b/c#d",
    "1234.a/b.c",
    "100",
]
ADDRESSES = [
    "203.0.113.21",
    "8.8.8.8",
    "192.168.1.20",
    "10.0.0.1",
    "172.20.1.2",
    "100.64.3.4",
    "2a02:8070::7",
    "fd00::1",
]


def shape(text: str) -> str:
    return re.sub(r"[a-z]", "a", re.sub(r"[A-Z]", "A", re.sub(r"\d", "1", text)))


@pytest.mark.parametrize("name", NAMES)
def test_a_name_keeps_its_shape_and_is_another(name):
    new = Pseudonyms(b"key", NAMES).name(name)
    assert new != name
    assert shape(new) == shape(name.replace("ü", "u"))


def test_the_same_key_gives_the_same_names_and_another_key_others():
    first, again, other = (Pseudonyms(key) for key in (b"key", b"key", b"other"))
    assert [first.name(n) for n in NAMES] == [again.name(n) for n in reversed(NAMES)][::-1]
    assert all(first.name(name) != other.name(name) for name in NAMES)
    assert all(first.address(a) != other.address(a) for a in ADDRESSES)


def test_the_model_stays_and_the_number_decides():
    names = Pseudonyms(b"key")
    assert names.name("1234.snomd345").split(".")[0] == names.name("1234.WinClient").split(".")[0]
    assert names.name("1234.snomd345").endswith(".snomd345")
    assert not names.name("1234.JohnSmith").endswith(".JohnSmith")


def test_even_a_crowded_number_range_gets_names_of_its_own():
    numbers = [f"{n:0{width}d}" for width in (2, 3) for n in range(10**width)]
    names = Pseudonyms(b"key", numbers)
    new = [names.name(number) for number in numbers]
    assert len(set(new)) == len(numbers)
    assert not set(new) & {n for n in numbers if len(n) > 2}


def test_trunks_stay_trunks_and_phones_phones():
    peers = ["100952581997", "0702227978", "sipgate", "17", "12345", *(f"{n}.snomd345" for n in range(10, 40))]
    names = Pseudonyms(b"key", [*peers, *(f"{n:05d}" for n in range(9_000, 21_000))])
    registered = [False] * len(peers)
    assert tell_trunks([names.name(peer) for peer in peers], registered) == tell_trunks(peers, registered)


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_stays_in_its_kind(address):
    new = ipaddress.ip_address(Pseudonyms(b"key", ADDRESSES).address(address))
    old = ipaddress.ip_address(address)
    assert new != old
    assert new.version == old.version
    private = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"]
    home = [net for net in map(ipaddress.ip_network, private) if old in net]
    assert [net for net in map(ipaddress.ip_network, private) if new in net] == home
    if not home:  # a public address goes where nothing is routed
        nowhere = ["198.18.0.0/15", "240.0.0.0/4", "2001:db8::/32"]
        assert any(new in ipaddress.ip_network(net) for net in nowhere)


def test_no_two_addresses_become_one_and_neighbours_stay_neighbours():
    addresses = [f"{a}.{b}.7.9" for a in range(20, 40) for b in range(256)]
    names = Pseudonyms(b"key", addresses)
    assert len({names.address(a) for a in addresses}) == len(addresses)
    inside = {names.address(f"192.168.7.{n}") for n in range(256)}
    assert len(inside) == 256
    assert len({a.rsplit(".", 1)[0] for a in list(inside)[:20]}) == 1


@pytest.mark.parametrize("address", ["127.0.0.1", "255.255.255.255", "::1"])
def test_what_names_nobody_stays(address):
    assert Pseudonyms(b"key").address(address) == address


@pytest.mark.parametrize("name", ["", "'", "x" * 5000, "\x1b[31m<b>", "\ud800", "1" * 300, "' is now "])
def test_any_text_can_be_a_name(name):
    new = Pseudonyms(b"key", [name]).name(name)
    assert len(new) <= max(len(name), 65)
    assert re.fullmatch(r"[\w .+/#*-]*", new, re.ASCII)


def test_all_who_make_a_key_at_once_have_the_one_that_stays(tmp_path):
    for attempt in range(20):
        path, start = tmp_path / f"key{attempt}", Barrier(12)

        def load(_: int, path=path, start=start) -> bytes:
            start.wait()
            return load_key(path)

        with ThreadPoolExecutor(12) as pool:
            keys = set(pool.map(load, range(12)))
        assert keys == {path.read_bytes().strip()}
    assert {path.name for path in tmp_path.iterdir()} == {f"key{attempt}" for attempt in range(20)}


@pytest.mark.parametrize("error", [PermissionError, OSError])
def test_a_key_is_made_where_the_file_system_knows_no_links(error, tmp_path, monkeypatch):
    def refused(*_: object) -> None:
        raise error("no links")

    monkeypatch.setattr("os.link", refused)
    assert load_key(tmp_path / "key") == (tmp_path / "key").read_bytes().strip()
    assert [path.name for path in tmp_path.iterdir()] == ["key"]
