# SPDX-License-Identifier: Apache-2.0
"""SIGHUP: the configuration is read again, and used as a whole or not at all."""

import signal

import pytest

from agent import wait_for


def configure(path, **options):
    """Each value a line, of a list each item one."""
    lines = []
    for name, value in options.items():
        values = value if isinstance(value, list) else [value]
        lines += [f"{name.replace('_', '-')} = {each}" for each in values]
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture
def settings(tmp_path, agent, put, good, enclave):
    """What a configuration file of a run that is set up by it alone holds."""
    return {
        "secret": put(good),
        "dir": agent.dir,
        "endpoint": [enclave.endpoint],
        "interval": "400ms",
        "probe_interval": "300ms",
        "on_change_exec": "/bin/true",
        "log_level": "debug",
        "status_file": tmp_path / "status.json",
    }


@pytest.fixture
def configured(serve, tmp_path, settings):
    """Starts one by the file; the service, and the file's path."""
    path = tmp_path / "agent.conf"

    def start(**options):
        configure(path, **{**settings, **options})
        flags = {"interval": None, "probe_interval": None, "dir_flag": False}
        return serve([], f"--config={path}", **flags), path

    return start


def test_a_reload_takes_all(configured, settings, enclave):
    """An endpoint, both intervals and the log's level, at once though the old ones are long."""
    service, path = configured(interval="2s", probe_interval="1h", log_level="warning")
    wait_for(lambda: settings["status_file"].exists() and '"ready"' in settings["status_file"].read_text())
    assert not service.all("installed")
    added = f"https://{enclave.endpoint}/health?added"
    configure(path, **{**settings, "endpoint": [enclave.endpoint, added], "log_level": "debug"})
    service.send(signal.SIGHUP)
    assert service.wait("reloaded")["file"] == str(path)
    service.wait("handshake", endpoint=added, result="accepted", count=2)
    service.wait("unchanged", 3)
    assert added in settings["status_file"].read_text()


@pytest.mark.parametrize(
    "change",
    [
        {"dir": "/nowhere"},
        {"on_change_exec": "/bin/false"},
        {"on_change_signal": "HUP:1"},
        {"status_file": "/nowhere/status.json"},
        {"interval": "soon"},
        {"no_such_option": "1"},
        {"secret": ""},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_reload_that_is_refused(configured, settings, enclave, change):
    """As a whole: of the same file nothing is used, and what was used before goes on."""
    service, path = configured()
    service.wait("ready")
    added = f"https://{enclave.endpoint}/health?added"
    configure(path, **{**settings, "endpoint": [added], **change})
    service.send(signal.SIGHUP)
    refused = service.wait("reload_refused")
    assert refused["level"] == "error" and refused["code"] == "config" and refused["reason"]
    service.more("unchanged", 2)
    service.more("handshake", 2, endpoint=enclave.endpoint, result="accepted")
    assert not service.all("handshake", endpoint=added) and not service.all("reloaded")
    configure(path, **{**settings, "endpoint": [added]})
    service.send(signal.SIGHUP)
    service.wait("handshake", endpoint=added)


def test_a_file_that_is_gone_is_refused(configured):
    service, path = configured()
    service.wait("ready")
    path.unlink()
    service.send(signal.SIGHUP)
    service.wait("reload_refused")
    service.more("unchanged", 2)


def test_a_log_file_that_is_added(configured, settings):
    """Its mode is that of the umask, which nobody may ask for any more."""
    service, path = configured()
    service.wait("ready")
    log = settings["dir"] / "agent.log"
    configure(path, **{**settings, "log_file": log})
    service.send(signal.SIGHUP)
    service.wait("reloaded")
    wait_for(lambda: log.exists() and "unchanged" in log.read_text())
    assert log.stat().st_mode & 0o600 == 0o600 and not service.all("sandbox_refused")


def test_the_log_file_is_rotated(serve, tmp_path, put, good):
    log, old = tmp_path / "agent.log", tmp_path / "agent.log.1"
    service = serve(put(good), f"--log-file={log}")
    wait_for(lambda: log.exists() and '"ready"' in log.read_text())
    log.rename(old)
    service.send(signal.SIGHUP)
    service.wait("reloaded")
    wait_for(lambda: log.exists() and "reloaded" in log.read_text())
    assert '"ready"' in old.read_text() and "reloaded" not in old.read_text()
