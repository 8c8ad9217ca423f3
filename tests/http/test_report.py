"""amp-cors report: a log as one page [SPEC 7]; its numbers, and how a real
browser shows it."""

import collections
import http.server
import json
import os
import random
import re
import threading
from datetime import datetime, timedelta, timezone
from html.parser import HTMLParser
from urllib.parse import urlsplit

import pytest

import kit
from kit import until
from test_browser import BOUND, CHROMIUM, FLAGS, Browser
from test_replay import line, run

BEGIN = datetime(2026, 11, 1, tzinfo=timezone.utc)
REASONS = {
    "sender-not-allowed": "Messages of this sender may not use this address.",
    "bad-address": "The sender is not one plain mail address.",
    "origin-not-allowed": "Requests from this origin are not allowed.",
}


def at(seconds):
    return (BEGIN + timedelta(seconds=seconds)).strftime(
        "%Y-%m-%dT%H:%M:%S.000Z")


class Row:
    """One decision."""

    def __init__(self, rng, seconds):
        self.seconds = seconds
        self.endpoint = rng.choice(["rsvp", "feed", "poll"])
        self.version = rng.choice([1, 2, 2])
        self.decision = rng.choices(["allow", "deny", "report"], [6, 3, 1])[0]
        self.reason, self.status = "ok", 200
        self.sender = "a@b.example"
        self.ms = int(rng.lognormvariate(4, 1.5))
        if self.decision != "allow":
            self.reason = rng.choice(list(REASONS))
            self.sender = f"s{int(rng.expovariate(.2))}@c.example"
        if self.decision == "deny":
            self.status = 403
        elif self.decision == "allow" and rng.random() < .1:
            self.reason, self.status = rng.choice([
                ("handler-died", 502), ("ok", 500), ("client-gone", "-")])
        if rng.random() < .1:
            self.decision, self.reason, self.status = "preflight", \
                "preflight", 204
            self.version = "-"

    def text(self):
        return line(**{k: getattr(self, k) for k in (
            "decision", "status", "reason", "version", "endpoint", "sender")},
            origin='"https://o.example"').replace(
                "2026-11-21T10:00:00.000Z", at(self.seconds)).replace(
                    "ms=3", f"ms={self.ms}")

    def refused(self):
        return self.decision in ("deny", "report")

    def fault(self):
        return self.decision == "allow" and (self.reason, self.status) != (
            "ok", 200)


def some_rows(n, span):
    rng = random.Random(n)
    return [Row(rng, int(rng.random() * span)) for _ in range(n)]


# Reading the page


class Page(HTMLParser):
    """Its tables by name, as lists of rows of text; and what it refers to."""

    def __init__(self, text):
        super().__init__()
        self.tables, self.refers, self.tags = {}, [], collections.Counter()
        self.titles, self.text, self.ids = [], [], []
        self.name = self.cell = None
        self.inside = []
        self.feed(text)
        self.close()
        assert self.inside == [], self.inside

    VOID = {"meta", "rect", "line"}

    def handle_starttag(self, tag, attrs):
        self.tags[tag] += 1
        given = dict(attrs)
        if tag not in self.VOID:
            self.inside.append(tag)
        self.refers += [(k, v) for k, v in attrs if k in (
            "src", "href", "action", "data", "srcset", "poster", "background")
            or k.startswith("on") or "url(" in (v or "")]
        self.ids += [given["id"]] if "id" in given else []
        if given.get("role") == "region":
            self.name = given["aria-label"]
            self.tables[self.name] = []
        if tag == "tr":
            self.tables[self.name].append([])
        if tag in ("td", "th"):
            self.cell = ""
            if tag == "th":
                assert given["scope"] in ("row", "col")

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.inside.pop() == tag, (tag, self.inside)
        if tag in ("td", "th"):
            self.tables[self.name][-1].append(self.cell.replace("\xa0", " "))
            self.cell = None

    def handle_startendtag(self, tag, attrs):
        assert tag in self.VOID
        self.handle_starttag(tag, attrs)

    def handle_data(self, data):
        self.text.append(data)
        if self.cell is not None:
            self.cell += data
        if self.inside[-2:] == ["g", "title"]:
            self.titles.append(data.replace("\xa0", " "))

    def table(self, name):
        """{first column: {column: text}}"""
        head, *rows = self.tables[name]
        return {row[0]: dict(zip(head[1:], row[1:])) for row in rows}

    def words(self):
        return re.sub(r"\s+", " ", "".join(self.text))


def number(text):
    return int(text.replace(",", ""))


def report(text, *args):
    p = run("report", *args, "-", input=text.encode("latin-1"))
    assert (p.returncode, p.stderr) == (0, b""), p
    return p.stdout.decode()


@pytest.fixture(scope="module")
def rows():
    return some_rows(3000, 21 * 86400)


@pytest.fixture(scope="module")
def page(rows):
    return Page(report("no decision\n" + "".join(r.text() for r in rows)))


def count(rows, **wanted):
    return sum(all(getattr(r, k) == v for k, v in wanted.items())
               for r in rows)


class TestNumbers:
    """Each table against the rows that the log was made of."""

    def test_endpoints(self, page, rows):
        table = page.table("Decisions by endpoint")
        assert set(table) == {"rsvp", "feed", "poll"}
        for name, got in table.items():
            own = [r for r in rows if r.endpoint == name]
            expected = {
                "Decisions": len(own), "Allowed": count(own, decision="allow"),
                "Preflights": count(own, decision="preflight"),
                "Let through": count(own, decision="report"),
                "Refused": count(own, decision="deny"),
                "Version 1": count(own, version=1),
                "Version 2": count(own, version=2),
                "Faults": sum(r.fault() for r in own)}
            share = got.pop("Refused, of all")
            assert {k: number(v) for k, v in got.items()} == expected
            assert share == f"{100 * expected['Refused'] / len(own):.1f} %"

    def test_reasons(self, page, rows):
        """With their sentences."""
        table = page.table("Reasons of refusals")
        for reason, sentence in REASONS.items():
            own = [r for r in rows if r.refused() and r.reason == reason]
            assert number(table[reason]["Requests"]) == len(own)
            assert table[reason]["What it says"] == sentence
        assert len(table) == len(REASONS)

    def test_senders(self, page, rows):
        """The 25 that were refused most, and for what."""
        by_name = collections.Counter(r.sender for r in rows if r.refused())
        table = page.table("Refused senders")
        got = [(n, number(v["Refusals"])) for n, v in table.items()]
        assert [n for _, n in got] == sorted(by_name.values())[:-26:-1]
        for name, refusals in got:
            assert by_name[name] == refusals
            own = [r for r in rows if r.refused() and r.sender == name]
            whys = dict(re.findall(r"([a-z-]+) (\d+)",
                                   table[name]["Reasons"]))
            assert whys == {k: str(v) for k, v in collections.Counter(
                r.reason for r in own).items()}
            last = BEGIN + timedelta(seconds=max(r.seconds for r in own))
            assert table[name]["Last time"] == \
                f"{last.day} {last:%b %Y, %H:%M}"
        assert f"More, not shown: {len(by_name) - 25}." in page.words()

    def test_origins(self, page, rows):
        own = [r for r in rows
               if r.refused() and r.reason == "origin-not-allowed"]
        table = page.table("Refused origins")
        assert number(table["https://o.example"]["Refusals"]) == len(own)

    def test_faults(self, page, rows):
        head, *table = page.tables["Faults of allowed requests"]
        got = {(r[0], r[1]): number(r[3]) for r in table}
        expected = collections.Counter(
            (r.endpoint, str(r.status) if r.reason == "ok" else r.reason)
            for r in rows if r.fault())
        assert got == expected
        assert ["The handler itself answered 500."] * 3 == [
            r[2] for r in table if r[1] == "500"]

    def test_times(self, page, rows):
        """Percentiles by their definition, or 3 % above."""
        table = page.table("Times by endpoint")
        for name, got in table.items():
            own = sorted(r.ms for r in rows if r.endpoint == name
                         and r.decision in ("allow", "report"))
            assert number(got["Requests"]) == len(own)
            assert number(got["Longest"]) == own[-1]
            for p in (50, 95, 99):
                exact = own[-(-len(own) * p // 100) - 1]
                assert exact <= number(got[f"p{p}"]) <= exact * 33 / 32
        p99 = [number(row["p99"]) for row in table.values()]
        assert p99 == sorted(p99, reverse=True)

    def test_versions(self, page, rows):
        table = page.table("Versions in numbers")
        both = count(rows, version=1) + count(rows, version=2)
        for version in (1, 2):
            got = table[f"Version {version}"]
            n = count(rows, version=version)
            assert number(got["Decisions"]) == n
            assert got["Share"] == f"{100 * n / both:.1f} %"
            assert number(got["Refused"]) == count(
                rows, version=version, decision="deny")
        assert number(table["Neither"]["Preflights"]) == count(
            rows, decision="preflight")

    def test_over_time(self, page, rows):
        """Bars of six hours; their titles and their table say the same."""
        table = page.table("Decisions and versions over time, in numbers")
        bars = collections.defaultdict(collections.Counter)
        for r in rows:
            bars[r.seconds // 21600].update([r.decision, r.version])
        assert len(table) == 84
        for i, (name, got) in enumerate(table.items()):
            begin = BEGIN + timedelta(hours=6 * i)
            hour = begin.hour
            assert name == (f"{begin:%a} {begin.day} {begin:%b %Y}, {hour:02}:"
                            f"00 to {hour + 6:02}:00")
            assert [number(n) for n in got.values()] == [
                bars[i][k] for k in ("allow", "preflight", "report", "deny",
                                     1, 2)]
        assert page.titles[0] == "\n".join([
            list(table)[0], f"refused: {bars[0]['deny']}",
            f"let through: {bars[0]['report']}",
            f"preflights: {bars[0]['preflight']}",
            f"allowed: {bars[0]['allow']}"])

    def test_head_and_foot(self, page, rows):
        words = page.words()
        assert "3,001 lines, 1 without a decision. From standard input." \
            in words
        first = BEGIN + timedelta(seconds=min(r.seconds for r in rows))
        last = BEGIN + timedelta(seconds=max(r.seconds for r in rows))
        assert f"{first.day} {first:%b %Y, %H:%M} to {last.day} " \
            f"{last:%b %Y, %H:%M} (UTC)".replace(" ", "") in \
            words.replace(" ", "").replace("\xa0", "")


class TestForm:
    def test_alone(self, page):
        """It refers to nothing, and runs nothing."""
        assert page.refers == []
        assert not {"script", "img", "link", "iframe", "object", "embed",
                    "form", "base", "a"} & set(page.tags)
        assert len(set(page.ids)) == len(page.ids)

    def test_deterministic(self, rows):
        text = "".join(r.text() for r in rows[:50])
        assert report(text) == report(text)

    def test_order(self, rows):
        """The order of lines changes nothing but that of equals."""
        there = [r.text() for r in rows]
        got = [Page(report("".join(lines)))
               for lines in (there, there[::-1])]
        names = set(got[0].tables) - {"Refused senders"}
        for name in names:
            assert sorted(got[0].tables[name]) == sorted(got[1].tables[name])
        assert got[0].titles == got[1].titles

    def test_format(self):
        """JSON lines make the same page, and syslog's."""
        text = line(sender="x@y.example", decision="deny", status=403,
                    reason="sender-not-allowed", rule="-")
        as_json = json.dumps({
            "time": "2026-11-21T10:00:00.000Z", "id": "0000002a",
            "decision": "deny", "status": 403, "reason": "sender-not-allowed",
            "version": 2, "endpoint": None, "method": "GET",
            "sender": "x@y.example", "origin": None, "rule": None, "ms": 3},
            separators=(",", ":")) + "\n"
        assert report(text) == report(as_json)
        assert report("Nov 22 04:49:35 host name[1]: " + text) == report(text)

    @pytest.mark.parametrize("seconds", [0, 3600, 86400, 400 * 86400])
    def test_spans(self, seconds):
        """Whatever the span, all lines are in the bars."""
        texts = [line().replace("2026-11-21T10:00:00.000Z", at(s))
                 for s in (0, seconds // 3, seconds)]
        page = Page(report("".join(texts)))
        table = page.table("Decisions and versions over time, in numbers")
        assert sum(number(r["Allowed"]) for r in table.values()) == 3
        assert 1 <= len(table) <= 96

    @pytest.mark.parametrize("seconds", [0, 60, 3600, 3 * 3600, 86399, 86400,
                                         3 * 86400, 400 * 86400])
    def test_dates(self, seconds):
        """However short it was, an axis has two dates at least."""
        text = report("".join(Row(random.Random(1), s).text()
                              for s in (0, seconds)))
        for chart in re.findall(r"<svg.*?</svg>", text, re.S):
            dates = re.findall(r'<text class="x"[^>]*>([^<]*)<', chart)
            assert len(dates) >= 2 and len(set(dates)) == len(dates), dates

    def test_empty(self):
        page = Page(report(""))
        assert "No decision was logged." in page.words()
        assert page.tables == {}

    def test_hidden_senders(self):
        text = line(decision="deny", status=403, reason="sender-not-allowed")
        page = Page(report(
            text.replace(' sender="a@b.example"', "") * 2
            + text.replace('"a@b.example"', "-")
            + text.replace("a@", "@")))
        assert "not in the log (log_senders): 2." in page.words()
        assert "named no sender: 1." in page.words()
        assert list(page.table("Refused senders")) == ["@b.example"]


# Hostile values


EVIL = ["<script>document.title='evil'</script>",
        "<img src=x onerror=alert(1)>", "'><svg onload=alert(1)>",
        "</title></style><h1>evil</h1>", "&lt;b&gt;&amp;", "{{7*7}}",
        "javascript:alert(1)", "<!--", "]]>", "%3Cscript%3E",
        "x" * 480]
TITLE = "<script>alert('t')</script> & \"Gr\u00fc\u00dfe\"\n</title>"


def hostile_log():
    """Each of them as endpoint, sender and origin."""
    texts = []
    for i, evil in enumerate(EVIL):
        values = {"endpoint": f'"{evil}"', "sender": evil,
                  "origin": f'"{evil}"', "decision": "deny", "status": 403,
                  "reason": "origin-not-allowed"}
        texts.append(line(**values).replace(
            "2026-11-21T10", f"2026-11-{i + 1:02}T10"))
        texts.append(line(**{**values, "decision": "allow", "status": 502,
                             "reason": "handler-died"}))
    texts.append(line(decision="deny", status=403, reason="bad-byte",
                      sender="\\x3cscript\\x3e\\x22\\x0a\\xc3\\x9f\\x5c"))
    return "".join(texts)


@pytest.fixture(scope="module")
def hostile():
    return report(hostile_log(), f"--title={TITLE}")


class TestHostile:
    def test_escaped(self, hostile):
        """No value is anything but text."""
        page = Page(hostile)
        assert not {"script", "img", "b"} & set(page.tags)
        assert page.tags["h1"] == 1 and page.tags["title"] > 1
        assert page.refers == []
        for evil in EVIL:
            assert evil in page.table("Decisions by endpoint")
            assert evil in page.table("Refused senders")
            assert evil in page.table("Refused origins")

    def test_bytes(self, hostile):
        """As they are in the log, so that they can be searched for."""
        assert "<script>\\x22\\x0a\\xc3\\x9f\\x5c" in Page(hostile).table(
            "Refused senders")

    def test_title(self, hostile):
        page = Page(hostile)
        assert TITLE.replace("\n", " ") in page.words()

    def test_cut(self):
        """A beginning is marked as one."""
        name = "a" * 506 + "..."
        text = line(sender=name, decision="deny", status=403,
                    reason="bad-address")
        assert name in Page(report(text)).table("Refused senders")

    def test_many_names(self):
        """Of more senders than can be told apart, the rest is counted."""
        text = "".join(line(sender=f"{i}@b.example", decision="deny",
                            status=403, reason="sender-not-allowed")
                       for i in range(100007))
        assert "(100,000 can be told apart): 7." in Page(report(text)).words()


# In a browser


HARNESS = """<!DOCTYPE html><meta charset="utf-8"><body><script>
const widths = [1100, 400];
const look = (frame) => {
  const d = frame.contentDocument, w = frame.contentWindow;
  const all = (s) => [...d.querySelectorAll(s)];
  const box = (e) => e.getBoundingClientRect();
  const bars = all("svg g rect:not(.hit)");
  return {
    title: d.title, h1: all("h1").map((e) => e.textContent),
    text: d.body.innerText,
    strange: all("script,img,iframe,link,b,[onerror],[onload]").length,
    wide: d.documentElement.scrollWidth - d.documentElement.clientWidth,
    bars: bars.length,
    flat: bars.filter((e) => !(box(e).width > 0 && box(e).height > 0)).length,
    apart: all("svg g").filter((g) => {
      const own = [...g.querySelectorAll("rect:not(.hit)")].map(box);
      return own.some((b, i) => i > 0 &&
        Math.abs(b.bottom - own[i - 1].top) > 0.5);
    }).length,
    out: bars.filter((e) => box(e).right > w.innerWidth).length,
    svg: all("svg").map((e) => [box(e).width, box(e).height]),
    fills: [...new Set(bars.map((e) => w.getComputedStyle(e).fill))],
    page: w.getComputedStyle(d.body).backgroundColor,
    ink: w.getComputedStyle(d.body).color,
    aligned: w.getComputedStyle(d.querySelector("tbody td")).textAlign,
    loaded: w.performance.getEntriesByType("resource").length,
  };
};
const visit = (name, width) => new Promise((done) => {
  const frame = document.createElement("iframe");
  frame.style.width = width + "px";
  frame.style.height = "900px";
  frame.onload = () => { done(look(frame)); };
  frame.src = name;
  document.body.append(frame);
});
(async () => {
  const found = {};
  for (const name of ["/report", "/hostile"])
    for (const width of widths)
      found[name.slice(1) + "-" + width] = await visit(name, width);
  await new Promise((done) => {
    const frame = document.createElement("iframe");
    frame.onload = done;
    frame.src = "/control";
    document.body.append(frame);
  });
  await fetch("/done", { method: "POST", body: JSON.stringify(found) });
})();
</script>"""

# what the pages' own policy forbids, so that it is seen that the log has it
CONTROL = """<!DOCTYPE html><meta http-equiv="Content-Security-Policy"
content="default-src 'none'; style-src 'unsafe-inline'"><title>c</title>
<body><script>document.title = "ran"</script>"""


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        path = urlsplit(self.path).path
        self.server.asked.append(path)
        text = self.server.pages.get(path)
        if text is None:
            self.send_error(404)
        else:
            self.reply(text)

    def do_POST(self):
        length = int(self.headers["Content-Length"])
        self.server.found = json.loads(self.rfile.read(length))
        self.reply("")

    def reply(self, text):
        body = text.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Looker(Browser):
    """One whose console is in its log."""

    def __init__(self, home, url, dark):
        self.home = str(home)
        more = ["--enable-logging=stderr", "--window-size=1280,1024",
                f"--blink-settings=preferredColorScheme={0 if dark else 1}"]
        self.child = kit.Child(
            [CHROMIUM, *FLAGS, *more, f"--user-data-dir={home}", url],
            home / "log", cwd=home, env={
                "PATH": os.defpath, "HOME": self.home, "TMPDIR": self.home})


class Sight:
    """What a browser saw, and what it had to complain about."""

    def __init__(self, folder, pages, dark):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        server.pages, server.asked, server.found = pages, [], None
        threading.Thread(target=server.serve_forever, daemon=True).start()
        home = folder.make("dark" if dark else "light")
        browser = Looker(home, f"http://127.0.0.1:{server.server_port}/", dark)
        try:
            until(lambda: browser.child.ended() or server.found,
                  "the browser", BOUND)
            until(lambda: browser.child.ended() or
                  "/control" in browser.child.said(), "its console", BOUND)
        finally:
            browser.stop()
            server.shutdown()
            server.server_close()
        said = browser.child.said()
        assert server.found, said[-5000:]
        self.seen, self.asked = server.found, server.asked
        self.console = [row for row in said.splitlines() if "CONSOLE" in row]


@pytest.fixture(scope="module", params=["light", "dark"])
def sight(request, rows, hostile):
    folder = kit.Folder()
    pages = {"/": HARNESS, "/control": CONTROL, "/hostile": hostile,
             "/report": report("".join(r.text() for r in rows))}
    try:
        made = Sight(folder, pages, request.param == "dark")
        made.scheme = request.param
        yield made
    finally:
        folder.remove()


VIEWS = ["report-1100", "report-400", "hostile-1100", "hostile-400"]


class TestBrowser:
    def test_console(self, sight):
        """Nothing to complain about; the log would have it."""
        of_pages = [row for row in sight.console if "/control" not in row]
        assert of_pages == []
        assert any("Content Security Policy" in row for row in sight.console)

    def test_asked(self, sight):
        """The pages load nothing."""
        assert set(sight.asked) <= {"/", "/report", "/hostile", "/control",
                                    "/favicon.ico"}
        assert all(v["loaded"] == 0 for v in sight.seen.values())

    @pytest.mark.parametrize("view", VIEWS)
    def test_layout(self, sight, view):
        """Nothing is wider than the window, and every bar can be seen."""
        got = sight.seen[view]
        assert got["wide"] <= 0
        assert (got["flat"], got["out"], got["apart"]) == (0, 0, 0)
        assert got["bars"] > 10
        assert all(w > 200 and h > 200 for w, h in got["svg"]) and got["svg"]
        assert got["aligned"] == "right"

    @pytest.mark.parametrize("view", VIEWS[:2])
    def test_text(self, sight, view, rows):
        got = sight.seen[view]
        assert got["title"] == "AMP email: decisions"
        assert got["h1"] == ["AMP email: decisions"]
        for words in ("Decisions over time", "Versions 1 and 2",
                      "Slowest times", *REASONS.values(), f"{len(rows):,}"):
            assert words in got["text"]
        assert len(got["fills"]) == 6

    @pytest.mark.parametrize("view", VIEWS[2:])
    def test_hostile(self, sight, view):
        """Text, and nothing else."""
        got = sight.seen[view]
        assert got["title"] == re.sub(r"\s+", " ", TITLE)
        assert got["strange"] == 0
        assert len(got["h1"]) == 1
        for evil in EVIL:
            assert evil in got["text"].replace("\n", "")

    def test_scheme(self, sight):
        """Light on dark, or dark on light."""
        def light(colour):
            return sum(map(int, re.findall(r"\d+", colour)[:3])) > 3 * 128

        for got in sight.seen.values():
            assert light(got["page"]) is (sight.scheme == "light")
            assert light(got["ink"]) is (sight.scheme == "dark")
