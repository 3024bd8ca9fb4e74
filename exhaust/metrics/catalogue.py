"""All metrics that the processes export. Whoever makes a metric makes it from here (registry.py).

docs/operations/metrics.md is written from it (`make metrics-page`). No label names a partner or a person. Every label
value that is known is exported from the start, so that a rate sees the first time that something happens.
"""

from __future__ import annotations

from typing import Final

from exhaust.metrics.metric import Kind, Metric, Process
from schemas.events import GROUP_BUILD, GROUP_PLAN, GROUP_STATUS, TOPIC_COMPLETIONS, TOPIC_DAYS, TOPIC_REQUESTS

_GATEWAY: Final = (Process.GATEWAY,)
_AGGREGATOR: Final = (Process.AGGREGATOR,)
_STATUS: Final = (Process.STATUS,)
_CONSOLE: Final = (Process.CONSOLE,)
_SERVING: Final = (Process.GATEWAY, Process.STATUS)
_CONSUMING: Final = (Process.AGGREGATOR, Process.STATUS)
_WORKING: Final = (Process.GATEWAY, Process.AGGREGATOR, Process.STATUS)
_ALL: Final = tuple(Process)

_TOPICS: Final = (TOPIC_REQUESTS, TOPIC_DAYS, TOPIC_COMPLETIONS)
_GROUPS: Final = (GROUP_PLAN, GROUP_BUILD, GROUP_STATUS)
_STAGES: Final = ("outbox", "plan", "build", "report")
DEPENDENCIES: Final = ("kafka", "postgres", "s3")
# Of the operations of a server, those whose times tell something.
DEPENDENCY_OPERATIONS: Final = ("send", "commit", "statement", "transaction", "get", "head", "put", "list", "delete")
# What every operation can answer with. Rarer statuses are counted when they happen.
STATUSES: Final = ("200", "400", "401", "403", "404", "429", "500", "503")
# These have a histogram of their own; all others share one.
TIMED_OPERATIONS: Final = (
    ("submit", "v2"),
    ("status", "v2"),
    ("statuses", "v2"),
    ("download", "v1"),
    ("download", "v3"),
)
OTHER_OPERATIONS: Final = ("other", "")
SUBMIT_TARGET: Final = 0.5  # seconds; a bucket of the histogram, since an alert counts what is slower

_DEAD_LETTER_CODES: Final = (
    *("NOT_JSON", "SCHEMA", "TYPE_MISMATCH", "UNKNOWN_REQUEST", "ATTEMPT_UNKNOWN", "NOT_YOURS"),
    *("ARCHIVE_OUTSIDE_PREFIX", "ARCHIVE_MISSING", "ARCHIVE_DIFFERS", "DAY_OUTSIDE", "RANGE_TOO_LARGE"),
    *("UNKNOWN_DATASET", "OWNER_MISMATCH", "SOURCE_UNREADABLE", "WORK_FAILED", "TOMBSTONE", "UNREADABLE", "INTERNAL"),
)
_ENDING_CODES: Final = (
    *("", "SOURCE_OBJECT_UNREADABLE", "LIMIT_EXCEEDED", "SOURCE_OBJECT_CHANGED", "SERVICE_UNAVAILABLE"),
    *("NO_PROGRESS", "INTERNAL_ERROR", "CANCELLED"),
)

# Every process.
READY: Final = Metric(
    "exhaust_ready", Kind.GAUGE, "1 while the process is ready: what it needs answers, and it does not drain.", _ALL
)
BUILD_INFO: Final = Metric(
    "exhaust_build_info", Kind.GAUGE, "1; its labels tell what runs.", _ALL, {"version": (), "python": ()}
)
LAST_SUCCESS: Final = Metric(
    "exhaust_last_success_timestamp_seconds",
    Kind.GAUGE,
    "When a loop last did its work without a failure; 0 before the first time.",
    _ALL,
    {"what": ()},
)
RETRIES: Final = Metric(
    "exhaust_retries_total",
    Kind.COUNTER,
    "Work that failed because a server did not answer, and is tried again.",
    _ALL,
    {"dependency": DEPENDENCIES},
)
DEPENDENCY_SECONDS: Final = Metric(
    "exhaust_dependency_seconds",
    Kind.HISTOGRAM,
    "Time of a call to a server, also of one that fails; of a read from S3, until its first byte.",
    _ALL,
    {"dependency": DEPENDENCIES, "operation": DEPENDENCY_OPERATIONS},
    (0.005, 0.025, 0.1, 0.5, 2, 10),
)
DEPENDENCY_AWAY: Final = Metric(
    "exhaust_dependency_away",
    Kind.GAUGE,
    "1 while work waits for this server.",
    _CONSUMING,
    {"dependency": DEPENDENCIES},
)

# The edge, and the internal listeners.
HTTP_REQUESTS: Final = Metric(
    "exhaust_http_requests_total",
    Kind.COUNTER,
    "Calls by operation, version of the API and HTTP status.",
    _SERVING,
    {"operation": (), "version": (), "status": ()},
)
HTTP_SECONDS: Final = Metric(
    "exhaust_http_request_seconds",
    Kind.HISTOGRAM,
    "Time to answer a call; operations of no load of their own are one, called other.",
    _SERVING,
    {"operation": (), "version": ()},
    (0.025, 0.1, SUBMIT_TARGET, 2, 10, 45),
)
HTTP_CONNECTIONS: Final = Metric("exhaust_http_connections", Kind.GAUGE, "Open connections of callers.", _GATEWAY)
HTTP_CONNECTIONS_CUT: Final = Metric(
    "exhaust_http_connections_cut_total",
    Kind.COUNTER,
    "Connections that the listener closed before their time, by reason.",
    _GATEWAY,
    {"why": ("refused", "gave way", "headers too large", "headers too slow", "answer not read")},
)
RELAY_RELEASED: Final = Metric("exhaust_relay_released_total", Kind.COUNTER, "Requests handed to Kafka.", _GATEWAY)
RELAY_PARKED: Final = Metric(
    "exhaust_relay_parked_total", Kind.COUNTER, "Requests that could not be published.", _GATEWAY
)

# Consumers.
PARTITIONS: Final = Metric(
    "exhaust_partitions", Kind.GAUGE, "Partitions that this process reads.", _CONSUMING, {"topic": _TOPICS}
)
RECORDS_WAITING: Final = Metric(
    "exhaust_records_waiting",
    Kind.GAUGE,
    "Records that wait for a server or for their next try.",
    _CONSUMING,
    {"topic": _TOPICS},
)
CONSUMER_HELD: Final = Metric(
    "exhaust_consumer_held", Kind.GAUGE, "1 while too many dead letters hold it.", _CONSUMING, {"topic": _TOPICS}
)
CONSUMER_HOLDS: Final = Metric(
    "exhaust_consumer_holds_total",
    Kind.COUNTER,
    "Times that too many dead letters held it.",
    _CONSUMING,
    {"topic": _TOPICS},
)
DEAD_LETTERS: Final = Metric(
    "exhaust_dead_letters_total",
    Kind.COUNTER,
    "Records that became dead letters, by reason.",
    _CONSUMING,
    {"topic": _TOPICS, "code": _DEAD_LETTER_CODES},
)
OFFSET_RESETS: Final = Metric(
    "exhaust_offset_resets_total",
    Kind.COUNTER,
    "Partitions that were read from another offset than expected, by reason.",
    _CONSUMING,
    {"topic": _TOPICS, "reason": ("rewound", "expired", "truncated")},
)

# The work on days.
DAYS: Final = Metric(
    "exhaust_days_total",
    Kind.COUNTER,
    "Days by outcome: built, reused (it existed), failed, cancelled.",
    _AGGREGATOR,
    {"outcome": ("built", "reused", "failed", "cancelled")},
)
DAY_SECONDS: Final = Metric(
    "exhaust_day_seconds",
    Kind.HISTOGRAM,
    "Time to find or build a day's archive.",
    _AGGREGATOR,
    buckets=(0.05, 0.25, 1, 5, 15, 60, 300, 900, 3600),
)
EVENTS_SELECTED: Final = Metric(
    "exhaust_events_selected_total", Kind.COUNTER, "Events written to day archives.", _AGGREGATOR
)
SELECTED_BYTES: Final = Metric(
    "exhaust_selected_bytes_total", Kind.COUNTER, "Uncompressed bytes of events written to day archives.", _AGGREGATOR
)
REQUESTS_ASSEMBLED: Final = Metric(
    "exhaust_requests_assembled_total", Kind.COUNTER, "Downloads assembled.", _AGGREGATOR
)

# The states of requests.
COMPLETIONS: Final = Metric(
    "exhaust_completions_total",
    Kind.COUNTER,
    "Completion events that were applied.",
    _STATUS,
    {"status": ("inprogress", "complete", "failed")},
)
REQUESTS_ENDED: Final = Metric(
    "exhaust_requests_ended_total",
    Kind.COUNTER,
    "Attempts at requests that ended; the code tells why one failed. Whoever cancels, each cancel counts once.",
    _STATUS,
    {"dataset": (), "outcome": ("complete", "failed", "cancelled"), "code": _ENDING_CODES},
)
REQUEST_SECONDS: Final = Metric(
    "exhaust_request_seconds",
    Kind.HISTOGRAM,
    "Time from the submit of a request to its end.",
    _STATUS,
    buckets=(0.1, 0.5, 1, 5, 15, 60, 300, 900, 1800, 3600, 14400, 86400),
)
REQUESTS_REAPED: Final = Metric(
    "exhaust_requests_reaped_total",
    Kind.COUNTER,
    "Requests without progress, by what was done: tried again, failed, parked.",
    _STATUS,
    {"outcome": ("again", "failed", "parked")},
)
ROWS_PRUNED: Final = Metric(
    "exhaust_rows_pruned_total",
    Kind.COUNTER,
    "Old rows that were removed.",
    _STATUS,
    {"what": ("requests", "parked", "inbox", "idempotency-keys", "webhook-deliveries")},
)

# Webhooks.
WEBHOOK_DELIVERIES: Final = Metric(
    "exhaust_webhook_deliveries_total",
    Kind.COUNTER,
    "Attempts to deliver to webhooks; refused led to an address that must not be called, after given-up none follows.",
    _STATUS,
    {"outcome": ("delivered", "failed", "refused", "given-up")},
)
WEBHOOK_DELIVERIES_WAITING: Final = Metric(
    "exhaust_webhook_deliveries_waiting",
    Kind.GAUGE,
    "Deliveries to webhooks that are due, of all processes; not those whose next attempt is later.",
    _STATUS,
)
WEBHOOK_OLDEST_SECONDS: Final = Metric(
    "exhaust_webhook_oldest_seconds", Kind.GAUGE, "For how long the oldest of them is due.", _STATUS
)
WEBHOOK_DELIVERY_SECONDS: Final = Metric(
    "exhaust_webhook_delivery_seconds",
    Kind.HISTOGRAM,
    "From an event to its arrival at a webhook, of those that arrive at the first attempt.",
    _STATUS,
    {},
    (0.1, 0.5, 2, 10, 60),
)

# What waits, as the console sees it. What it could not see is NaN.
SAMPLE_AGE: Final = Metric("exhaust_sample_age_seconds", Kind.GAUGE, "Age of the latest look at all stages.", _CONSOLE)
STAGE_WAITING: Final = Metric(
    "exhaust_stage_waiting",
    Kind.GAUGE,
    "What waits in a stage: requests in the outbox, else records.",
    _CONSOLE,
    {"stage": _STAGES},
)
STAGE_WORK_DAYS: Final = Metric(
    "exhaust_stage_work_days",
    Kind.GAUGE,
    "Days of telemetry that still have to be built.",
    _CONSOLE,
    {"stage": _STAGES[:-1]},
)
STAGE_OLDEST: Final = Metric(
    "exhaust_stage_oldest_seconds",
    Kind.GAUGE,
    "For how long the oldest has waited; 0 when nothing waits.",
    _CONSOLE,
    {"stage": _STAGES},
)
STAGE_DONE: Final = Metric(
    "exhaust_stage_done_total", Kind.COUNTER, "What a stage has finished.", _CONSOLE, {"stage": _STAGES}
)
STAGE_HELD: Final = Metric(
    "exhaust_stage_held",
    Kind.GAUGE,
    "Of what waits in the outbox, what may not go on: its partner is at its limit, or an operator paused it.",
    _CONSOLE,
    {"stage": _STAGES[:1]},
)
TOPIC_LAG: Final = Metric(
    "exhaust_topic_lag_messages",
    Kind.GAUGE,
    "Records that a group has not committed.",
    _CONSOLE,
    {"group": _GROUPS, "topic": _TOPICS, "partition": ()},
)
GROUP_MEMBERS: Final = Metric(
    "exhaust_group_members", Kind.GAUGE, "Consumers that have joined a group.", _CONSOLE, {"group": _GROUPS}
)
GROUP_COMMIT_AGE: Final = Metric(
    "exhaust_group_commit_age_seconds",
    Kind.GAUGE,
    "Since a committed offset was last seen to grow.",
    _CONSOLE,
    {"group": _GROUPS},
)
GROUP_REWIND_AGE: Final = Metric(
    "exhaust_group_rewind_age_seconds",
    Kind.GAUGE,
    "Since a committed offset was last seen to fall.",
    _CONSOLE,
    {"group": _GROUPS},
)
WORKER_PROGRESS_AGE: Final = Metric(
    "exhaust_worker_progress_age_seconds",
    Kind.GAUGE,
    "Since any worker last told that the bytes it has read have grown.",
    _CONSOLE,
)
REQUESTS_OPEN: Final = Metric(
    "exhaust_requests_open",
    Kind.GAUGE,
    "Requests that have not ended, by state.",
    _CONSOLE,
    {"state": ("submitted", "inprogress", "parked")},
)
DEAD_LETTERS_OLDEST: Final = Metric(
    "exhaust_dead_letters_oldest_seconds",
    Kind.GAUGE,
    "Age of the oldest dead letter of another service that waits to be redriven; 0 when there is none.",
    _CONSOLE,
)

# What the system knows of a process, by the names that all programs use for it.
_OF_PROCESS: Final = (
    Metric("process_cpu_seconds_total", Kind.COUNTER, "Total user and system CPU time spent in seconds.", _ALL),
    Metric("process_max_fds", Kind.GAUGE, "Maximum number of open file descriptors.", _ALL),
    Metric("process_open_fds", Kind.GAUGE, "Number of open file descriptors.", _ALL),
    Metric("process_resident_memory_bytes", Kind.GAUGE, "Resident memory size in bytes.", _ALL),
    Metric("process_start_time_seconds", Kind.GAUGE, "Start time of the process since unix epoch in seconds.", _ALL),
    Metric("process_virtual_memory_bytes", Kind.GAUGE, "Virtual memory size in bytes.", _ALL),
)
METRICS: Final = (*(found for found in list(globals().values()) if isinstance(found, Metric)), *_OF_PROCESS)
BY_NAME: Final = {metric.name: metric for metric in METRICS}
