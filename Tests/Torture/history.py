"""What happened in a round: what was sent, what ran, what clients were told, and which faults there were."""

import json
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Execution:
    """One line of a ledger: the operation of a key has run."""

    key: str
    receipt: int
    attempt: int = 1
    # The index of the server that ran it, and when; a ledger that does not say has neither.
    server: int | None = None
    time: float | None = None


@dataclass(frozen=True)
class Response:
    """What a client was told."""

    key: str
    status: int
    body: bytes = b""
    # X-Idempotency-Status: new, hit or unstored.
    marker: str = ""
    # The last word of the problem's type, such as outcome-unknown.
    problem: str = ""
    server: int | None = None
    time: float = 0.0

    @property
    def is_success(self):
        return 200 <= self.status < 300

    @property
    def is_final(self):
        """Whether a client has no reason to ask again: it knows what became of its key, and that this is stored."""
        if self.problem == "outcome-unknown":
            return True
        return self.status < 500 and self.status != 409 and self.marker != "unstored"

    def claim(self):
        """Which key and which receipt the body of a success speaks of; nothing if it does not say."""
        try:
            content = json.loads(self.body)
            return content["reference"], content["id"]
        except (ValueError, KeyError, TypeError):
            return None


@dataclass(frozen=True)
class Disturbance:
    """A fault, from its beginning to when everything worked again."""

    kind: str
    start: float
    end: float
    # The index of the server that it hit; nothing if it hit all, as when the store was away.
    server: int | None = None
    # Whether processes lost what they had in memory.
    is_kill: bool = False
    # Whether it cuts servers off from their clients only, so that no lease depends on it.
    is_outside: bool = False


@dataclass
class History:
    rule: str
    lease: float
    # Whether the effect and its record are committed together.
    is_exactly_once: bool = False
    # Whether the store has lost writes that it had acknowledged, by design: a failover without acknowledgement.
    may_have_forgotten: bool = False
    sent: set = field(default_factory=set)
    executions: list = field(default_factory=list)
    # While there were faults.
    responses: list = field(default_factory=list)
    # After they were healed: for each key the last responses of both servers.
    final: dict = field(default_factory=dict)
    disturbances: list = field(default_factory=list)
