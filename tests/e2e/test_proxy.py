# SPDX-License-Identifier: Apache-2.0
"""Proxies between the host and AWS: who goes by them, who never does, and who may know a password."""

import pytest

from agent import wait_for
from servers.connect import ConnectProxy
from servers.http import HOLD
from servers.imds import Imds
from servers.process import free_port
from test_credentials import NO_KEYS


@pytest.fixture
def proxy(up):
    return up(ConnectProxy())


def url(proxy, user=""):
    return f"http://{user}127.0.0.1:{proxy.port}"


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "MTLS_AGENT_PROXY"])
def test_by_a_variable(agent, aws, put, good, proxy, name):
    agent.fetch(put(good), env={name: url(proxy)}).succeeded("installed")
    assert [head.split("\r\n")[0] for head in proxy.asked] == [f"CONNECT localhost:{aws.port} HTTP/1.1"]
    assert "Authorization" not in proxy.asked[0] and "X-Amz" not in proxy.asked[0]


def test_by_an_option(agent, put, good, proxy):
    agent.fetch(put(good), f"--proxy=127.0.0.1:{proxy.port}").succeeded("installed")
    assert len(proxy.asked) == 1


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "proxy"])
def test_by_the_file(agent, put, good, proxy, tmp_path, name):
    (tmp_path / "conf").write_text(f"{name} = {url(proxy)}\n")
    agent.fetch(put(good), f"--config={tmp_path}/conf").succeeded("installed")
    assert len(proxy.asked) == 1


@pytest.mark.parametrize("name", ["HTTP_PROXY", "ALL_PROXY"])
def test_other_variables_mean_nothing(agent, put, good, proxy, name):
    agent.fetch(put(good), env={name: url(proxy), name.lower(): url(proxy)}).succeeded("installed")
    assert proxy.asked == []


@pytest.mark.parametrize("hosts", ["localhost", "other.example,localhost", "*"])
@pytest.mark.parametrize("name", ["NO_PROXY", "no_proxy"])
def test_except(agent, put, good, proxy, name, hosts):
    agent.fetch(put(good), env={"HTTPS_PROXY": url(proxy), name: hosts}).succeeded("installed")
    assert proxy.asked == []


def test_except_by_an_option(agent, put, good, proxy):
    agent.fetch(put(good), "--no-proxy=localhost", env={"HTTPS_PROXY": url(proxy)}).succeeded("installed")
    assert proxy.asked == []


@pytest.mark.parametrize("hosts", ["localhost:{port}", " other.example , localhost ", "*,x", "LocalHost"])
def test_except_in_the_forms_that_go_reads(agent, aws, put, good, proxy, hosts):
    env = {"HTTPS_PROXY": url(proxy), "NO_PROXY": hosts.format(port=aws.port)}
    result = agent.fetch(put(good), env=env).succeeded("installed")
    assert proxy.asked == [] and not result.all("no_proxy_ignored")


@pytest.mark.parametrize(
    "hosts,entry", [("other.example;localhost", "other.example;localhost"), ("x, a localhost", "a localhost")]
)
def test_an_exception_that_is_not_understood_is_named(agent, put, good, proxy, hosts, entry):
    result = agent.fetch(put(good), env={"HTTPS_PROXY": url(proxy), "NO_PROXY": hosts}).succeeded("installed")
    assert result.event("no_proxy_ignored")["entry"] == entry
    assert len(proxy.asked) == 1
    assert agent.fetch(put(good), f"--no-proxy={hosts}", log_format="text").status == 64


def test_white_space_around_a_proxy(agent, put, good, proxy):
    agent.fetch(put(good), env={"HTTPS_PROXY": f" {url(proxy)}\n"}).succeeded("installed")
    assert len(proxy.asked) == 1


def test_except_others(agent, put, good, proxy):
    agent.fetch(put(good), env={"HTTPS_PROXY": url(proxy), "NO_PROXY": "local"}).succeeded("installed")
    assert len(proxy.asked) == 1


def test_enclaves_and_metadata_never_go_by_it(agent, aws_server, put, good, proxy, enclave, up):
    imds = up(Imds(aws_server.session()))
    environment = {"HTTPS_PROXY": url(proxy), "HTTP_PROXY": url(proxy), "http_proxy": url(proxy)}
    result = agent.fetch(
        put(good),
        "--rehearse=require",
        endpoint=f"localhost:{enclave.port}",
        env={**NO_KEYS, **imds.environment(), **environment},
    )
    result.succeeded("installed")
    assert len(proxy.asked) == 1 and imds.asked


def test_a_password(agent, up, put, good):
    proxy = up(ConnectProxy("us:er:geheim nis"))
    arn = put(good)
    agent.fetch(arn, env={"HTTPS_PROXY": url(proxy, "user:falsch@")}).failed(69, "proxy_refused")
    result = agent.fetch(arn, env={"HTTPS_PROXY": url(proxy, "us%3Aer:geheim%20nis@")}).succeeded("installed")
    assert "geheim" not in result.stderr


def test_a_password_leaves_the_environment(agent, aws, up, put, good):
    proxy = up(ConnectProxy("user:geheimnis"))
    aws.faults.append(HOLD)
    environment = {"HTTPS_PROXY": url(proxy, "user:geheimnis@")}
    running = agent.start(*agent.fetch_arguments(put(good), deadline="60s"), env=environment)
    wait_for(lambda: aws.asked)
    with open(f"/proc/{running.pid}/environ", "rb") as environ:
        assert b"geheimnis" not in environ.read()
    running.child.terminate()
    assert "geheimnis" not in running.finish().stderr


@pytest.mark.parametrize("form", ["http://user:geheimnis@{}", "user:geheimnis@{}"])
@pytest.mark.parametrize("place", ["--proxy", "MTLS_AGENT_PROXY", "file proxy", "file HTTPS_PROXY"])
def test_a_password_has_one_place(agent, put, good, proxy, tmp_path, place, form):
    value = form.format(f"127.0.0.1:{proxy.port}")
    arguments, environment = [], {}
    if place == "--proxy":
        arguments = [f"--proxy={value}"]
    elif place.startswith("file"):
        (tmp_path / "conf").write_text(f"{place.split()[1]} = {value}\n")
        arguments = [f"--config={tmp_path}/conf"]
    else:
        environment = {place: value}
    result = agent.fetch(put(good), *arguments, env=environment, log_format="text")
    assert result.status == (64 if place == "--proxy" else 78)
    assert "HTTPS_PROXY" in result.stderr and "geheimnis" not in result.stderr


@pytest.mark.parametrize("value", ["https://127.0.0.1:{}", "socks5://127.0.0.1:{}", "socks5h://u:geheimnis@127.0.0.1:{}"])
def test_other_kinds_are_refused(agent, put, good, proxy, value):
    result = agent.fetch(put(good), env={"HTTPS_PROXY": value.format(proxy.port)})
    assert "geheimnis" not in result.stderr
    result.failed(78, "config")
    assert proxy.asked == []


@pytest.mark.parametrize("status", [403, 407])
def test_refused(agent, up, put, good, status):
    proxy = up(ConnectProxy(status=status))
    result = agent.fetch(put(good), env={"HTTPS_PROXY": url(proxy)})
    error = result.failed(69, "proxy_refused")
    assert str(status) in error["reason"] and "407" in error["remedy"]
    assert len(proxy.asked) == 1


def test_a_bad_gateway_passes(agent, up, put, good):
    proxy = up(ConnectProxy(status=502))
    running = agent.start(*agent.fetch_arguments(put(good)), env={"HTTPS_PROXY": url(proxy)})
    wait_for(lambda: proxy.asked)
    proxy.status = None
    running.finish().succeeded("installed")


def test_out_of_reach(agent, put, good):
    environment = {"HTTPS_PROXY": f"http://127.0.0.1:{free_port()}"}
    agent.fetch(put(good), env=environment, deadline="2s").failed(69, "proxy_unreachable")


def test_without_a_name(agent, put, good):
    environment = {"HTTPS_PROXY": "http://proxy.invalid:3128"}
    agent.fetch(put(good), env=environment, deadline="2s").failed(69, "proxy_unreachable")
