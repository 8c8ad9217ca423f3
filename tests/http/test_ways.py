"""Each way in, with a real web server: one table of requests for all."""

import pytest

import servers
from kit import ORIGIN, SENDER, V2, echo, ours, version1

PARAMETER = "__amp_source_origin="
GMAIL = "https://mail.google.com"
AMP_DEV = "https://playground.amp.dev"
GMAIL_DEV = "https://amp.gmail.dev"
V1_QUERY = PARAMETER + SENDER


def sender(address):
    return [("AMP-Email-Sender", address)]


def origin(value):
    return [("Origin", value)]


# name: query, header fields, the CORS fields of the answer
ALLOWED = {
    # "CORS in AMP for Email", its three examples
    "example-1": (V1_QUERY, origin(ORIGIN), version1()),
    "example-2": ("", sender(SENDER), V2),
    "example-3": (V1_QUERY, origin(ORIGIN) + sender(SENDER), V2),
    # Gmail's security requirements
    "gmail": (PARAMETER + "sender@example.com", origin(GMAIL),
              version1(GMAIL, "sender@example.com")),
    "gmail-encoded": ("x=1&" + PARAMETER + "sender%40example.com&y=2",
                      origin(GMAIL), version1(GMAIL, "sender@example.com")),
    "gmail-playground": (PARAMETER + "amp@gmail.dev", origin(GMAIL_DEV),
                         version1(GMAIL_DEV, "amp@gmail.dev")),
    "gmail-playground-2": (
        "", origin(GMAIL_DEV) + sender("amp@gmail.dev"),
        [("AMP-Email-Allow-Sender", "amp@gmail.dev"),
         ("Access-Control-Allow-Origin", GMAIL_DEV)]),
    "amp-playground": (PARAMETER + AMP_DEV, origin(AMP_DEV),
                       version1(AMP_DEV, AMP_DEV)),
    "amp-playground-encoded": (
        PARAMETER + "https%3A%2F%2Fplayground.amp.dev", origin(AMP_DEV),
        version1(AMP_DEV, AMP_DEV)),
    "as-received": ("", sender("Sender@Company.EXAMPLE"),
                    [("AMP-Email-Allow-Sender", "Sender@Company.EXAMPLE")]),
}

# name: query, header fields, reason
REFUSED = {
    "neither": ("", [], "no-amp-headers"),
    "parameter-alone": (V1_QUERY, [], "no-amp-headers"),
    "same-origin": ("", [("AMP-Same-Origin", "true")], "no-amp-headers"),
    "sender": ("", sender("evil@company.example"), "sender-not-allowed"),
    "sender-no-fallback": (V1_QUERY, origin(ORIGIN) + sender("a@b.example"),
                           "sender-not-allowed"),
    "sender-1": (PARAMETER + "evil@company.example", origin(ORIGIN),
                 "sender-not-allowed"),
    "origin": (V1_QUERY, origin("https://evil.example"),
               "origin-not-allowed"),
    "origin-null": (V1_QUERY, origin("null"), "origin-not-allowed"),
    "no-parameter": ("a=b", origin(ORIGIN), "source-origin-missing"),
    "empty-parameter": (PARAMETER, origin(ORIGIN), "source-origin-missing"),
    "two-parameters": (V1_QUERY + "&" + V1_QUERY, origin(ORIGIN),
                       "source-origin-repeated"),
    "two-in-one-field": ("", sender(f"{SENDER}, {SENDER}"), "bad-address"),
    "star": ("", sender("*"), "bad-address"),
    "playground-for-sender": (V1_QUERY, origin(AMP_DEV), None),
    "sender-for-playground": (PARAMETER + "amp@gmail.dev", origin(ORIGIN),
                              None),
}

SIZES = {"1": 1, "64k": 65536, "8M": 8 << 20}


def body_of(n):
    return (b"0123456789abcdef\r\n\0\xff" * (n // 20 + 1))[:n]


def assert_vary(answer):
    names = [n.strip().lower() for v in answer.all("Vary")
             for n in v.split(",")]
    assert sorted(names) == ["amp-email-sender", "origin"]


class Ways:
    """The table. A class for each way in adds which one it is."""

    @pytest.mark.parametrize("name", ALLOWED)
    def test_allowed(self, site, name):
        query, headers, expected = ALLOWED[name]
        before = site.ran()
        answer = site.ask(query=query, headers=headers)
        assert answer.status == 200, (answer, site.errors())
        assert ours(answer.headers) == sorted(expected)
        assert answer.body == echo(b"")
        assert answer.one("Content-Type") == "application/json"
        assert_vary(answer)
        assert site.ran() == before + 1

    @pytest.mark.parametrize("name", REFUSED)
    def test_refused(self, site, name):
        query, headers, reason = REFUSED[name]
        before = site.ran()
        answer = site.ask(query=query, headers=headers)
        assert answer.status == 403, (answer, site.errors())
        assert ours(answer.headers) == []
        assert reason in (None, answer.reason())
        assert answer.one("Cache-Control") == "no-store"
        assert_vary(answer)
        assert site.ran() == before

    def test_refused_with_a_body(self, site):
        """E32: the answer arrives although nobody wants the body."""
        before = site.ran()
        for size in (1, 65536, 8 << 20):
            answer = site.ask("POST", headers=sender("a@b.example"),
                              body=body_of(size))
            assert answer.status == 403, (size, answer, site.errors())
            assert answer.reason() == "sender-not-allowed"
        assert site.ran() == before

    @pytest.mark.parametrize("field", ["AMP-Email-Sender", "Origin"])
    @pytest.mark.parametrize("second", ["same", "other"])
    def test_repeated_field(self, site, field, second):
        """E1, E3: whatever the web server makes of two lines."""
        value = SENDER if field == "AMP-Email-Sender" else ORIGIN
        twin = value if second == "same" else "x" + value
        before = site.ran()
        answer = site.ask(query=V1_QUERY,
                          headers=[(field, value), (field, twin)])
        assert answer.status == 403, answer
        assert ours(answer.headers) == []
        assert site.ran() == before

    @pytest.mark.parametrize("source", ["", PARAMETER + SENDER])
    def test_preflight(self, site, source):
        before = site.ran()
        answer = site.ask("OPTIONS", query=source, headers=origin(ORIGIN) + [
            ("Access-Control-Request-Method", "POST"),
            ("Access-Control-Request-Headers", "amp-email-sender,x-evil")])
        assert answer.status == 204, (answer, site.errors())
        headers = dict(ours(answer.headers))
        assert len(headers) == len(ours(answer.headers)) == 4
        assert headers["Access-Control-Allow-Origin"] == ORIGIN
        assert headers["Access-Control-Allow-Methods"] == "GET, POST"
        assert headers["Access-Control-Max-Age"] == "600"
        allowed = headers["Access-Control-Allow-Headers"].lower()
        assert sorted(allowed.split(", ")) == [
            "amp-email-sender", "content-type"]
        assert answer.body == b""
        assert_vary(answer)
        assert site.ran() == before

    @pytest.mark.parametrize("query, claimed", [
        ("", "https://evil.example"),
        (PARAMETER + "evil@company.example", ORIGIN)])
    def test_preflight_refused(self, site, query, claimed):
        before = site.ran()
        answer = site.ask("OPTIONS", query=query, headers=origin(claimed) + [
            ("Access-Control-Request-Method", "POST")])
        assert answer.status == 403, (answer, site.errors())
        assert ours(answer.headers) == []
        assert answer.reason() in (
            "origin-not-allowed", "sender-not-allowed")
        assert site.ran() == before

    @pytest.mark.parametrize("size", SIZES)
    def test_post(self, site, size):
        body = body_of(SIZES[size])
        answer = site.ask("POST", headers=sender(SENDER), body=body)
        assert answer.status == 200, (answer, site.errors())
        assert answer.body == echo(body)
        assert ours(answer.headers) == V2

    @pytest.mark.parametrize("status", [404, 422, 500])
    def test_status(self, site, status):
        """A client looks at our fields before it looks at the status."""
        answer = site.ask(path=f"/status/{status}", headers=sender(SENDER))
        assert answer.status == status
        assert answer.body == echo(b"")
        assert ours(answer.headers) == V2
        answer = site.ask(path=f"/status/{status}", query=V1_QUERY,
                          headers=origin(ORIGIN))
        assert answer.status == status
        assert ours(answer.headers) == version1()

    def test_head(self, site):
        answer = site.ask("HEAD", headers=sender(SENDER))
        assert answer.status == 200 and answer.body == b""
        assert ours(answer.headers) == V2
        answer = site.ask("HEAD", headers=sender("a@b.example"))
        assert answer.status == 403 and answer.body == b""
        assert ours(answer.headers) == []

    def test_handler_fails(self, site):
        answer = site.ask(path="/die/3", headers=sender(SENDER))
        assert answer.status == 502
        assert answer.reason() == "handler-died"
        assert ours(answer.headers) == V2

    def test_large_answer(self, site):
        answer = site.ask(path="/body/3000000", headers=sender(SENDER))
        assert answer.body == b"b" * 3000000

    def test_error_log(self, site):
        """The handler's standard error and the decision end up there."""
        site.ask(path="/stderr/lines", headers=sender(SENDER))
        log = self.all_logs(site)
        assert "first line" in log and "second line" in log
        assert "allow 200 ok" in log

    @staticmethod
    def all_logs(site):
        return site.errors() + "".join(
            f.read_text(errors="replace")
            for f in (site.run / "spawn-fcgi", site.run / "systemd",
                      site.front.path / "stderr") if f.exists())

    def test_many_in_a_row(self, site):
        for i in range(20):
            body = body_of(i * 37)
            answer = site.ask("POST", headers=sender(SENDER), body=body)
            assert answer.body == echo(body)
            refused = site.ask("POST", headers=sender("a@b.example"),
                               body=body)
            assert refused.reason() == "sender-not-allowed"


class TestLighttpdCgi(Ways):
    way = servers.LighttpdCgi


class TestLighttpdInterpreter(Ways):
    way = servers.LighttpdInterpreter


class TestLighttpdShebang(Ways):
    way = servers.LighttpdShebang


class TestLighttpdSocket(Ways):
    way = servers.LighttpdSocket


class TestLighttpdScripts(Ways):
    way = servers.LighttpdScripts


class TestLighttpdSpawn(Ways):
    way = servers.LighttpdSpawn


class TestApacheCgi(Ways):
    way = servers.ApacheCgi


class TestApacheAction(Ways):
    way = servers.ApacheAction


class TestApacheShebang(Ways):
    way = servers.ApacheShebang


class TestApacheProxy(Ways):
    way = servers.ApacheProxy


class TestApacheProxyScripts(Ways):
    way = servers.ApacheProxyScripts


class TestNginxUnix(Ways):
    way = servers.NginxUnix


class TestNginxUnixClosing(Ways):
    way = servers.NginxUnixClosing


class TestNginxUnixKept(Ways):
    way = servers.NginxUnixKept


class TestNginxScripts(Ways):
    way = servers.NginxScripts


class TestNginxIpv4(Ways):
    way = servers.NginxIpv4


class TestNginxIpv4Kept(Ways):
    way = servers.NginxIpv4Kept


class TestNginxIpv6(Ways):
    way = servers.NginxIpv6


class TestNginxSpawnFcgi(Ways):
    way = servers.NginxSpawnFcgi


class TestNginxSystemd(Ways):
    way = servers.NginxSystemd


class TestNginxFcgiwrap(Ways):
    way = servers.NginxFcgiwrap


class TestNginxFcgiwrapShebang(Ways):
    way = servers.NginxFcgiwrapShebang
