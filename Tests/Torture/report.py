"""What came of it, for people and for machines."""

import collections
import json

COLUMNS = [
    "subject", "store", "rule", "rounds", "requests", "kills", "stops", "partitions", "failovers", "other faults",
    "keys", "executions", "takeovers", "duplicates", "unknown", "losses", "violations"]
FAULTS = {"kill": "kills", "stop": "stops", "partition": "partitions", "failover": "failovers"}


def rows(results):
    """One row for each case."""
    by_case = collections.defaultdict(list)
    for result in results:
        by_case[result.case].append(result)
    return [row(case, group) for case, group in by_case.items()]


def row(case, results):
    numbers = collections.Counter()
    for result in results:
        numbers["rounds"] += 1
        numbers["requests"] += result.requests
        numbers["violations"] += len(result.violations)
        numbers.update(result.findings.numbers)
        for kind, count in result.faults.items():
            numbers[FAULTS.get(kind, "other faults")] += count
    return {"subject": case.subject.name, "store": case.store.name, "rule": case.rule, **numbers}


def table(results):
    lines = [COLUMNS] + [[str(line.get(column, 0)) for column in COLUMNS] for line in rows(results)]
    widths = [max(len(line[index]) for line in lines) for index in range(len(COLUMNS))]
    return "\n".join(format_line(line, widths) for line in lines)


def format_line(line, widths):
    # Names to the left, numbers to the right.
    columns = enumerate(zip(line, widths))
    return "  ".join(cell.ljust(width) if index < 3 else cell.rjust(width) for index, (cell, width) in columns).rstrip()


def as_json(results, seed, uncovered):
    failures = [
        {"case": result.case.name, "round": result.number, **vars(violation)}
        for result in results for violation in result.violations]
    return json.dumps(
        {"seed": seed, "cases": rows(results), "violations": failures, "notCovered": uncovered}, indent=2)
