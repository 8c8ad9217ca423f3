"""etc/examples: each handler in each language behind the front, and the mail
that calls them, as the official AMP validator sees it."""

import email
import email.policy
import glob
import hashlib
import json
import os
import re
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote_from_bytes, urlencode, urlsplit

import pytest

import kit
import servers
from kit import SENDER, V2, ours

EXAMPLES = servers.ETC / "examples"
VALIDATOR = kit.ROOT / "tests" / "validator"
SRV = "/srv/amp"
FORM = "application/x-www-form-urlencoded"
ITEMS = [{"title": "Tea", "price": "2.50"},
         {"title": "Crème brûlée", "price": "4.00"},
         {"title": '"Black \\ White" cake', "price": "3.20"}]
# what the handlers are called in the policy
NAMES = {"sh": "{}.sh", "pl": "{}.pl", "py": "{}.py", "c": "{}",
         "php": "{}.php.sh"}


def encoded(data):
    return b"comment=" + quote_from_bytes(data, safe="").encode()


# name: body, and the comment in the answer
ACCEPTED = {
    "plain": (b"comment=Hello", "Hello"),
    "plus": (b"comment=a+b%2Bc", "a b+c"),
    "raw": (b"comment=\"\\</script>'\xc3\xa9\x01\r\n",
            "\"\\</script>'é\x01\r\n"),
    "every-ascii": (encoded(bytes(range(128))),
                    "".join(map(chr, range(128)))),
    "nul-alone": (b"comment=%00", "\0"),
    "lower-case-hex": (b"comment=%c3%a9%0a", "é\n"),
    "no-hex": (b"comment=%zz%4%%g1%4g+%", "%zz%4%%g1%4g %"),
    "ends-in-%4": (b"comment=%4", "%4"),
    "%-before-&": (b"comment=%4&1=2", "%4"),
    "%25": (b"comment=%2541", "%41"),
    "equals": (b"comment=a=b=c", "a=b=c"),
    "among-others": (b"a=1&&=&b&comment=x&c=2", "x"),
    "like-its-name": (b"comments=1&omment=2&comnent=3&comment=x", "x"),
    "encoded-name": (b"c%6Fmmen%74=x", "x"),
    "longest": (encoded("\U0010fffd".encode() * 200), "\U0010fffd" * 200),
    "200-of-2-bytes": (b"comment=" + "é".encode() * 200, "é" * 200),
    "the-ends-of-utf-8": (encoded(
        "\x7f\x80\u07ff\u0800\ud7ff\ue000\ufffd\U00010000".encode()),
        "\x7f\x80\u07ff\u0800\ud7ff\ue000\ufffd\U00010000"),
    "4096-bytes": (b"comment=x&more=" + b"y" * (4096 - 15), "x"),
}

# each 422, bad-comment
REFUSED = {
    "empty-body": b"",
    "no-field": b"name=x",
    "no-value": b"comment",
    "empty": b"comment=",
    "empty-&": b"comment=&x=comment=1",
    "201": b"comment=" + b"x" * 201,
    "201st-is-a-line-feed": b"comment=" + b"x" * 200 + b"%0A",
    "201-of-4-bytes": b"comment=" + "\U0010fffd".encode() * 201,
    "blank-in-name": b"com%20ment=x",
    "nul-in-name": b"comm%00ent=x",
    "array": b"comment[]=x",
    "ff": encoded(b"a\xff"),
    "raw-ff": b"comment=\xff",
    "lone-continuation": encoded(b"\x80"),
    "cut-2": encoded(b"\xc3"),
    "cut-3": encoded(b"\xe2\x82"),
    "cut-4": encoded(b"\xf0\x9f\x98"),
    "cut-by-ascii": encoded(b"\xe2\x28\xa1"),
    # decoded in place, é's second byte stands behind it once more
    "cut-at-the-end": b"comment=%41\xc3\xa9\xc3",
    "overlong-2": encoded(b"\xc0\x80"),
    "overlong-2-c1": encoded(b"\xc1\xbf"),
    "overlong-3": encoded(b"\xe0\x9f\xbf"),
    "overlong-4": encoded(b"\xf0\x8f\xbf\xbf"),
    "surrogate": encoded(b"\xed\xa0\x80"),
    "surrogate-end": encoded(b"\xed\xbf\xbf"),
    "above-10ffff": encoded(b"\xf4\x90\x80\x80"),
    "f5": encoded(b"\xf5\x80\x80\x80"),
}

# name: what is odd in a request for the form, its status and code
ODD = {
    "4097-bytes": ({"body": b"comment=x&more=" + b"y" * (4097 - 15)},
                   413, "too-large"),
    "huge-field": ({"body": b"comment=" + b"x" * (1 << 20)},
                   413, "too-large"),
    "text/plain": ({"CONTENT_TYPE": "text/plain"}, 415, "bad-type"),
    "json": ({"CONTENT_TYPE": "application/json", "body": b"{}"},
             415, "bad-type"),
    "multipart": ({"CONTENT_TYPE": "multipart/form-data; boundary=x",
                   "body": b"--x--\r\n"}, 415, "bad-type"),
    "no-type": ({"CONTENT_TYPE": None}, 415, "bad-type"),
    "longer-type": ({"CONTENT_TYPE": FORM + "2"}, 415, "bad-type"),
    "get": ({"method": "GET", "body": None}, 405, "bad-method"),
    "put": ({"method": "PUT"}, 405, "bad-method"),
}


# The handlers, in their place


def copy(to, name, new=None):
    """As "cp": what can be executed stays so."""
    mode = 0o755 if os.access(EXAMPLES / name, os.X_OK) else 0o644
    kit.write(to / (new or name), (EXAMPLES / name).read_bytes(), mode)


def compile_as_told(to, name):
    """By the line in its comment, and without a warning by our own."""
    line = re.search(r"^ \*\t(cc .*)$", (EXAMPLES / name).read_text(), re.M)
    subprocess.run([*line[1].split(), "-Wall", "-Wextra", "-Werror"],
                   cwd=to, check=True)


def put_all(to):
    """What etc/examples/README tells to do, for all languages."""
    for base in ("list", "form"):
        for kind in ("sh", "pl", "py", "c", "php"):
            copy(to, f"{base}.{kind}")
        compile_as_told(to, f"{base}.c")
        copy(to, "php-cgi.sh", f"{base}.php.sh")


def policy(kind, srv):
    """The example's policy, with another language's programs."""
    return servers.sample("examples/amp-cors.ini", {
        f"{SRV}/{base}.sh": srv / NAMES[kind].format(base)
        for base in ("list", "form")})


def policy_forward(socket):
    """The same, with PHP-FPM for all."""
    return re.sub(r"^exec = .*$", f"forward = unix:{socket}",
                  (EXAMPLES / "amp-cors.ini").read_text(), flags=re.M)


@pytest.fixture(scope="module")
def srv():
    folder = kit.Folder()
    made = folder.make("srv")
    put_all(made)
    yield made
    folder.remove()


def start_fpm(run):
    """PHP-FPM with one process, as a child of ours; and its socket."""
    user = "user = www-data\ngroup = www-data\n" if servers.ROOT else ""
    conf = kit.write(run / "fpm.conf", (
        f"[global]\nerror_log = {run}/fpm.log\n[www]\n{user}"
        f"listen = {run}/fpm.sock\npm = static\npm.max_children = 1\n"))
    program = sorted(glob.glob("/usr/sbin/php-fpm[0-9]*"))[-1]
    child = kit.Child([program, "-F", "-y", conf], run / "fpm.out")
    socket = f"{run}/fpm.sock"
    kit.until(lambda: child.ended() or kit.answers(socket), "PHP-FPM")
    assert not child.ended(), child.said()
    return child, socket


class Handlers:
    """The example's policy and one language, in one of the ways in."""

    def __init__(self, kind, way, srv, helper):
        self.folder = kit.Folder()
        self.front = kit.Front(self.folder, helper)
        self.srv, self.kind, self.fpm = srv, kind, None
        if kind == "fpm":
            self.fpm, socket = start_fpm(self.folder.make("run"))
            self.front.configure(whole=policy_forward(socket))
        else:
            self.front.configure(whole=policy(kind, srv))
        self.way = way(self.front)

    def ask(self, script="/amp", path="", **request):
        if self.fpm:  # the web server names the file
            request["SCRIPT_FILENAME"] = \
                str(self.srv) + (script + path).removeprefix("/amp") + ".php"
        return self.way.ask(script=script, path=path, **request)

    def stop(self):
        assert self.front.stop() in (None, 0)
        if self.fpm:
            self.fpm.stop()
        self.folder.remove()


@pytest.fixture(scope="module", params=[
    (kind, way) for kind in [*NAMES, "fpm"]
    for way in (kit.ByCgi, kit.ByFastCgi)
], ids=lambda p: f"{p[0]}-{p[1].name}")
def handlers(request, srv, helper):
    made = Handlers(*request.param, srv, helper)
    yield made
    made.stop()


def post(handlers, body, CONTENT_TYPE=FORM, method="POST", **more):
    return handlers.ask(method=method, path="/form", body=body,
                        CONTENT_TYPE=CONTENT_TYPE, **more)


def data_of(answer, status):
    """The JSON of an answer, which is nothing but that."""
    assert answer.status == status, answer.raw
    assert answer.one("Content-Type") == "application/json"
    assert "handler:" not in answer.errors, answer.errors
    assert not answer.broken
    return json.loads(answer.body)


def code_of(answer, status):
    error = data_of(answer, status)["error"]
    assert set(error) == {"code", "message"} and error["message"]
    return error["code"]


# What they answer


def test_list(handlers):
    answer = handlers.ask(path="/list")
    assert data_of(answer, 200) == {"items": ITEMS}


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_list_is_only_read(handlers, method):
    answer = handlers.ask(path="/list", method=method, body=b"",
                          CONTENT_TYPE=FORM)
    assert code_of(answer, 405) == "bad-method"
    assert answer.one("Allow") == "GET, HEAD"


@pytest.mark.parametrize("name", ACCEPTED)
def test_form_takes(handlers, name):
    body, comment = ACCEPTED[name]
    assert data_of(post(handlers, body), 200) == {
        "comment": comment, "sender": SENDER}


@pytest.mark.parametrize("name", REFUSED)
def test_form_refuses(handlers, name):
    assert code_of(post(handlers, REFUSED[name]), 422) == "bad-comment"


@pytest.mark.parametrize("name", ODD)
def test_form_odd(handlers, name):
    request, status, code = ODD[name]
    answer = post(handlers, **{"body": b"comment=x", **request})
    assert code_of(answer, status) == code
    assert answer.all("Allow") == (["POST"] if status == 405 else [])


@pytest.mark.parametrize("kind", [
    FORM + ";charset=UTF-8", FORM + " ; charset=utf-8", FORM.upper()])
def test_form_type(handlers, kind):
    answer = post(handlers, b"comment=x", CONTENT_TYPE=kind)
    assert data_of(answer, 200)["comment"] == "x"


def test_list_head(handlers):
    answer = handlers.ask(path="/list", method="HEAD")
    assert answer.status == 200 and answer.body == b""
    assert answer.one("Content-Type") == "application/json"


@pytest.mark.parametrize("body,status", [
    (b"comment=Hello", 200), (b"comment=", 422), (b"", 422),
    (b"comment=" + b"x" * 100000, 413)])
def test_no_content_length(handlers, body, status):
    """The front finds the length [SPEC 1.6]."""
    answer = post(handlers, None, send=body)
    data = data_of(answer, status)
    assert ("error" in data) == (status != 200)


@pytest.mark.parametrize("request_,status", [
    ({"path": "/list"}, 200),
    ({"path": "/list", "method": "POST", "body": b""}, 405),
    ({"path": "/form", "method": "POST", "CONTENT_TYPE": FORM,
      "body": b"comment=x"}, 200),
    ({"path": "/form", "method": "POST", "CONTENT_TYPE": FORM,
      "body": b"comment="}, 422)])
def test_cors_is_the_fronts(handlers, request_, status):
    """Whatever the status, each field once [SPEC 4.4]."""
    version2 = handlers.ask(**request_)
    assert version2.status == status and ours(version2.headers) == V2
    gmail = "https://mail.google.com"
    version1 = handlers.ask(**request_, sender=None, origin=gmail,
                          query="__amp_source_origin=" + SENDER)
    assert version1.status == status
    assert ours(version1.headers) == kit.version1(gmail)


@pytest.mark.parametrize("path", ["/list", "/form"])
def test_nobody_else(handlers, path):
    answer = handlers.ask(path=path, sender="evil@company.example")
    assert answer.status == 403
    assert answer.reason() == "sender-not-allowed"


@pytest.mark.parametrize("path", ["", "/", "/lists", "/other"])
def test_no_other_path(handlers, path):
    assert handlers.ask(path=path).reason() == "no-endpoint"


# What they are without the front


@pytest.fixture(params=NAMES)
def alone(request, srv):
    """Runs a program of a language as any CGI server would."""
    def run(base, body=b"", **env):
        environment = {"PATH": os.defpath, "GATEWAY_INTERFACE": "CGI/1.1",
                       **env}
        program = srv / NAMES[request.param].format(base)
        done = subprocess.run([program], input=body, env=environment,
                              cwd=srv, capture_output=True, check=True,
                              timeout=kit.WAIT)
        assert done.stderr == b""
        head, data = re.split(rb"\r?\n\r?\n", done.stdout, 1)
        names = {n.split(b":")[0].lower() for n in head.splitlines()}
        return names, json.loads(data)
    return run


@pytest.mark.parametrize("base,env", [
    ("list", {"REQUEST_METHOD": "GET"}),
    ("list", {"REQUEST_METHOD": "POST"}),
    ("form", {"REQUEST_METHOD": "GET"}),
    ("form", {"REQUEST_METHOD": "POST"}),
    ("form", {"REQUEST_METHOD": "POST", "CONTENT_TYPE": FORM}),
    ("form", {"REQUEST_METHOD": "POST", "CONTENT_TYPE": FORM,
              "CONTENT_LENGTH": "9"}),
    ("form", {"REQUEST_METHOD": "POST", "CONTENT_TYPE": FORM,
              "CONTENT_LENGTH": "9999"})])
def test_they_know_nothing_of_cors(alone, base, env):
    names, _ = alone(base, b"comment=x", **env)
    assert names <= {b"status", b"content-type", b"allow", b"x-powered-by"}


def test_no_more_than_the_length_is_read(alone):
    _, data = alone("form", b"comment=abc", REQUEST_METHOD="POST",
                    CONTENT_TYPE=FORM, CONTENT_LENGTH="9",
                    AMP_CORS_SENDER=SENDER)
    assert data == {"comment": "a", "sender": SENDER}


@pytest.mark.parametrize("length", ["", "0"])
def test_no_length_is_no_body(alone, length):
    _, data = alone("form", b"comment=abc", REQUEST_METHOD="POST",
                    CONTENT_TYPE=FORM, CONTENT_LENGTH=length)
    assert data["error"]["code"] == "bad-comment"


def test_a_body_that_ends_early(alone):
    _, data = alone("form", b"comment=abc", REQUEST_METHOD="POST",
                    CONTENT_TYPE=FORM, CONTENT_LENGTH="100",
                    AMP_CORS_SENDER=SENDER)
    assert data == {"comment": "abc", "sender": SENDER}


# The mail


class AmpPart(HTMLParser):
    """What the AMP part asks for, and what its templates show."""

    def __init__(self, html):
        super().__init__()
        self.lists, self.forms, self.fields = [], [], []
        self.shown = {}
        self.place = None
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag == "amp-list":
            self.lists.append(attrs)
            self.place = "items"
        elif tag == "form":
            self.forms.append(attrs)
        elif "name" in attrs and tag in ("input", "textarea", "select"):
            self.fields.append(attrs["name"])
        elif tag == "div":
            self.place = next(iter(attrs), None)

    def handle_data(self, data):
        names = re.findall(r"{{([^}]*)}}", data)
        self.shown.setdefault(self.place, []).extend(names)


@pytest.fixture(scope="module")
def mail():
    return email.message_from_bytes((EXAMPLES / "mail.eml").read_bytes(),
                                    policy=email.policy.default)


@pytest.fixture(scope="module")
def amp_html(mail):
    return mail.get_payload(1).get_content()


@pytest.fixture(scope="module")
def amp(amp_html):
    return AmpPart(amp_html)


def asked(url):
    """The variables of a request for a URL of the mail."""
    parts = urlsplit(url)
    assert (parts.scheme, parts.netloc) == ("https", "company.example")
    return {"script": parts.path, "path": "", "query": parts.query}


def lookup(data, name):
    for word in name.split("."):
        data = data[word]
    return data


def test_mail_is_whole(mail):
    """RFC 5322 and 2046; the AMP part before the HTML part."""
    kinds = ["text/plain", "text/x-amp-html", "text/html"]
    parts = list(mail.iter_parts())
    assert mail.get_content_type() == "multipart/alternative"
    assert [p.get_content_type() for p in parts] == kinds
    assert not any(p.defects for p in mail.walk())
    for name in ("From", "To", "Subject", "Date", "Message-ID",
                 "MIME-Version"):
        assert len(mail.get_all(name, [])) == 1, name
        assert not mail[name].defects, name
    for part in parts:
        assert part["Content-Transfer-Encoding"] == "7bit"
        assert part.get_content().strip()


def test_mail_is_what_it_says():
    """7bit, lines in LF, and short enough for SMTP (RFC 5321, 4.5.3.1)."""
    raw = (EXAMPLES / "mail.eml").read_bytes()
    assert raw.isascii() and b"\r" not in raw and b"\0" not in raw
    assert max(map(len, raw.split(b"\n"))) <= 78


def test_mail_and_policy_have_one_sender(mail):
    sender = mail["From"].addresses[0].addr_spec
    ini = (EXAMPLES / "amp-cors.ini").read_text()
    assert re.findall(r"^senders = (.*)$", ini, re.M) == [sender] == [SENDER]


def test_mails_list(mail, amp, handlers):
    (attributes,) = amp.lists
    answer = handlers.ask(**asked(attributes["src"]))
    items = data_of(answer, 200)["items"]
    assert amp.shown["items"] == ["title", "price"]
    assert items and all(item.keys() >= set(amp.shown["items"])
                         for item in items)


@pytest.mark.parametrize("text,status,place", [
    ("All well & good: 1 + 1 = 2, é\r\n", 200, "submit-success"),
    ("", 422, "submit-error")])
def test_mails_form(amp, handlers, text, status, place):
    (form,) = amp.forms
    assert (form["method"], form["enctype"]) == ("post", FORM)
    assert amp.fields == ["comment"]
    body = urlencode(dict.fromkeys(amp.fields, text)).encode()
    answer = handlers.ask(method="POST", body=body,
                        CONTENT_TYPE=form["enctype"],
                        **asked(form["action-xhr"]))
    data = data_of(answer, status)
    assert amp.shown[place]
    assert all(lookup(data, name) for name in amp.shown[place])
    assert status != 200 or data["comment"] == text


def test_mail_shows_the_fronts_own_errors(amp, srv, folder, helper):
    """Those that carry the CORS fields have the same form [SPEC 2.10]."""
    front = kit.Front(folder, helper)
    front.configure(whole=policy("sh", srv).replace("form.sh", "none.sh"))
    answer = front.cgi(method="POST", body=b"comment=x", CONTENT_TYPE=FORM,
                       **asked(amp.forms[0]["action-xhr"]))
    assert answer.status == 404 and ours(answer.headers) == V2
    data = json.loads(answer.body)
    assert all(lookup(data, name) for name in amp.shown["submit-error"])


# The official validator


def stamp():
    """Which validator is wanted: what its files say."""
    names = ("package.json", "package-lock.json", "install", "validate.js")
    said = b"".join((VALIDATOR / n).read_bytes() for n in names)
    return hashlib.sha256(said).hexdigest()[:12]


@pytest.fixture(scope="module")
def validate():
    """The validator, installed into build/ where it is not there yet."""
    there = kit.ROOT / "build" / f"validator-{stamp()}"
    if not there.exists():
        done = subprocess.run([VALIDATOR / "install", there], text=True,
                              stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, check=False)
        assert done.returncode == 0, done.stdout

    def run(html):
        done = subprocess.run(["node", there / "validate.js"],
                              input=html.encode(), capture_output=True,
                              timeout=60, check=True)
        return json.loads(done.stdout)
    return run


def test_amp_part_is_valid(validate, amp_html):
    assert validate(amp_html) == {"status": "PASS", "errors": []}


@pytest.mark.parametrize("old,new,code", [
    ("<h1>", "<script>1</script><h1>", "DISALLOWED_SCRIPT_TAG"),
    ("<h1>", "<iframe src='https://company.example/'></iframe><h1>",
     "DISALLOWED_TAG"),
    ("<h1>", "<img src='https://company.example/x'><h1>", "DISALLOWED_TAG"),
    ('action-xhr="https', 'action-xhr="http', "INVALID_URL_PROTOCOL"),
    ('action-xhr="https', 'action="https', "DISALLOWED_ATTR"),
    (' src="https://company', ' src="http://company',
     "INVALID_URL_PROTOCOL"),
    (" amp4email", "", "MANDATORY_ATTR_MISSING"),
])
def test_validator_sees_faults(validate, amp_html, old, new, code):
    """The validator is there, and reads AMP for Email."""
    assert old in amp_html
    found = validate(amp_html.replace(old, new, 1))
    assert found["status"] == "FAIL"
    assert code in [e["code"] for e in found["errors"]], found


# What the README tells to try


def commands():
    """The commands under "Try them", each a piece of shell."""
    text = (EXAMPLES / "README").read_text()
    part = text.split("\n2. Try them\n")[1].split("\n3. ")[0]
    lines = re.findall(r"^\t\S.*(?:\n\t .*)*", part, re.M)
    assert len(lines) == 3
    return lines


def shell(command, replace):
    for old, new in replace.items():
        assert old in command
        command = command.replace(old, str(new))
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True,
                          env={"PATH": os.defpath}, check=True,
                          stdin=subprocess.DEVNULL, timeout=kit.WAIT)
    assert b"\r\nAMP-Email-Allow-Sender: " + SENDER.encode() + b"\r\n" in \
        done.stdout
    return json.loads(done.stdout.split(b"\r\n\r\n")[-1])


def test_readme_without_a_web_server(folder, srv):
    ini = kit.write(folder.path / "amp-cors.ini", policy("sh", srv))
    said = shell(commands()[0], {servers.POLICY: ini,
                                 servers.PROGRAM: kit.FRONT})
    assert said == {"items": ITEMS}


class NginxExamples(servers.NginxUnix):
    """nginx as its sample says, and the example's policy."""

    def before(self):
        srv = self.folder.make("srv")
        put_all(srv)
        self.front.configure(whole=policy("sh", srv))
        super().before()


class NginxPhpFpm(servers.NginxUnix):
    """The same with PHP-FPM, and the line that names the file."""

    def before(self):
        self.srv = self.folder.make("srv")
        put_all(self.srv)
        self.fpm, socket = start_fpm(self.run)
        self.children.append(self.fpm)
        self.front.configure(whole=policy_forward(socket))
        super().before()

    def location(self):
        text = (EXAMPLES / "README").read_text()
        line = re.search(r"^\tfastcgi_param SCRIPT_FILENAME .*;$", text, re.M)
        after = "fastcgi_param PATH_INFO $fastcgi_path_info;"
        assert super().location().count(after) == 1 and SRV in line[0]
        return super().location().replace(
            after, after + line[0].replace(SRV, str(self.srv)))


class CurlAsTold:
    @pytest.mark.parametrize("number,expected", [
        (1, {"items": ITEMS}), (2, {"comment": "Hello", "sender": SENDER})])
    def test_curl(self, site, number, expected):
        here = f"http://127.0.0.1:{site.port}"
        assert shell(commands()[number],
                     {"https://company.example": here}) == expected


class TestNginx(CurlAsTold):
    way = NginxExamples


class TestNginxPhpFpm(CurlAsTold):
    way = NginxPhpFpm


def test_readme_names_every_file():
    text = (EXAMPLES / "README").read_text()
    listed = re.findall(r"^\t([\w.*-]+)\t", text.split("\n1. ")[0], re.M)
    files = {p.name for p in EXAMPLES.iterdir()} - {"README"}
    assert {f for f in files if any(Path(f).match(p) for p in listed)} == \
        files
