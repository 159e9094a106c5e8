"""Draws the budget as an SVG that reads well on light and on dark pages."""

import math
from html import escape

WIDTH, LEFT, RIGHT, LINE, TOP = 860, 400, 150, 26, 64

STYLE = """
svg { font: 13px system-ui, sans-serif; }
text { fill: #24292f; } .quiet { fill: #57606a; } .goal { stroke: #24292f; } .axis { stroke: #d0d7de; }
.met { fill: #2da44e; } .missed { fill: #d4760f; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; } .quiet { fill: #8d96a0; } .goal { stroke: #e6edf3; } .axis { stroke: #30363d; }
  .met { fill: #3fb950; } .missed { fill: #e3902b; }
}
"""


def draw(rows):
    """One bar a figure: how far it is from its goal, which is the line. Shorter is better."""
    figures = [(row, figure) for row in rows for figure in row.figures]
    height = TOP + LINE * len(figures) + 24
    costs = [figure.goal / figure.value if figure.at_least else figure.value / figure.goal for _, figure in figures]
    # A logarithmic scale from a fifth of the goal to the worst figure.
    low, high = math.log(0.2), math.log(max(2.0, *costs) * 1.1)

    def x(cost):
        share = (math.log(max(cost, 0.2)) - low) / (high - low)
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="Each figure of the budget against its goal">',
        f"<style>{STYLE}</style>",
        '<text x="12" y="24" font-weight="600">Cost against the budget</text>',
        '<text x="12" y="44" class="quiet">The line is the goal; a bar that ends left of it meets it. The scale is '
        "logarithmic.</text>",
    ]
    for number, ((row, figure), cost) in enumerate(zip(figures, costs)):
        y = TOP + number * LINE
        name = row.title if len(row.figures) == 1 else f"{row.title.split(',')[0]}: {figure.name}"
        name = name if len(name) <= 58 else name[:57] + "…"
        parts += [
            f'<text x="{LEFT - 10}" y="{y + 17}" text-anchor="end">{escape(name)}</text>',
            f'<rect class="{"met" if figure.is_met else "missed"}" x="{LEFT}" y="{y + 5}" rx="2" '
            f'width="{max(2, x(cost) - LEFT):.1f}" height="{LINE - 10}"/>',
            # Right of the line, too.
            f'<text x="{max(x(cost), x(1)) + 8:.1f}" y="{y + 17}">{escape(figure.text(figure.value))}'
            f'<tspan class="quiet"> of {escape(figure.goal_text)}</tspan></text>',
        ]
    bottom = TOP + LINE * len(figures)
    parts += [
        f'<line class="axis" x1="{LEFT}" y1="{TOP - 4}" x2="{LEFT}" y2="{bottom + 4}"/>',
        f'<line class="goal" stroke-dasharray="4 3" x1="{x(1):.1f}" y1="{TOP - 6}" x2="{x(1):.1f}" y2="{bottom + 6}"/>',
        "</svg>",
    ]
    return "\n".join(parts) + "\n"
