"""The figures as they come: lines to read, and rows for machines."""
import statistics

AT_LEAST, AT_MOST, BELOW = "at least", "at most", "below"


def number(x):
    return f"{x:.2f}" if x < 100 else f"{x:.0f}"


def met(value, goal):
    """As far as it is shown."""
    how, limit = goal
    value = float(number(value))
    if how == AT_LEAST:
        return value >= limit
    return value <= limit if how == AT_MOST else value < limit


class Book:
    def __init__(self):
        self.lines, self.rows = [], []
        self.part = self.under = None

    def say(self, line=""):
        self.lines.append(line)
        print(line, flush=True)

    def begin(self, part, title, *notes):
        self.part, self.under = part, None
        self.say(f"\n{title}")
        for note in notes:
            self.say(f"  ({note})")

    def heading(self, text):
        self.under = text
        self.say(f"\n  {text}")

    def add(self, what, value, shown, goal, **more):
        row = {"part": self.part, "under": self.under, "what": what,
               "value": value, **more}
        if goal:
            row["goal"] = " ".join(map(str, goal))
            row["met"] = met(value, goal)
            shown = (f"{shown:23} goal {goal[0]} {goal[1]:g}: "
                     f"{'met' if row['met'] else 'NOT MET'}")
        self.rows.append(row)
        self.say(f"  {what:46}{shown}".rstrip())

    def ratio(self, what, values, goal=None, here=None, picture=None,
              less=False):
        """A ratio a round.  here: what the two were; picture: its name
        there; less: is better."""
        low, middle, high = statistics.quantiles(
            values if len(values) > 1 else values * 2, n=4,
            method="inclusive")
        shown = f"{middle:6.2f} ({low:.2f}-{high:.2f})"
        self.add(what, middle, shown, goal, low=low, high=high, here=here,
                 picture=picture, less=less, kind="ratio")
        if here:
            self.say(f"    here and now {here}")

    def one(self, what, value, unit="", goal=None, **more):
        """One figure, counted or measured once."""
        shown = f"{value:9,.{0 if value >= 1000 else 1}f} {unit}"
        self.add(what, value, shown, goal, unit=unit, kind="one", **more)

    def goals(self):
        return [r for r in self.rows if "goal" in r]
