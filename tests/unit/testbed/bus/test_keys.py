"""Folders of keys: their owner's alone, changed at once, refused with the reason and the remedy."""

import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from testbed.bus.allowed import allow, read_allowed, revoke
from testbed.bus.keys import KeyRing, KeysError
from testbed.bus.own_key import OwnKey, keep_own_key
from testbed.bus.sockets import new_key_pair
from tests.unit.testbed.sites import call

KEY = re.compile(r"[^ ]{40}")


def new_key() -> str:
    return new_key_pair()[0]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a key of its own, of agent ``corner``, and worker ``w`` on its list."""
    folder = tmp_path / "home" / "keys"
    keep_own_key(folder, OwnKey("agent", "corner", *new_key_pair()))
    allow(folder, "worker", "w", new_key())
    return folder


def worker_key(folder: Path) -> str:
    return read_allowed(folder)["worker"]["w"]


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_what_was_kept_comes_back(tmp_path):
    own = OwnKey("coordinator", "rack-1", *new_key_pair())
    keep_own_key(tmp_path / "keys", own)
    assert KeyRing.load(tmp_path / "keys").own == own
    assert own.secret not in repr(own)


def test_files_are_their_owners_alone_whatever_the_umask(tmp_path):
    before = os.umask(0)
    try:
        keep_own_key(tmp_path / "keys", OwnKey("agent", "a", *new_key_pair()))
        allow(tmp_path / "keys", "worker", "w", new_key())
    finally:
        os.umask(before)
    assert mode_of(tmp_path / "keys") == 0o700
    assert {p.name: mode_of(p) for p in (tmp_path / "keys").iterdir()} == {
        "own.key": 0o600,
        "allowed.yaml": 0o600,
    }


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o610, 0o777])
@pytest.mark.parametrize("name", ["own.key", "allowed.yaml"])
def test_files_that_others_can_get_at_are_refused(folder, name, mode):
    (folder / name).chmod(mode)
    with pytest.raises(KeysError, match=rf"\(mode {mode:o}\); run: chmod 600 .*/{name}$"):
        KeyRing.load(folder)


@pytest.mark.parametrize("mode", [0o750, 0o705, 0o777])
def test_a_folder_that_others_can_get_at_is_refused(folder, mode):
    folder.chmod(mode)
    for use in (KeyRing.load, lambda f: allow(f, "worker", "v", new_key())):
        with pytest.raises(KeysError, match=rf"\(mode {mode:o}\); run: chmod 700 .*/keys$"):
            use(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("name", ["own.key", "allowed.yaml", "."])
def test_what_belongs_to_another_is_refused(folder, name):
    os.chown(folder / name, 12345, -1)
    with pytest.raises(KeysError, match="belongs to user 12345, not to user 0"):
        KeyRing.load(folder)


@pytest.mark.parametrize("name", ["own.key", "allowed.yaml"])
def test_links_are_not_followed(folder, name):
    (folder / name).rename(folder / "elsewhere")
    (folder / name).symlink_to(folder / "elsewhere")
    with pytest.raises(KeysError, match=f"{name}: a link"):
        KeyRing.load(folder)


def test_a_link_to_a_folder_is_none(folder, tmp_path):
    (tmp_path / "link").symlink_to(folder)
    with pytest.raises(KeysError, match="link: must be a folder"):
        KeyRing.load(tmp_path / "link")


def test_writing_replaces_a_link_and_leaves_what_it_led_to(folder, tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (folder / "own.key").unlink()
    (folder / "own.key").symlink_to(victim)
    with pytest.raises(KeysError, match="is there already"):
        keep_own_key(folder, OwnKey("agent", "a", *new_key_pair()))
    keep_own_key(folder, OwnKey("agent", "a", *new_key_pair()), force=True)
    assert victim.read_text() == "precious"
    assert not (folder / "own.key").is_symlink()


def test_a_pipe_is_refused_and_not_waited_for(folder):
    (folder / "own.key").unlink()
    os.mkfifo(folder / "own.key", 0o600)
    with pytest.raises(KeysError, match=r"own\.key: must be a file"):
        KeyRing.load(folder)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda t: "", "damaged: Expected `object`, got `null`"),
        (lambda t: "[", "line 1, column 2"),
        (lambda t: "[" * 5000, "nested too deeply"),
        (lambda t: "x" * (1 << 21), "longer than 1048576 bytes"),
        (lambda t: t.replace("schema: 1", "schema: 2"), r"Invalid enum value 2 - at `\$.schema`"),
        (lambda t: t.replace("agent", "boss"), r"Invalid enum value 'boss' - at `\$.role`"),
        (lambda t: t + "more: 1\n", "unknown field `more`"),
        (lambda t: t + t, "line 6, .*'schema' is given twice"),
        (lambda t: re.sub("secret: .*", "secret: '1'", t), "what it holds are no keys"),
        (
            lambda t: re.sub("secret: .*", "secret: '" + "0" * 40 + "'", t),
            "its two keys are no pair",
        ),
    ],
)
def test_a_damaged_own_key_is_refused_in_a_line_that_does_not_show_it(folder, change, reason):
    path = folder / "own.key"
    secret = KeyRing.load(folder).own.secret
    path.write_text(change(path.read_text()))
    with pytest.raises(KeysError, match=reason) as refusal:
        KeyRing.load(folder)
    assert str(refusal.value).startswith(f"{path}: ")
    assert "\n" not in str(refusal.value)
    assert secret not in str(refusal.value)


BAD_LISTS = [
    ("- 1", "Expected `object`, got `array`"),
    ("schema: 1\nwroker: {}", "unknown field `wroker`"),
    ("schema: 1\nworker: {w: 1}", "Expected `str`, got `int`"),
    ("schema: 1\nworker: {w: abc}", r"\$\.worker\.'w': must be a key .*, got 'abc'"),
    ("schema: 1\nworker: {'a b': KEY}", r"\$\.worker\.'a b': a name has up to 64"),
    (
        "schema: 1\nworker: {w: KEY}\nagent: {a: KEY}",
        r"\$\.worker\.'w': has the same key as agent a",
    ),
    ("schema: 1\nworker: &w {w: *w}", "line 2, column 9: found unconstructable"),
    ("\0", "special characters"),
]


@pytest.mark.parametrize(("text", "reason"), BAD_LISTS)
def test_a_list_that_cannot_be_read_lets_nobody_start(folder, text, reason):
    (folder / "allowed.yaml").write_text(text.replace("KEY", f"'{new_key()}'"))
    with pytest.raises(KeysError, match=reason):
        KeyRing.load(folder)


def test_a_missing_own_key_names_the_command(folder, tmp_path):
    (folder / "own.key").unlink()
    with pytest.raises(KeysError, match=r"own\.key: is missing; run `testbed keys init`"):
        KeyRing.load(folder)
    with pytest.raises(KeysError, match="No such file or directory; run `testbed keys init`"):
        KeyRing.load(tmp_path / "nowhere")


def test_without_a_list_nobody_is_let_in(folder):
    key = worker_key(folder)
    (folder / "allowed.yaml").unlink()
    assert KeyRing.load(folder).role_of(key) is None


def test_the_list_counts_as_it_stands(folder, caplog):
    ring, key, late = KeyRing.load(folder), worker_key(folder), new_key()
    assert (ring.role_of(key), ring.role_of(late), ring.role_of("")) == ("worker", None, None)
    allow(folder, "coordinator", "c", late)
    assert ring.role_of(late) == "coordinator"
    revoke(folder, "w")
    assert (ring.role_of(key), ring.role_of(late)) == (None, "coordinator")
    (folder / "allowed.yaml").chmod(0o644)
    assert ring.role_of(late) is None
    assert "nobody is let in any more" in caplog.text
    (folder / "allowed.yaml").chmod(0o600)
    assert ring.role_of(late) == "coordinator"
    (folder / "allowed.yaml").unlink()
    assert ring.role_of(late) is None


def test_a_server_takes_only_its_roles(folder):
    allow(folder, "coordinator", "c", new_key())
    key = KeyRing.load(folder).public_key_of("coordinator")
    ring = KeyRing.load(folder)
    server = ring.server_curve(["coordinator", "client"])
    assert server.role_of(key) == "coordinator"
    assert server.role_of(worker_key(folder)) is None
    assert (server.public_key, server.secret_key) == (ring.own.public, ring.own.secret)


def test_keys_of_peers_are_found_by_name_or_by_being_the_only_one(folder):
    ring = KeyRing.load(folder)
    assert ring.public_key_of("worker") == ring.public_key_of("worker", "w") == worker_key(folder)
    assert ring.client_curve("0" * 40).server_key == "0" * 40
    with pytest.raises(KeysError, match="public key of worker 'v' is needed, the list has w"):
        ring.public_key_of("worker", "v")
    with pytest.raises(
        KeysError, match="one agent is needed, the list has none; see `testbed keys"
    ):
        ring.public_key_of("agent")
    allow(folder, "worker", "v", new_key())
    with pytest.raises(KeysError, match="one worker is needed, the list has w, v"):
        ring.public_key_of("worker")


def test_a_name_keeps_its_key(folder):
    key = worker_key(folder)
    allow(folder, "worker", "w", key)
    with pytest.raises(KeysError, match="has another key of worker 'w'; revoke that first"):
        allow(folder, "worker", "w", new_key())
    with pytest.raises(KeysError, match="has the same key as"):
        allow(folder, "client", "me", key)
    assert worker_key(folder) == key


def test_changes_by_several_at_once_are_all_there(folder):
    script = (
        "import sys; from pathlib import Path\nfrom testbed.bus.allowed import allow\n"
        "folder, name, *keys = sys.argv[1:]\n"
        "for n, key in enumerate(keys): allow(Path(folder), 'agent', f'{name}{n}', key)"
    )
    names = ("a", "b", "c")
    running = [
        subprocess.Popen(
            [sys.executable, "-c", script, folder, name, *(new_key() for _ in range(10))]
        )
        for name in names
    ]
    assert [process.wait(30) for process in running] == [0, 0, 0]
    assert set(read_allowed(folder)["agent"]) == {f"{name}{n}" for name in names for n in range(10)}
    assert sorted(path.name for path in folder.iterdir()) == ["allowed.yaml", "own.key"]


def test_commands_make_list_and_revoke_keys(tmp_path):
    agent, rack = tmp_path / "agent", tmp_path / "rack"
    made = call("keys", "init", "--role", "agent", "--name", "corner", "--keys", agent)
    key = KeyRing.load(agent).own.public
    assert made.out == f"testbed keys add agent corner '{key}'\n"
    assert call("keys", "init", "--role", "coordinator", "--name", "c", "--keys", rack).code == 0
    assert call("keys", "add", "agent", "corner", key, "--keys", rack).code == 0
    assert KeyRing.load(rack).role_of(key) == "agent"
    listed = call("keys", "list", "--keys", rack).out
    assert listed == f"{KeyRing.load(rack).own.public}  coordinator c (own)\n{key}  agent corner\n"
    assert call("keys", "revoke", "corner", "--keys", rack).out == "revoked agent corner\n"
    assert KeyRing.load(rack).role_of(key) is None


def test_commands_refuse_in_a_line(folder):
    for arguments, reason in [
        (("init", "--role", "agent", "--name", "a"), "is there already; with --force"),
        (("init", "--role", "agent", "--name", "-a", "--force"), "a name has up to 64"),
        (("init", "--role", "boss", "--name", "a"), "'boss' is not one of"),
        (("add", "worker", "v", "abc"), "must be a key as `testbed keys init` prints, got 'abc'"),
        (("revoke", "nobody"), "anybody 'nobody' is not on it, only worker w"),
        (("revoke", "agent", "w"), "agent 'w' is not on it, only worker w"),
        (("revoke", "boss", "w"), "with a role of coordinator, agent, worker, client"),
    ]:
        before = (folder / "own.key").read_text(), (folder / "allowed.yaml").read_text()
        outcome = call("keys", *arguments, "--keys", folder)
        assert (outcome.code, outcome.out) == (2, "")
        assert reason in outcome.err
        assert ((folder / "own.key").read_text(), (folder / "allowed.yaml").read_text()) == before


def test_a_name_in_two_roles_is_revoked_by_role(folder):
    allow(folder, "client", "w", new_key())
    assert (
        "'w' is worker and client: run `testbed keys revoke ROLE w`"
        in call("keys", "revoke", "w", "--keys", folder).err
    )
    assert call("keys", "revoke", "client", "w", "--keys", folder).out == "revoked client w\n"
    assert list(yaml.safe_load((folder / "allowed.yaml").read_text())["worker"]) == ["w"]
