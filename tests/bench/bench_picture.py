"""The ratios as a picture: bars from the line at 1.0, on a scale where twice
and half are as far from it, and a mark at each goal."""
import math
from html import escape

from bench_book import AT_LEAST, number

WIDTH, LEFT, RIGHT = 860, 330, 80  # of all, of the labels, of the figures
LOW, HIGH = 0.25, 4.0              # what is beyond is cut, with an arrow
ROW, GAP, TOP = 20, 24, 104  # TOP: where the first panel begins
TICKS = (0.25, 0.5, 1.0, 2.0, 4.0)

GROUPS = {
    "refuse": "Refusal and preflight, by a plain libfcgi loop's fixed 403",
    "wrap": "Before a CGI program; at 1 and 16 connections",
    "forward": "Before PHP-FPM, by PHP-FPM alone",
    "peers": "The same JSON, by Express with the official middleware",
    "large": "An answer of 1 GiB of a CGI program",
    "cgi": "Plain CGI, by the handler alone",
    "memory": "Memory (PSS), by fcgiwrap with 8 workers",
}

HEAD = """\
<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{w}" height="{h}" \
viewBox="0 0 {w} {h}" font-family="system-ui, sans-serif" font-size="12" \
fill="#1f2933">
<title>amp-cors-cgi beside its relatives: ratios and goals</title>
<defs><pattern id="miss" width="6" height="6" patternUnits="userSpaceOnUse" \
patternTransform="rotate(45)"><rect width="6" height="6" fill="#f3b38a"/>\
<rect width="3" height="6" fill="#c2571a"/></pattern></defs>
<rect width="{w}" height="{h}" rx="6" fill="#ffffff"/>
"""


def x_of(value):
    share = (math.log(min(max(value, LOW), HIGH) / LOW)
             / math.log(HIGH / LOW))
    return LEFT + share * (WIDTH - LEFT - RIGHT)


def text(x, y, words, **more):
    attributes = "".join(f' {n.replace("_", "-")}="{v}"'
                         for n, v in more.items())
    return f'<text x="{x:.0f}" y="{y:.0f}"{attributes}>{escape(words)}</text>'


def line(x1, y1, x2, y2, colour, width=1):
    return (f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
            f'stroke="{colour}" stroke-width="{width}"/>')


def fill(row):
    if "goal" not in row:
        return "#8a99ad"
    return "#1b7f5c" if row["met"] else "url(#miss)"


def bar(row, y):
    value = row["value"]
    at, one = x_of(value), x_of(1.0)
    left, width = min(at, one), max(abs(at - one), 1.5)
    out = [text(LEFT - 10, y + 14, row["picture"], text_anchor="end"),
           f'<rect x="{left:.1f}" y="{y + 3}" width="{width:.1f}" '
           f'height="{ROW - 6}" fill="{fill(row)}"/>']
    if row["low"] != row["high"]:
        out.append(line(x_of(row["low"]), y + ROW / 2, x_of(row["high"]),
                        y + ROW / 2, "#1f2933"))
    if "goal" in row:
        goal = x_of(float(row["goal"].split()[-1]))
        out.append(line(goal, y, goal, y + ROW, "#7b1fa2", 2.5))
    beyond = {value < LOW: "\u25c2 ", value > HIGH: "\u25b8 "}.get(True, "")
    out.append(text(WIDTH - RIGHT + 12, y + 14, beyond + number(value),
                    font_weight="bold"))
    return out


def grid(top, bottom):
    out = []
    for tick in TICKS:
        dark = tick == 1.0
        out.append(line(x_of(tick), top, x_of(tick), bottom,
                        "#52606d" if dark else "#d9dee5", 1.5 if dark else 1))
        out.append(text(x_of(tick), top - 5, f"{tick:g}", fill="#52606d",
                        text_anchor="middle"))
    return out


def is_less(row):
    return row.get("less", False) or not row.get(
        "goal", AT_LEAST).startswith(AT_LEAST)


def panel(title, rows, top):
    """Rows in their groups: what is drawn, and where it ends."""
    out = []
    y = start = top + 30
    for part, name in GROUPS.items():
        mine = [r for r in rows if r["part"] == part]
        if not mine:
            continue
        out.append(text(16, y + 18, name, font_weight="bold"))
        y += 24
        for row in mine:
            out += bar(row, y)
            y += ROW
        y += 8
    head = [line(16, top - 14, WIDTH - 16, top - 14, "#d9dee5"),
            text(16, top + 8, title, font_size="15", font_weight="bold")]
    return head + grid(start, y) + out, y


def key(y):
    out, x = [], 16
    for colour, words in (("#1b7f5c", "goal met"),
                          ("url(#miss)", "goal not met"),
                          ("#8a99ad", "no goal")):
        out.append(f'<rect x="{x}" y="{y - 10}" width="22" height="12" '
                   f'fill="{colour}"/>')
        out.append(text(x + 28, y, words))
        x += 130
    out.append(line(x, y - 12, x, y + 4, "#7b1fa2", 2.5))
    return out + [text(x + 8, y, "goal"),
                  line(x + 60, y - 4, x + 90, y - 4, "#1f2933"),
                  text(x + 98, y, "quartiles of the rounds")]


def draw(rows):
    rows = [r for r in rows if r.get("picture")]
    more, y = panel("More is better: requests or MiB a second",
                    [r for r in rows if not is_less(r)], TOP)
    less, y = panel("Less is better: time, CPU, counts, memory",
                    [r for r in rows if is_less(r)], y + GAP)
    head = [HEAD.format(w=WIDTH, h=y + 16),
            text(16, 34, "amp-cors-cgi beside its relatives", font_size="20",
                 font_weight="bold"),
            text(16, 54, "its figure by the other's; 1.0 is as fast, or as "
                 "much, as the other; medians", fill="#52606d"),
            *key(80)]
    return "\n".join(head + more + less + ["</svg>"]) + "\n"
