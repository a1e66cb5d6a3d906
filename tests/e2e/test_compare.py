# SPDX-License-Identifier: Apache-2.0
"""`inspect A B`: two documents against each other, as a server's and a client's secret are."""

import json

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from servers.pki import DAY, Authority, Pair, document


@pytest.fixture
def compare(agent, tmp_path):
    """compare(a, b) are the rows of the table, by their labels, and what JSON says, which is the same."""

    def run(a, b, *words):
        for name, text in (("a", a), ("b", b)):
            (tmp_path / name).write_text(text)
        result = agent.run("inspect", tmp_path / "a", tmp_path / "b", *words)
        assert result.stderr.count("error") == 0, result.stderr
        rows = [(line[:12].strip(), line[13:]) for line in result.stdout.splitlines()]
        told = json.loads(agent.run("inspect", tmp_path / "a", tmp_path / "b", "--json").stdout)[0]
        assert told["good"] == (result.status == 0)
        for label in ("A accepts B", "B accepts A"):  # but for the moment that stands there
            assert told[label.lower().replace(" ", "_")].split("; it is")[0] == dict(rows)[label].split("; it is")[0]
        assert told["warnings"] == [text for label, text in rows if label == "warning"]
        for pair in (a, b):
            assert "PRIVATE" not in result.stdout and pair[200:240] not in result.stdout
        return dict(rows), told

    return run


def servers(pair, ca):
    return json.dumps({"server_cert": pair.cert, "server_key": pair.key, "ca_cert": ca})


@pytest.fixture
def server(authority):
    return authority.issue("localhost", names=["localhost", "10.0.1.100"])


def test_they_would_accept_each_other(compare, server, pair, authority):
    rows, told = compare(servers(server, authority.pem), document(pair, authority.pem))
    assert told["good"] and not told["warnings"]
    assert rows["A accepts B"] == rows["B accepts A"] == "yes"
    assert rows["CAs"] == "1 of A, 1 of B, 1 in both"
    assert "server CN=localhost, EC P-256, names DNS:localhost, IP:10.0.1.100, until 20" in rows["A"]
    assert "client CN=ECS-Client, EC P-256, until 20" in rows["B"]


def test_the_other_way_round(compare, server, pair, authority):
    rows, told = compare(document(pair, authority.pem), servers(server, authority.pem))
    assert told["good"] and "client" in rows["A"] and "server" in rows["B"]


def test_two_cas_that_trust_each_other(compare, server, stranger, authority):
    client = stranger.issue("ECS-Client")
    rows, told = compare(servers(server, stranger.pem), document(client, authority.pem))
    assert told["good"] and rows["CAs"] == "1 of A, 1 of B, 0 in both"


def test_a_client_of_another_ca(compare, server, rogue, authority):
    rows, told = compare(servers(server, authority.pem), document(rogue, authority.pem))
    assert not told["good"] and rows["B accepts A"] == "yes"
    assert rows["A accepts B"].startswith("no: no_issuer: ")


def test_a_ca_of_the_same_name(compare, server, pair, authority):
    """A CA that was made anew looks the same in every listing."""
    again = Authority("Enclave-CA")
    rows, told = compare(servers(server, again.pem), document(pair, authority.pem))
    assert not told["good"] and rows["A accepts B"].startswith("no: ") and "0 in both" in rows["CAs"]


def test_an_expired_server(compare, pair, authority):
    old = authority.issue("localhost", names=["localhost"], lifetime=(-9 * DAY, -DAY))
    rows, told = compare(servers(old, authority.pem), document(pair, authority.pem))
    assert not told["good"] and rows["B accepts A"].startswith("no: expired: ") and rows["A accepts B"] == "yes"


def test_one_key_for_both(compare, authority, pair):
    both = Pair(authority.issue("localhost", names=["localhost"], key=_key(pair)).cert, pair.key)
    rows, told = compare(servers(both, authority.pem), document(pair, authority.pem))
    assert told["good"] and "same key" in told["warnings"][0]


def _key(pair):
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    return load_pem_private_key(pair.key.encode(), None)


def test_a_swapped_key(compare, server, pair, authority):
    swapped = Pair(pair.cert, authority.issue("x").key)
    _, told = compare(servers(server, authority.pem), document(swapped, authority.pem))
    assert "the key in B is not its certificate's" in told["warnings"][0]


def test_two_clients(compare, pair, authority):
    other = authority.issue("ECS-Other")
    _, told = compare(document(other, authority.pem), document(pair, authority.pem))
    assert "same part" in told["warnings"][0]


def test_a_server_with_a_common_name_alone(compare, pair, authority):
    plain = authority.issue("localhost", usage=ExtendedKeyUsageOID.SERVER_AUTH)
    _, told = compare(servers(plain, authority.pem), document(pair, authority.pem))
    assert told["good"] and "--allow-cn" in told["warnings"][0]


def test_bare_files_of_a_server(compare, server, pair, authority):
    """As they lie beside the enclave; what each is for its extendedKeyUsage tells."""
    rows, told = compare(server.cert + authority.pem, document(pair, authority.pem))
    assert "server CN=localhost" in rows["A"] and rows["B accepts A"] == "yes"


def test_a_servers_files_in_one(compare, server, pair, authority):
    """Leaf, key and CA, as a server reads them."""
    rows, told = compare(server.cert + server.key + authority.pem, document(pair, authority.pem))
    assert told["good"] and not told["warnings"] and "server CN=localhost" in rows["A"] and "assumed" not in rows["A"]
    rows, _ = compare(document(pair, authority.pem), server.key + server.cert)
    assert "server CN=localhost" in rows["B"] and rows["A accepts B"] == "yes"


def test_a_swapped_key_of_a_servers(compare, server, pair, authority):
    _, told = compare(server.cert + authority.issue("x").key + authority.pem, document(pair, authority.pem))
    assert told["warnings"] == ["the key in A is not its certificate's"]


def test_nothing_says_whose_it_is(compare, pair, authority):
    plain = authority.issue("localhost", usage=ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE, names=["localhost"])
    rows, _ = compare(plain.cert + plain.key + authority.pem, document(pair, authority.pem))
    assert "client (assumed) CN=localhost" in rows["A"] and "assumed" not in rows["B"]


def test_no_ca_in_one(compare, server, pair, authority):
    rows, _ = compare(server.cert, document(pair, authority.pem))
    assert rows["A accepts B"] == "no: no_issuer: it has no CA to trust"


def test_one_that_is_not_there(agent, tmp_path, pair, authority):
    (tmp_path / "a").write_text(document(pair, authority.pem))
    result = agent.run("inspect", tmp_path / "a", tmp_path / "none", "--log-format=json")
    assert result.status == 1 and "none" in result.event("error")["subject"]


def test_other_verbs_take_no_second_word(agent):
    assert agent.run("attest", "a", "b").status == 64
    assert agent.run("inspect", "a", "b", "c").status == 64
