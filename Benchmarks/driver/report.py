"""What was measured, for people (text, Markdown, a chart) and for machines (JSON)."""

import json
import os
import platform
import statistics

import postgres
from servers import version

HERE = os.path.dirname(os.path.abspath(__file__))
# Those whose versions matter most to a ratio.
PACKAGES = ("hummingbird", "swift-nio", "swift-crypto", "swift-http-types")
MEMORY_RECORDS = {"MemoryStore": 1_000_000, "Redis": 100_000}
BASELINES = {"fingerprint": "sha256", "canonical": "sha256", "record": "sha256 record", "resp": "sha256 resp"}


def machine():
    model = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
            model = names[0] if names else model
    except OSError:
        pass
    return {"processor": model, "cores": os.cpu_count(), "system": f"{platform.system()} {platform.release()}"}


def versions(python, swift):
    packages = version(
        python, "-c",
        "from importlib.metadata import version as v;"
        "print(', '.join(f'{n} {v(n)}' for n in ('fastapi', 'uvicorn', 'idemptx', 'redis')))")
    pins = pinned_versions()
    return {
        "Swift": version(swift, "--version"), "wrk": version("wrk", "-v").split(" [")[0],
        "nginx": version("nginx", "-v").removeprefix("nginx version: "), "Redis": version("redis-server", "--version"),
        "PostgreSQL": version(postgres.program("postgres"), "--version"),
        "Python": f"{version(python, '--version').split()[-1]}, {packages}",
        "Swift packages": ", ".join(f"{name} {pins[name]}" for name in PACKAGES),
    }


def pinned_versions():
    """What the build has resolved."""
    with open(os.path.join(os.path.dirname(HERE), "Package.resolved"), encoding="utf-8") as file:
        return {pin["identity"]: pin["state"].get("version", "?") for pin in json.load(file)["pins"]}


def as_json(report):
    """A dictionary with a key for each row of the budget."""
    return {
        "date": report.date, "revision": report.revision, "machine": report.machine, "versions": report.versions,
        "method": report.method,
        "budget": {
            row.key: {
                figure.name: {
                    "value": figure.value, "minimum": min(figure.values), "maximum": max(figure.values),
                    "goal": figure.goal, "unit": figure.unit,
                    "better": "more" if figure.at_least else "less", "met": figure.is_met,
                } for figure in row.figures
            } for row in report.rows
        },
        "samples": {name: [vars(sample) for sample in samples] for name, samples in report.results.samples.items()},
        "wake_up_milliseconds": report.wake_ups,
        "bytes_per_record": report.memory,
        "micro_nanoseconds": report.micro,
    }


def budget_table(report):
    """One line a figure, next to that of the first edition, measured by an earlier form of this benchmark.

    What the first edition did not have has a dash there."""
    lines = [["", "first edition", "measured", "goal", "verdict"]]
    for row in report.rows:
        for figure in row.figures:
            name = row.title if len(row.figures) == 1 else f"{row.title}: {figure.name}"
            before = report.baseline.get(row.key, {}).get(figure.name)
            first_edition = figure.text(before["value"]) if before else "–"
            lines.append([name, first_edition, figure.spread, figure.goal_text, figure.verdict])
    return lines


def spread(values, digits=0):
    """Median, and minimum to maximum."""
    return f"{statistics.median(values):,.{digits}f} ({min(values):,.{digits}f}–{max(values):,.{digits}f})"


def samples_table(report, group):
    names = [name for name in report.results.samples if name.startswith(f"{group}/")]
    has_database = any(sample.database_cpu for name in names for sample in report.results.samples[name])
    lines = [["", "processor µs per request", "requests per second", "p50 µs", "p99 µs"]]
    if has_database:
        lines[0] += ["database server µs", "its commands per request"]
    for name in names:
        samples = report.results.samples[name]
        values = lambda attribute: [getattr(sample, attribute) for sample in samples]
        line = [
            name.split("/", 1)[1], spread(values("cpu"), 1), spread(values("requests_per_second")),
            spread(values("p50")), spread(values("p99"))]
        if has_database:
            commands = samples[-1].database_commands
            line += [
                spread(values("database_cpu"), 1) if commands else "",
                ", ".join(f"{command} {count:g}" for command, count in commands.items())]
        lines.append(line)
    return lines


def micro_table(report):
    lines = [["", "ns", "against the SHA-256 of the same bytes"]]
    for name, value in report.micro.items():
        kind = name.split(" ", 1)[0]
        if kind not in BASELINES:
            continue
        # "record encode 60 B" is compared with "sha256 record 60 B", "fingerprint json 60 B" with "sha256 json 60 B".
        size = " ".join(name.split(" ")[-2:])
        baseline = f"{BASELINES[kind]} {size if kind in ('record', 'resp') else name.split(' ', 1)[1]}"
        lines.append([name, f"{value:,.0f}", f"{value / report.micro[baseline]:.2f} ×"])
    return lines


def as_text(lines):
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines)


def as_markdown(lines):
    head = f"| {' | '.join(lines[0])} |\n|{'---|' * len(lines[0])}"
    return "\n".join([head, *(f"| {' | '.join(line)} |" for line in lines[1:])])


def for_terminal(report):
    parts = [as_text(budget_table(report))]
    for group in report.groups:
        parts.append(f"{group}\n{as_text(samples_table(report, group))}")
    parts.append(f"micro benchmarks\n{as_text(micro_table(report))}")
    parts.append(f"wake-up: {spread(report.wake_ups, 2)} ms")
    parts.append("; ".join(f"{name}: {value:.0f} MB per million small records" for name, value in report.memory.items()))
    return "\n\n".join(parts)


def as_results_page(report):
    parts = [
        "# Results\n",
        f"Measured on {report.date} at revision {report.revision} by `make bench`, which wrote this page.\n",
        "![The budget](results.svg)\n",
        "## Budget\n", as_markdown(budget_table(report)) + "\n",
        "## Where the rest goes\n", report.profile,
        "## Method\n", report.method + "\n",
        "".join(f"- {name}: {value}\n" for name, value in {**report.machine, **report.versions}.items()),
        "## Samples\n",
        "Medians over the rounds, with minimum and maximum; commands are those of the last round.\n",
    ]
    for group in report.groups:
        parts += [f"### {group[0].upper()}{group[1:]}\n", as_markdown(samples_table(report, group)) + "\n"]
    parts += [
        "### Wake-up\n",
        "From the end of an operation in one process until a client that waits at another process on the same Redis has its "
        f"response, the time to store the outcome included: {spread(report.wake_ups, 2)} ms.\n",
        "### Memory\n",
        "".join(
            f"- {name}: {value:.0f} MB per million small records, computed from {MEMORY_RECORDS[name]:,}\n"
            for name, value in report.memory.items()),
        "### Micro benchmarks\n", as_markdown(micro_table(report)) + "\n",
    ]
    return "\n".join(parts)
