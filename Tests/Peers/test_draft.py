"""What draft-ietf-httpapi-idempotency-key-header asks for, by its own examples and in its order, as seen on the wire."""

import threading
import time
import unittest

from harness.http1 import send, send_together
from harness.instructions import respond
from harness.proxy import Proxy
from harness.upstream import Upstream

# Its examples of keys, in sections 2.2 and 7.
EXAMPLES = ['"8e03978e-40d5-43e8-bc93-6894a57f9324"', '"clkyoesmbgybucifusbbtdsbohtyuuwz"']
# Its examples of errors name a page of documentation.
DOCUMENTATION = "https://developer.example.com/idempotency"
# RFC 8941, section 3.3.3: what is no String. Bare keys are accepted besides, as most clients send them.
NO_STRINGS = ['"abc', 'abc"', "'abc'", '"a\\n"', '"a", "b"', '"a" "b"', '("abc")', "", '"abc" ;v=1', '"abc";V=1', '"\x7f"', '"\xe9"']
# What it leaves to the documentation of the resource (section 2.7): what a retry gets, by the status of the first response.
OTHER_STATUSES = {
    401: "runs", 403: "is replayed", 429: "runs", 500: "is replayed", 502: "is replayed", 503: "runs", 504: "is replayed"}


class Draft(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.upstream = Upstream(respond)
        cls.addClassCleanup(cls.upstream.close)
        cls.proxy = Proxy(cls.upstream, require_key=True, problem_type_base=f"{DOCUMENTATION}#")
        cls.addClassCleanup(cls.proxy.close)

    def post(self, key=None, body=b'{"amount": 5}', fields=(), **options):
        keys = [] if key is None else [("Idempotency-Key", key)]
        # A scope for each test, so that the examples can come in several.
        scope = [("Authorization", self.id())]
        return send(
            self.proxy.port, fields=[*keys, *scope, ("Content-Type", "application/json"), *fields], body=body, **options)

    def runs(self, request):
        """Does so, and returns the result and whether the upstream has run it."""
        before = len(self.upstream.requests)
        response = request()
        return response, len(self.upstream.requests) - before

    def start(self, request):
        """Does so in a thread, and waits until the upstream runs it."""
        before = len(self.upstream.requests)
        thread = threading.Thread(target=request)
        thread.start()
        deadline = time.monotonic() + 10
        while len(self.upstream.requests) == before:
            self.assertLess(time.monotonic(), deadline, "it did not run")
            time.sleep(0.005)
        return thread

    def check_problem(self, response, status, kind, title):
        """The form of an error (sections 2.7, and RFC 9457): problem details that link to documentation."""
        self.assertEqual(response.status, status)
        self.assertEqual(response["Content-Type"], "application/problem+json")
        self.assertEqual(response.problem["type"], f"{DOCUMENTATION}#{kind}")
        self.assertEqual(response.problem["status"], status)
        self.assertEqual(response.problem["title"], title)
        self.assertEqual(response["Cache-Control"], "no-store")

    def test_2_1_a_value_that_is_no_string_is_refused(self):
        for value in NO_STRINGS:
            with self.subTest(value):
                response, runs = self.runs(lambda: self.post(value.encode("latin-1")))
                self.check_malformed(response, value)
                self.assertEqual(runs, 0)

    def check_malformed(self, response, value):
        if value.isascii() and value.isprintable():
            self.check_problem(response, 400, "key-invalid", "The idempotency key is invalid")
        else:
            # Control characters and bytes that are no UTF-8 are refused wherever they are.
            self.assertEqual(response.status, 400)

    def test_2_2_and_7_the_example_keys_are_accepted_and_pass_as_they_are(self):
        for key in EXAMPLES:
            with self.subTest(key):
                response, runs = self.runs(lambda: self.post(key))
                self.assertEqual((response.status, runs), (201, 1))
                self.assertEqual(self.upstream.requests[-1].values("idempotency-key"), [key])

    def test_2_6_the_first_request_is_processed_normally(self):
        response, runs = self.runs(lambda: self.post(EXAMPLES[0]))
        self.assertEqual((response.status, response.is_replay, runs), (201, False, 1))

    def test_2_6_a_retry_gets_the_result_of_the_completed_operation_success_or_error(self):
        for status in (201, 404, 422, 500):
            with self.subTest(status):
                fields = [("X-Test-Status", str(status))]
                first = self.post(f'"success-or-error-{status}"', fields=fields)
                retry, runs = self.runs(lambda: self.post(f'"success-or-error-{status}"', fields=fields))
                self.assertEqual((retry.status, retry.body, retry.is_replay, runs), (status, first.body, True, 0))

    def test_2_6_and_2_7_a_concurrent_request_gets_409_and_needs_no_correction(self):
        slow = [("X-Test-Delay", "1")]
        first = []
        thread = self.start(lambda: first.append(self.post(EXAMPLES[0], fields=slow)))
        response, runs = self.runs(lambda: self.post(EXAMPLES[0], fields=slow))
        self.check_problem(
            response, 409, "request-in-progress", "A request with this idempotency key is still in progress")
        self.assertGreaterEqual(int(response["Retry-After"]), 1)
        self.assertEqual(runs, 0)
        thread.join()
        retry = self.post(EXAMPLES[0], fields=slow)
        self.assertEqual((retry.status, retry.body, retry.is_replay), (201, first[0].body, True))

    def test_2_7_a_missing_key_gets_400_until_it_is_corrected(self):
        for _ in range(2):
            response, runs = self.runs(self.post)
            self.check_problem(response, 400, "key-missing", "The idempotency key is missing")
            self.assertEqual(runs, 0)
        self.assertEqual(self.post(EXAMPLES[0]).status, 201)

    def test_2_7_a_reused_key_gets_422_until_it_is_corrected(self):
        self.post(EXAMPLES[0])
        for _ in range(2):
            response, runs = self.runs(lambda: self.post(EXAMPLES[0], b'{"amount": 6}'))
            self.check_problem(
                response, 422, "key-reused", "The idempotency key was used with a different request")
            self.assertEqual(runs, 0)
        corrected, runs = self.runs(lambda: self.post(EXAMPLES[1], b'{"amount": 6}'))
        self.assertEqual((corrected.status, runs), (201, 1))

    def test_2_7_a_reused_key_gets_422_also_while_the_original_runs(self):
        slow = [("X-Test-Delay", "0.5")]
        thread = self.start(lambda: self.post(EXAMPLES[0], fields=slow))
        self.assertEqual(self.post(EXAMPLES[0], b'{"amount": 6}', fields=slow).status, 422)
        thread.join()

    def test_2_7_other_errors_pass_and_their_retries_do_as_documented(self):
        for status, fate in OTHER_STATUSES.items():
            with self.subTest(status):
                fields = [("X-Test-Status", str(status))]
                self.assertEqual(self.post(f'"other-{status}"', fields=fields).status, status)
                retry, runs = self.runs(lambda: self.post(f'"other-{status}"', fields=fields))
                self.assertEqual(retry.status, status)
                self.assertEqual("runs" if runs else "is replayed" if retry.is_replay else "is refused", fate)

    def test_5_a_key_that_attacks_a_lookup_is_a_key_as_any_other(self):
        for key in ("'; DROP TABLE records; --", "*", "a\\\\0b", "../../etc/passwd", "{{7*7}}", "k" * 255):
            with self.subTest(key):
                first, runs = self.runs(lambda: self.post(f'"{key}"'))
                retry = self.post(f'"{key}"')
                self.assertEqual((first.status, runs, retry.is_replay, retry.body), (201, 1, True, first.body))

    def test_5_another_caller_does_not_get_the_response(self):
        """The composite key that it recommends."""
        def of(caller):
            fields = [("Idempotency-Key", EXAMPLES[1]), ("Authorization", caller)]
            return self.runs(lambda: send(self.proxy.port, fields=fields))

        self.assertEqual([of(caller)[1] for caller in ("Bearer a", "Bearer b", "Bearer a")], [1, 1, 0])

    def test_retries_at_once_run_one(self):
        fields = [("Idempotency-Key", EXAMPLES[0]), ("Authorization", self.id()), ("X-Test-Delay", "0.5")]
        before = len(self.upstream.requests)
        responses = send_together(20, self.proxy.port, fields=fields)
        self.assertEqual(sorted(response.status for response in responses), [201] + [409] * 19)
        self.assertEqual(len(self.upstream.requests) - before, 1)
