"""Peers of a front that are slow, or do nothing, and what they cost others."""

import resource
import select
import socket
import statistics
import threading
import time

import fcgi
import kit

MANY = 1000
MARGIN = 300      # descriptors that are wanted for all else
PARTS = 20        # of a second, in each of which others speak
NOBODY = "nobody@elsewhere.example"


def many():
    """As many peers as may be, with descriptors for them, here and in what
    is started from here."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    want = MANY + MARGIN
    if soft < want:
        soft = want if hard == resource.RLIM_INFINITY else min(want, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return min(MANY, soft - MARGIN)


REFUSED = kit.variables(sender=NOBODY)
POST = kit.variables(sender=NOBODY, method="POST", body=b"x" * 1000)
HEAD = fcgi.begin() + fcgi.stream(fcgi.PARAMS, fcgi.pairs(REFUSED))
BODY = fcgi.begin() + fcgi.stream(fcgi.PARAMS, fcgi.pairs(POST))

# what each says at once, and then byte for byte, one a second
PEERS = {
    "silent": (b"", b""),
    "half-record": (HEAD[:5], b""),
    "half-head": (HEAD[:200], b""),
    "head-by-bytes": (b"", HEAD),
    "parameters-by-bytes": (HEAD[:60], HEAD[60:]),
    "body-by-bytes": (BODY, fcgi.record(fcgi.STDIN, 1, b"x" * 1000)),
    # requests whose answers it never reads, on one connection
    "takes-nothing": (fcgi.request(REFUSED, flags=fcgi.KEEP) * 2000, b""),
    # waits for nothing, and may
    "idle": (fcgi.request(REFUSED, flags=fcgi.KEEP), b""),
}


class Crowd:
    """Many connections that go on as PEERS says."""

    def __init__(self, address, kind, count):
        self.first, self.rest = PEERS[kind]
        self.said = 0
        self.leave = threading.Event()
        self.peers = [self.join(address) for _ in range(count)]
        self.thread = threading.Thread(target=self.go_on)
        self.thread.start()

    def join(self, address):
        made = socket.socket(socket.AF_UNIX)
        made.settimeout(kit.WAIT)
        made.connect(address)
        made.setblocking(False)
        self.say(made, self.first)
        return made

    @staticmethod
    def say(peer, data):
        try:
            peer.send(data)
        except OSError:  # it takes no more, or is closed
            pass

    def go_on(self):
        """Some at each moment, so that somebody always speaks."""
        while not self.leave.wait(1 / PARTS):
            second, part = divmod(self.said, PARTS)
            self.said += 1
            byte = self.rest[second:second + 1]
            for peer in self.peers[part::PARTS] if byte else []:
                self.say(peer, byte)

    def open(self):
        """How many of them has the front not closed?"""
        poll = select.poll()
        for peer in self.peers:
            poll.register(peer, select.POLLRDHUP)
        return len(self.peers) - len(poll.poll(0))

    def end(self):
        self.leave.set()
        self.thread.join()
        for peer in self.peers:
            peer.close()


def latency(front, count, **request):
    """The median of so many requests, in seconds; each must be right."""
    items = kit.variables(**request)
    took = []
    for _ in range(count):
        start = time.monotonic()
        with front.connect() as client:
            client.request(items)
            answer = kit.of_fcgi(client.answer())
        took.append(time.monotonic() - start)
        refused = request.get("sender") == NOBODY
        assert answer.status == (403 if refused else 200), answer
    return statistics.median(took)


def compare(front, kind, count, rounds=3, requests=2000):
    """The medians of refusals and of handlers without and with the crowd, in
    turn; and what a peer costs in KiB."""
    alone, beside = ([], []), ([], [])
    before = kit.memory(front.child.pid)
    more = 0
    for _ in range(rounds):
        measure(front, requests, alone)
        crowd = Crowd(front.socket, kind, count)
        try:
            measure(front, requests, beside)
            more = max(more, kit.memory(front.child.pid) - before)
        finally:
            crowd.end()
    return [(statistics.median(a), statistics.median(b))
            for a, b in zip(alone, beside)], more / count


def measure(front, requests, into):
    into[0].append(latency(front, requests, sender=NOBODY))
    into[1].append(latency(front, requests // 4))


def report(front):
    """For whoever reads figures."""
    count = many()
    for kind in PEERS:
        front.restart()  # what one kind has cost, another one does not
        (refused, handled), memory = compare(front, kind, count)
        print(f"{count} {kind:20} refusals {1e6 * refused[0]:6.0f} us, "
              f"beside them {1e6 * refused[1]:6.0f} us; handlers "
              f"{1e6 * handled[0]:6.0f} us, {1e6 * handled[1]:6.0f} us; "
              f"{memory:.2f} KiB a peer")
