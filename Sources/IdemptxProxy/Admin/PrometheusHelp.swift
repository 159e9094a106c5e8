/// The `HELP` texts of the proxy's metrics, by their Prometheus names.
enum PrometheusHelp {
    static let texts = [
        "idempotency_executions_total": "Operations that ran, by how they ended.",
        "idempotency_lease_losses_total": "Attempts that lost their lease while they ran.",
        "idempotency_lease_renewals_total": "Renewed leases.",
        "idempotency_redis_evicting_servers": "Redis servers that may evict records.",
        "idempotency_requests_total": "Requests with a key, by what was decided about them.",
        "idempotency_running": "Operations under way.",
        "idempotency_store_duration_seconds": "How long calls to the store take.",
        "idempotency_store_errors_total": "Calls to the store that failed.",
        "idempotency_takeovers_total": "Attempts after the first, such as after a crash.",
        "idempotency_unknown_outcomes": "Operations in the store whose outcome is unknown.",
        "idempotency_unstored_age": "Seconds for which the oldest known outcome could not be stored.",
        "idempotency_unstored_pending": "Known outcomes that are still to be stored.",
        "idempotency_unstored_total": "Operations whose outcome was not stored in time.",
        "idempotency_wait_duration_seconds": "How long requests waited for another with their key.",
        "idempotency_waiting": "Requests that wait for another with their key.",
        "proxy_responses_total": "Responses to clients, by class of status.",
        "proxy_upstream_duration_seconds": "How long the upstream takes until the head of its response.",
        "proxy_upstream_failures_total": "Requests for which the upstream gave no response, by kind of failure.",
    ]
}
