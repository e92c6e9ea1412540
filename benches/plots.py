"""Two bar charts for the README, as SVG that looks right on a light and on a dark page."""

from __future__ import annotations

from html import escape
from typing import Any

Cases = dict[str, dict[str, dict[str, Any]]]

WIDTH, LEFT, RIGHT = 760, 250, 110
BAR, GAP, GROUP = 16, 3, 14
TOP, BOTTOM = 74, 16

# Greys and colours that have contrast on white and on black; text follows the page.
STYLE = """
  text { font: 13px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; fill: #1f2328 }
  .title { font-size: 16px; font-weight: 600 }
  .note { fill: #59636e }
  .ottla { fill: #2f81f7 }
  .other { fill: #8c959f }
  .axis { stroke: #8c959f; stroke-width: 1 }
  @media (prefers-color-scheme: dark) { text { fill: #f0f6fc } .note { fill: #9198a1 } }
"""

C_CASES = (
    ("produce 100 B", "produce-100", "librdkafka C", "ottla C"),
    ("consume 100 B", "consume-100", "librdkafka C", "ottla C"),
    ("produce 100 B, key and headers", "produce-keyed", "librdkafka C", "ottla C"),
    ("consume 100 B, key and headers", "consume-keyed", "librdkafka C", "ottla C"),
    ("consume 100 B in a group", "group-8", "librdkafka C group", "ottla C group"),
    ("produce in transactions", "transactions", "librdkafka C", "ottla C"),
    ("produce 1 kB", "produce-1k", "librdkafka C", "ottla C"),
    ("consume 1 kB", "consume-1k", "librdkafka C", "ottla C"),
    ("produce 1 kB, LZ4", "produce-lz4", "librdkafka C", "ottla C"),
    ("consume 1 kB, LZ4", "consume-lz4", "librdkafka C", "ottla C"),
    ("produce 1 kB, zstd", "produce-zstd", "librdkafka C", "ottla C"),
    ("consume 1 kB, zstd", "consume-zstd", "librdkafka C", "ottla C"),
)

PYTHON_CASES = (
    (
        "python-produce",
        (
            ("produce: Ottla, send_many", "ottla Python send_many"),
            ("confluent-kafka, produce_batch", "confluent-kafka Python batch"),
            ("confluent-kafka, produce", "confluent-kafka Python single"),
            ("Ottla, send", "ottla Python send"),
            ("aiokafka", "aiokafka Python"),
            ("kafka-python", "kafka-python Python"),
        ),
    ),
    (
        "python-consume",
        (
            ("consume: Ottla, columns", "ottla Python columns"),
            ("Ottla, lists of bytes", "ottla Python lists of bytes"),
            ("Ottla, a record at a time", "ottla Python iterate"),
            ("confluent-kafka", "confluent-kafka Python default queues"),
            ("aiokafka", "aiokafka Python"),
            ("kafka-python", "kafka-python Python"),
        ),
    ),
)


class Chart:
    """Horizontal bars, one below the other."""

    def __init__(self, title: str, note: str, largest: float) -> None:
        self.title, self.note = title, note
        self.scale = (WIDTH - LEFT - RIGHT) / largest
        self.y = TOP
        self.body: list[str] = []

    def bar(self, label: str, value: float, text: str, ours: bool) -> None:
        middle = self.y + BAR - 3.5
        width = max(value * self.scale, 1)
        kind = "ottla" if ours else "other"
        self.body += [
            f'<text x="{LEFT - 10}" y="{middle}" text-anchor="end">{escape(label)}</text>',
            f'<rect class="{kind}" x="{LEFT}" y="{self.y}" width="{width:.1f}" height="{BAR}" rx="2"/>',
            f'<text class="note" x="{LEFT + width + 6:.1f}" y="{middle}">{escape(text)}</text>',
        ]
        self.y += BAR + GAP

    def space(self) -> None:
        self.y += GROUP - GAP

    def svg(self) -> str:
        size = f'viewBox="0 0 {WIDTH} {self.y + BOTTOM}"'
        lines = [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{escape(self.title)}">',
            f"<style>{STYLE}</style>",
            f'<text class="title" x="16" y="28">{escape(self.title)}</text>',
            f'<text class="note" x="16" y="50">{escape(self.note)}</text>',
            *self.body,
            f'<line class="axis" x1="{LEFT}" y1="{TOP - 6}" x2="{LEFT}" y2="{self.y + 2}"/>',
            "</svg>",
        ]
        return "\n".join(lines) + "\n"


def native(cases: Cases) -> str:
    """Ottla's CPU time as a share of librdkafka's: shorter is better."""
    chart = Chart(
        "CPU time per message, Ottla C relative to librdkafka",
        "Shorter is better; the grey bar is librdkafka. In brackets: nanoseconds per message, Ottla and librdkafka.",
        1,
    )
    chart.bar("librdkafka", 1, "1.00", ours=False)
    chart.space()
    for label, case, theirs, ours in C_CASES:
        clients = cases.get(case, {})
        if theirs in clients and ours in clients:
            base, value = clients[theirs]["cpu_ns_msg"], clients[ours]["cpu_ns_msg"]
            chart.bar(label, value / base, f"{value / base:.2f}  ({value:,.0f}; {base:,.0f})", ours=True)
    return chart.svg()


def python(cases: Cases) -> str:
    """Messages per second of CPU time: longer is better."""
    rates = [
        [
            (label, 1e9 / cases[case][client]["cpu_ns_msg"], client.startswith("ottla"))
            for label, client in rows
            if client in cases.get(case, {})
        ]
        for case, rows in PYTHON_CASES
    ]
    chart = Chart(
        "Python: messages of 100 B per second of CPU time",
        "Longer is better.",
        max((rate for group in rates for _, rate, _ in group), default=1),
    )
    for group in rates:
        for label, rate, ours in group:
            chart.bar(label, rate, f"{rate / 1e6:.2f} million", ours)
        chart.space()
    return chart.svg()


def draw(cases: Cases) -> dict[str, str]:
    """The plots by the names of their files in docs/."""
    return {"speed-c.svg": native(cases), "speed-python.svg": python(cases)}
