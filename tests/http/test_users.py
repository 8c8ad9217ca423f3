"""As whom the front runs: who root says in the policy, and who it was started
as [SPEC 5.2, 6.4]. What it is, each of its threads is, and stays."""

import grp
import json
import os
import pwd
import re
import stat

import pytest

import kit
from kit import until

CONFIG = 78
NOBODY = pwd.getpwnam("nobody")
# what a user may be besides; the one who is in the most groups
MANY = max(pwd.getpwall(),
           key=lambda p: p.pw_uid and len(os.getgrouplist(p[0], p[3])))
FREE = 54321  # of nobody, and of no group


def status_of(pid, thread):
    with open(f"/proc/{pid}/task/{thread}/status") as f:
        return dict(line.rstrip("\n").split(":\t", 1) for line in f
                    if ":\t" in line)


def is_user(front, uid, gid, groups):
    """Real, effective, saved and of files, in each thread; and no right
    that root has."""
    seen = os.listdir(f"/proc/{front.child.pid}/task")
    assert len(seen) > 4
    for thread in seen:
        fields = status_of(front.child.pid, thread)
        assert fields["Uid"].split() == [str(uid)] * 4
        assert fields["Gid"].split() == [str(gid)] * 4
        assert {int(g) for g in fields["Groups"].split()} == set(groups)
        for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
            assert int(fields[name], 16) == 0, name


def fails(front, **more):
    front.start(wait=False, **more)
    status, text = front.child.wait(), front.log()
    front.child = None
    return status, text


BACK = """#!/usr/bin/python3
import json, os
def tried(f, *args):
    try:
        f(*args)
        return "done"
    except OSError as e:
        return e.strerror
print("Content-Type: text/plain\\n")
print(json.dumps([os.getresuid(), os.getresgid(), os.getgroups(), [
    tried(os.setresuid, 0, 0, 0), tried(os.setuid, 0), tried(os.seteuid, 0),
    tried(os.setresgid, 0, 0, 0), tried(os.setgid, 0),
    tried(os.setgroups, [0]), tried(os.chroot, "/"),
    tried(os.kill, 1, 0), tried(open, "/etc/shadow")]]))
"""


class TestDropped:
    """Root starts it: conftest leaves this out for others."""

    root_alone = True

    @pytest.fixture(autouse=True)
    def folder_of_all(self, front):
        front.path.chmod(0o777)

    @pytest.mark.parametrize("name, uid, gid, groups", [
        ("user = nobody", NOBODY.pw_uid, NOBODY.pw_gid,
         os.getgrouplist("nobody", NOBODY.pw_gid)),
        (f"user = {NOBODY.pw_uid}", NOBODY.pw_uid, NOBODY.pw_gid,
         os.getgrouplist("nobody", NOBODY.pw_gid)),
        (f"user = {MANY.pw_name}", MANY.pw_uid, MANY.pw_gid,
         os.getgrouplist(MANY.pw_name, MANY.pw_gid)),
        ("user = nobody\ngroup = daemon", NOBODY.pw_uid,
         grp.getgrnam("daemon")[2],
         os.getgrouplist("nobody", grp.getgrnam("daemon")[2])),
        # nobody knows them: they are in no other group
        (f"user = {FREE}", FREE, FREE, [FREE]),
        (f"user = {FREE}\ngroup = {FREE + 1}", FREE, FREE + 1, [FREE + 1]),
    ])
    @pytest.mark.parametrize("handler", ["exec = {handler}",
                                         "handler = none"])
    def test_ids(self, front, handler, name, uid, gid, groups):
        """These and no others, whatever groups root was in; also where a
        sandbox follows."""
        front.configure(whole="[policy]\nsenders = {sender}\n"
                        f"{handler}\n[server]\n{name}\n")
        front.start(preexec_fn=lambda: os.setgroups([0, 1, 2, 3, 4]))
        assert front.ask().status == 200
        is_user(front, uid, gid, groups)

    def test_group_alone(self, front):
        """It stays root, in that group and no other."""
        gid = grp.getgrnam("daemon")[2]
        front.configure(server="group = daemon")
        front.start(preexec_fn=lambda: os.setgroups([0, 1, 2, 3, 4]))
        fields = status_of(front.child.pid, front.child.pid)
        assert fields["Uid"].split() == ["0"] * 4
        assert fields["Gid"].split() == [str(gid)] * 4
        assert fields["Groups"].split() == [str(gid)]
        assert "runs as root" in front.log()

    def test_no_way_back(self, front):
        """What a handler tries: all of it root could do."""
        front.put("back", BACK, 0o755)
        front.configure("exec = {dir}/back")
        front.start()
        assert set(json.loads(front.ask().body)[3]) == {"done"}
        front.configure("exec = {dir}/back", "user = nobody")
        front.restart()
        uids, gids, groups, tried = json.loads(front.ask().body)
        assert uids == [NOBODY.pw_uid] * 3 and gids == [NOBODY.pw_gid] * 3
        assert 0 not in groups
        assert set(tried) == {"Operation not permitted",
                              "Permission denied"}

    def test_socket_is_made_before(self, front):
        """In a folder that the user cannot even enter; so it stays behind
        at the end, and is taken again."""
        private = front.path / "private"
        private.mkdir(mode=0o700)
        front.socket = str(private / "s")
        front.configure(server="user = nobody")
        for _ in range(2):
            front.start()
            assert front.ask().status == 200
            assert os.stat(front.socket).st_uid == 0
            assert front.stop() == 0
            assert stat.S_ISSOCK(os.stat(front.socket).st_mode)

    def test_log_is_made_before(self, front):
        """And is the user's, so that USR1 can open it again."""
        front.configure(server="user = nobody\nlog = {dir}/log")
        front.start()
        assert os.stat(front.path / "log").st_uid == NOBODY.pw_uid

    def test_policy_is_read_before(self, front):
        """The user need not be able to: but then it is not loaded again."""
        front.configure(server="user = nobody")
        front.ini.chmod(0o600)
        front.start()
        assert front.ask().status == 200
        front.child.send_signal(kit.signal.SIGHUP)
        until(lambda: "not loaded, SIGHUP" in front.log(), "a refusal")
        assert "Permission denied" in front.log()
        assert front.ask().status == 200

    @pytest.mark.parametrize("server, words", [
        ("user = no.such", "no.such"), ("group = no.such", "no.such"),
        ("user = nobody\ngroup = no.such", "no.such")])
    def test_unknown(self, front, server, words):
        front.configure(server=server)
        status, text = fails(front)
        assert status == CONFIG and words in text
        assert not os.path.exists(front.socket)

    @pytest.mark.parametrize("server", ["user = daemon", "group = daemon",
                                        "user = root"])
    def test_not_root(self, front, server):
        """Who is not root can be nobody else; it says so, and ends."""
        front.path.parent.chmod(0o777)
        front.configure(server=server)
        status, text = fails(front, user=NOBODY.pw_uid, group=NOBODY.pw_gid,
                             extra_groups=[])
        assert status == CONFIG
        assert re.search(r"cannot become user \d+, group \d+: "
                         "Operation not permitted", text)
        assert not os.path.exists(front.socket)


class TestUnprivileged:
    """From the start: as whoever runs the tests, and as nobody where that is
    root. test_sandbox.py has the whole story of it, confined."""

    @pytest.fixture
    def started(self, front):
        more = {}
        if os.geteuid() == 0:
            front.path.chmod(0o777)
            front.path.parent.chmod(0o777)
            more = {"user": NOBODY.pw_uid, "group": NOBODY.pw_gid,
                    "extra_groups": []}
        front.more = more
        return front

    def test_handlers(self, started):
        """Its own socket, its own handlers, and nothing left at the end."""
        front = started.start(**started.more)
        uid = started.more.get("user", os.geteuid())
        assert os.stat(front.socket).st_uid == uid
        assert front.ask(method="POST", body=b"x").body == kit.echo(b"x")
        assert (front.path / "ran").stat().st_uid == uid
        assert "root" not in front.log() or os.geteuid() == 0 == uid
        assert front.stop() == 0
        assert not os.path.exists(front.socket)

    def test_itself(self, started):
        """Who the policy names may be who it was started as."""
        uid = started.more.get("user", os.geteuid())
        started.configure(server=f"user = {uid}")
        started.start(**started.more)
        assert started.ask().status == 200

    def test_no_place(self, started):
        """A folder that is not its own: 71, and the reason."""
        front = started
        private = front.path / "private"
        private.mkdir(mode=0o555)
        front.socket = str(private / "s")
        if os.geteuid() == 0 and not front.more:
            return
        status, text = fails(front, **front.more)
        assert status == 71 and f"listen unix:{front.socket}: " in text
        assert "Permission denied" in text
