"""Faults under load, for a short time ("make soak" is the same for a long
one); and that the load's own accounts can be trusted [SPEC 4.7, 5.5, 6.8;
E52, E81 to E83, E102]."""

import collections

import pytest

import kit
import load
import storm

SECONDS = 10
PAUSE = 0.4       # between two faults


def kind(name):
    return next(k for kinds in storm.KINDS.values() for k in kinds
                if k.name == name)


OK = (b"HTTP/1.1 200 OK\r\nX-Id: r1\r\n"
      b"AMP-Email-Allow-Sender: sender@company.example\r\n")
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
SIZED = OK + b"Content-Length: 6\r\n\r\n"
BAD = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 2\r\n\r\n"
NO = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n"


class TestAccounts:
    """What is no whole answer to this very request does not pass for one."""

    @pytest.mark.parametrize("name, raw, outcome", [
        ("exec", CHUNKED + b"6\r\nid r1\n\r\n0\r\n\r\n", load.WHOLE),
        ("exec", CHUNKED + b"3\r\nid \r\n3\r\nr1\n\r\n0\r\n\r\n",
         load.WHOLE),
        ("exec", SIZED + b"id r1\n", load.WHOLE),
        # without its end, in all places
        ("exec", b"", load.NOTHING),
        ("exec", b"HTTP/1.1 2", load.CUT),
        ("exec", CHUNKED, load.CUT),
        ("exec", CHUNKED + b"6\r\nid ", load.CUT),
        ("exec", CHUNKED + b"6\r\nid r1\n\r\n", load.CUT),
        ("exec", SIZED + b"id r", load.CUT),
        # somebody else's, or more than one
        ("exec", SIZED + b"id r2\n", load.WRONG),
        ("exec", CHUNKED + b"6\r\nid r2\n\r\n0\r\n\r\n", load.WRONG),
        ("exec", SIZED + b"id r1\n" + SIZED, load.WRONG),
        ("exec", CHUNKED + b"6\r\nid r1\n\r\n0\r\n\r\nmore", load.WRONG),
        # errors, and what is none
        ("exec", BAD + b"no", load.ERROR),
        ("exec", BAD + b"n", load.WRONG),
        ("exec", NO + b"\r\nno", load.WRONG),
        ("refused", NO + b"\r\nno", load.WHOLE),
        ("refused", NO + b"AMP-Email-Allow-Sender: a@b.example\r\n\r\nno",
         load.WRONG),
        ("refused", SIZED + b"id r1\n", load.WRONG),
    ])
    def test_outcome(self, name, raw, outcome):
        assert kind(name).judge("r1", raw) == outcome

    def test_blame(self):
        """A fault answers for those alone that it can have hit."""
        window = storm.Window("php", {"php"}, 10, 20)
        shots = {(9, 11): True, (11, 12): True, (19, 30): True, (1, 30): True,
                 (1, 9): False, (21, 22): False}
        for (start, end), blamed in shots.items():
            shot = load.Shot(kind("php"), "r1", start, end)
            assert window.covers(shot) == blamed
            assert not window.covers(load.Shot(kind("exec"), "r1", start,
                                               end))


    @pytest.mark.parametrize("fds, threads, rss, leaks", [
        (20, 9, 2000, 0), (20 + storm.KEPT, 9, 2000 + storm.GROWTH, 0),
        (21 + storm.KEPT, 9, 2000, 1), (20, 10, 2000, 1),
        (20, 9, 2001 + storm.GROWTH, 1)])
    def test_leaks(self, fds, threads, rss, leaks):
        """Beside what the same front had at its beginning."""
        made = storm.Storm.__new__(storm.Storm)
        made.samples = [(0, 1, "begins", 20, 9, 2000),
                        (1, 2, "begins", 90, 30, 90000),
                        (2, 1, "faults", fds, threads, rss)]
        assert len(made.leaks()) == leaks


@pytest.fixture(scope="module")
def weathered(helper):
    """A storm that is over."""
    folder = kit.Folder()
    made = storm.Storm(folder, helper)
    try:
        made.run(SECONDS, PAUSE)
    finally:
        made.stop()
        folder.remove()
    return made


class TestStorm:
    def test_each_fault_came(self, weathered):
        """And the faults that cost something had somebody to hit."""
        faults = collections.Counter(w.fault for w in weathered.windows)
        assert set(faults) == {"worker", "handlers", "php", "front"}

    def test_none_is_lost(self, weathered):
        """One whole answer each, but at a fault that costs it."""
        assert weathered.lost() == []

    def test_all_kinds_were_answered(self, weathered):
        whole = {name for (name, outcome, _, _) in weathered.load.counts
                 if outcome == load.WHOLE}
        died = {name for (name, outcome, _, _) in weathered.load.counts
                if outcome in storm.DIED}
        assert whole | {"die-before", "die-head", "die-body"} == \
            set(storm.NEEDS)
        assert {"die-before", "die-head", "die-body"} <= died
        assert not whole & {"die-before", "die-head", "die-body"}

    def test_each_was_counted_once(self, weathered):
        assert sum(weathered.load.counts.values()) == weathered.load.asked

    def test_nothing_is_left(self, weathered):
        """No descriptor, thread or memory, of any front."""
        assert weathered.leaks() == []
