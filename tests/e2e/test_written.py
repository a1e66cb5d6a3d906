# SPDX-License-Identifier: Apache-2.0
"""Files that somebody else could have written: what decides where secrets come from, and what is run."""

import os
import stat

import pytest

from servers.aws import REGION
from servers.container import ContainerCredentials
from test_credentials import NO_KEYS

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")

STRANGER = 65534
WAYS = ["owner", "mode", "group", "directory", "link"]


def spoil(path, way):
    """Lets a stranger write a file, in one of the ways there are; the path to be named."""
    if way == "owner":
        os.chown(path, STRANGER, STRANGER)
    elif way in ("mode", "group"):
        path.chmod(0o666 if way == "mode" else 0o664)
    elif way == "directory":
        path.parent.chmod(0o777)
    else:
        link = path.parent / "link"
        link.symlink_to(path)
        os.chown(link, STRANGER, STRANGER, follow_symlinks=False)
        return link
    return path


@pytest.fixture
def place(tmp_path):
    """A directory that nobody but root may write to."""
    made = tmp_path / "place"
    made.mkdir(mode=0o755)
    return made


def keys_file(aws, path):
    path.write_text("[default]\n" + "".join(f"{name} = {value}\n" for name, value in aws.keys.items()))
    path.chmod(0o600)
    return path


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("variable", ["AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"])
def test_a_shared_file(agent, aws, put, good, place, variable, way):
    path = keys_file(aws, place / "file")
    arn = put(good)
    agent.fetch(arn, env={**NO_KEYS, variable: str(path)}).succeeded("installed")
    named = spoil(path, way)
    aws.asked.clear()
    error = agent.fetch(arn, env={**NO_KEYS, variable: str(named)}).failed(78, "config")
    assert error["subject"] == str(named) and ("stranger" in error["reason"] or "chmod go-w" in error["reason"])
    assert not aws.asked


@pytest.mark.parametrize("way", WAYS[:4])
@pytest.mark.parametrize("name", ["config", "credentials"])
def test_a_shared_file_at_home(agent, aws, put, good, place, name, way):
    (place / ".aws").mkdir()
    path = keys_file(aws, place / ".aws" / name)
    home = {**NO_KEYS, "HOME": str(place)}
    arn = put(good)
    agent.fetch(arn, env=home).succeeded("installed")
    spoil(path, way)
    agent.fetch(arn, env=home).failed(78, "config")


def test_a_home_of_another_without_such_files(agent, put, good, place):
    """sudo -E: who has nothing there chooses nothing."""
    os.chown(place, STRANGER, STRANGER)
    agent.fetch(put(good), env={"HOME": str(place)}).succeeded("installed")


# ---- tokens


def by_container(aws, up, path):
    session = aws.session()
    path.write_text("token")
    return {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": up(ContainerCredentials(session, token="token")).full_uri,
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(path),
    }


def by_web_identity(aws, up, path):
    path.write_text(aws.web_token)
    return {"AWS_WEB_IDENTITY_TOKEN_FILE": str(path), "AWS_ROLE_ARN": aws.role_arn, "AWS_REGION": REGION}


TOKENS = pytest.mark.parametrize("token", [by_container, by_web_identity])


@TOKENS
@pytest.mark.parametrize("way", ["mode", "group", "directory", "two users"])
def test_a_token_file(agent, aws, put, good, up, place, token, way):
    path = place / "token"
    environment = {**NO_KEYS, **token(aws, up, path)}
    arn = put(good)
    agent.fetch(arn, env=environment).succeeded("installed")
    if way == "two users":
        os.chown(place, STRANGER, STRANGER)
        os.chown(path, STRANGER - 1, STRANGER - 1)
    else:
        spoil(path, way)
    aws.asked.clear()
    error = agent.fetch(arn, env=environment).failed(77, "token_file_missing")
    assert "stranger" in error["reason"] or "chmod go-w" in error["reason"]
    assert not aws.asked


@TOKENS
def test_a_token_file_of_who_makes_tokens(agent, aws, put, good, up, place, token):
    path = place / "token"
    environment = {**NO_KEYS, **token(aws, up, path)}
    os.chown(path, STRANGER, STRANGER)
    result = agent.fetch(put(good), env=environment).succeeded("installed")
    assert {(event["file"], event["uid"]) for event in result.all("token_of_another_user")} == {(str(path), STRANGER)}


# As kubelet makes them: the volume's mode and group, the token's owner, group and mode, and who the container runs as.
PROJECTED = {
    "root": (0o1777, 0, 0, 0, 0o644, ()),
    "one user": (0o1777, 0, 1000, 0, 0o600, ("setpriv", "--reuid=1000", "--regid=1000", "--clear-groups", "--")),
    "another user": (0o1777, 0, 0, 0, 0o644, ("setpriv", "--reuid=1000", "--regid=1000", "--clear-groups", "--")),
    "fsGroup": (0o3777, 2000, 0, 2000, 0o640, ("setpriv", "--reuid=1000", "--regid=1000", "--groups=2000", "--")),
    "root beside a user": (0o1777, 0, 1000, 0, 0o600, ()),
}


@TOKENS
@pytest.mark.parametrize("read_only", [True, False])
@pytest.mark.parametrize("name", PROJECTED)
def test_a_projected_token(agent, aws, put, good, up, place, tmp_path, token, name, read_only):
    """With the links of an atomic writer, on a tmpfs of its own, as EKS mounts it into a pod."""
    mode, group, owner, file_group, file_mode, who = PROJECTED[name]
    volume = place / "serviceaccount"
    volume.mkdir()
    source = tmp_path / "projected"
    (source / "..2026_11_30_09_00_00.1").mkdir(parents=True)
    (source / "..2026_11_30_09_00_00.1").chmod(0o755)
    (source / "..data").symlink_to("..2026_11_30_09_00_00.1")
    (source / "token").symlink_to("..data/token")
    environment = {**NO_KEYS, **token(aws, up, source / "..data" / "token")}
    environment = {key: value.replace(str(source / "..data"), str(volume)) if value else value for key, value in environment.items()}
    path = source / "..data" / "token"
    path.chmod(file_mode)
    os.chown(path, owner, file_group)
    how = [
        f"mount -t tmpfs -o mode={mode:o},gid={group} tmpfs {volume}",
        f"cp -a {source}/..2* {source}/..data {source}/token {volume}",
        *([f"mount -o remount,bind,ro {volume}"] if read_only else []),
    ]
    for each in (tmp_path, *tmp_path.parents, *aws.ca_bundle.parents, aws.ca_bundle):
        if str(each).startswith("/tmp/"):
            each.chmod(each.stat().st_mode | 0o055 | (0o044 if stat.S_ISREG(each.stat().st_mode) else 0))
    agent.dir.mkdir()
    agent.locks.mkdir()
    if who:
        os.chown(agent.dir, 1000, 1000)
        os.chown(agent.locks, 1000, 1000)
    prefix = ["unshare", "--mount", "sh", "-c", f'{" && ".join(how)} && exec "$@"', "sh", *who]
    result = agent.fetch(put(good), prefix=prefix, env=environment).succeeded("installed")
    assert bool(result.all("token_of_another_user")) == (name == "root beside a user")


# ---- what is run


def script(path, interpreter, line="echo ran"):
    path.write_text(f"#!{interpreter}\n{line}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("first", ["#!{}", "#! {}", "#!\t{} -e", "#!{} -e x y"])
@pytest.mark.parametrize("way", WAYS)
def test_a_hook_whose_interpreter_is_a_strangers(agent, put, good, place, tmp_path, way, first):
    (place / "bin").mkdir(mode=0o755)
    shell = place / "bin" / "sh"
    shell.write_bytes(open("/bin/sh", "rb").read())
    shell.chmod(0o755)
    hook = tmp_path / "hook"
    hook.write_text(first.format(spoil(shell, way)) + f"\ntouch {tmp_path}/ran\n")
    hook.chmod(0o755)
    error = agent.fetch(put(good), f"--on-change-exec={hook}").failed(74, "hook_failed")
    assert "is not run" in error["reason"] and str(place) in error["reason"]
    assert not (tmp_path / "ran").exists()


def test_a_script_that_interprets_a_script(agent, put, good, place, tmp_path):
    """As far as Linux goes."""
    inner = script(place / "inner", "/bin/sh")
    outer = script(tmp_path / "outer", inner)
    agent.fetch(put(good), f"--on-change-exec={outer}").succeeded("hook_done")
    os.chown(inner, STRANGER, STRANGER)
    assert "is not run" in agent.fetch(put(good), f"--on-change-exec={outer}").failed(74, "hook_failed")["reason"]


@pytest.mark.parametrize("text", ["#!", "#!\n", "#! \t\n", "#!/nonexistent\n", "#!" + "/x" * 300 + "\n", "", "\x7fELF"])
def test_what_cannot_be_run_is_told_as_such(agent, put, good, tmp_path, text):
    hook = tmp_path / "hook"
    hook.write_text(text)
    hook.chmod(0o755)
    result = agent.fetch(put(good), f"--on-change-exec={hook}")
    assert "is not run" not in result.failed(74, "hook_failed")["reason"]


def test_a_hook_that_prints_a_key(agent, put, good, pair, tmp_path):
    """The lines of it are told by their length; what comes behind is not."""
    (tmp_path / "key").write_text(pair.key)
    hook = script(tmp_path / "hook", "/bin/sh", f"echo before; cat {tmp_path}/key; echo behind")
    result = agent.fetch(put(good), f"--on-change-exec={hook}").succeeded("hook_done")
    lines = [event["line"] for event in result.all("hook_output")]
    assert lines[0] == "before" and lines[-1] == "behind" and len(lines) == len(pair.key.splitlines()) + 2
    assert all(line.endswith("bytes of a key)") for line in lines[1:-1])
