"""The picture of the results page: bars of throughput, and lines of latency over percentiles on a logarithmic scale."""

import math
from html import escape

_WIDTH, _LEFT = 900, 130
_BAR, _GAP, _TOP = 24, 10, 78
_PLOT = 240
_LABEL = 110
_COLOURS = {"gateway": "#2563a8", "nginx": "#5b8c3e", "haproxy": "#c27a1a", "envoy": "#8a4fa3", "direct": "#8a94a0"}
_OTHER = "#9aa7b5"
_STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#1d2733}.title{font-size:16px;font-weight:600}.what{fill:#51606f}"
    ".end{text-anchor:end}.middle{text-anchor:middle}.grid{stroke:#dfe5ea}.line{fill:none;stroke-width:2}"
)


def picture(throughput: dict[str, float], latency: dict[str, dict[str, float]], machine: str) -> str:
    """Return SVG. `latency` has for each party its percentiles in milliseconds."""
    bars, bottom = _bars(throughput)
    lines, height = _lines(latency, bottom + 70)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" role="img">',
            "<!-- Written by `make bench-report`. -->",
            "<title>Throughput and latency of the gateway beside other proxies</title>",
            f"<style>{_STYLE}</style>",
            f'<rect width="{_WIDTH}" height="{height}" fill="#fff"/>',
            '<text x="20" y="30" class="title">Scoped GET of 2 KB, one core, 32 connections: requests a second</text>',
            f'<text x="20" y="52" class="what">{escape(machine)}</text>',
            *bars,
            f'<text x="20" y="{bottom + 40}" class="title">Latency at a steady rate (open loop), milliseconds</text>',
            *lines,
            "</svg>",
            "",
        ]
    )


def _bars(values: dict[str, float]) -> tuple[list[str], int]:
    parts: list[str] = []
    top, most = _TOP, max(values.values())
    for name, value in sorted(values.items(), key=lambda item: -item[1]):
        width = round((_WIDTH - _LEFT - _LABEL) * value / most)
        middle = top + _BAR // 2 + 5
        parts.append(f'<text x="{_LEFT - 10}" y="{middle}" class="end">{escape(name)}</text>')
        colour = _COLOURS.get(name, _OTHER)
        parts.append(f'<rect x="{_LEFT}" y="{top}" width="{width}" height="{_BAR}" fill="{colour}"/>')
        parts.append(f'<text x="{_LEFT + width + 8}" y="{middle}">{value:,.0f}</text>')
        top += _BAR + _GAP
    return parts, top


def _lines(parties: dict[str, dict[str, float]], top: int) -> tuple[list[str], int]:
    percentiles = list(next(iter(parties.values())))
    values = [value for party in parties.values() for value in party.values()]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    right, bottom = _WIDTH - _LABEL, top + _PLOT
    step = (right - _LEFT - 40) / (len(percentiles) - 1)
    parts: list[str] = []

    def height(value: float) -> float:
        return bottom - _PLOT * (math.log10(value) - low) / (high - low)

    for power in range(low, high + 1):
        y = height(10**power)
        parts.append(f'<path d="M{_LEFT} {y:.1f}H{right}" class="grid"/>')
        parts.append(f'<text x="{_LEFT - 10}" y="{y + 4:.1f}" class="end what">{10**power:g}</text>')
    for number, percentile in enumerate(percentiles):
        x = _LEFT + 20 + step * number
        parts.append(f'<text x="{x:.1f}" y="{bottom + 22}" class="middle what">{percentile}</text>')
    last = 0.0
    for name, party in sorted(parties.items(), key=lambda item: -item[1][percentiles[-1]]):
        points = [(_LEFT + 20 + step * number, height(party[p])) for number, p in enumerate(percentiles)]
        colour = _COLOURS.get(name, _OTHER)
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        parts.append(f'<path d="M{path}" class="line" stroke="{colour}"/>')
        parts.extend(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>' for x, y in points)
        # Names do not lie upon each other.
        last = max(points[-1][1] + 4, last + 16)
        parts.append(f'<text x="{points[-1][0] + 12:.1f}" y="{last:.1f}">{escape(name)}</text>')
    return parts, bottom + 40
