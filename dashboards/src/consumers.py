"""The rows about Consumers: does work wait, is it done, and why so many replicas."""

from __future__ import annotations

from dashboards.src.panels import Panel, Row
from dashboards.src.promql import CONSUMER, WHERE, K, count, most, quantiles, rate, total


def rows() -> tuple[Row, ...]:
    """Return the rows, worst first."""
    return (_waiting(), _failing(), _handling(), _scaling())


def _waiting() -> Row:
    arriving = f"sum by ({K}) (clamp_min(deriv(headrace_consumer_end_offset{{{WHERE}}}[$__rate_interval]), 0))"
    return Row(
        title="Consumers: does work wait?",
        panels=(
            Panel(
                title="Wait against target",
                about="Age of the oldest unhandled record, in source topics and in the retry topic. Below the dashed"
                " target is good. Above it Replicas tells whether more can be had, Handler and Retry share whether the"
                " target is slow or fails.",
                unit="s",
                queries={
                    f"{CONSUMER} {{{{role}}}}": most(f"{K}, role", "headrace_consumer_lag_seconds"),
                    f"{CONSUMER} target": most(K, "headrace_consumer_slo_lag_seconds"),
                },
            ),
            Panel(
                title="Backlog",
                about="Records not handled yet, in source topics and in the retry topic (redriven ones). Peaks that"
                " fall again are good; a line that only rises needs more capacity.",
                unit="short",
                queries={
                    f"{CONSUMER} {{{{role}}}}": f"sum by ({K}, role)"
                    f" ({most(f'{K}, role, topic, partition', 'headrace_consumer_lag_messages')})"
                },
            ),
            Panel(
                title="Arriving and handled",
                about="Records a second into the topics, and done. Handled at or above arriving is good.",
                unit="ops",
                queries={
                    f"{CONSUMER} arriving": arriving,
                    f"{CONSUMER} handled": rate(K, "headrace_consumer_records_total"),
                },
            ),
        ),
    )


def _failing() -> Row:
    share = (
        f"{rate(K, 'headrace_consumer_attempts_total', _outcome('retry'))}"
        f" / {rate(K, 'headrace_consumer_attempts_total')}"
    )
    return Row(
        title="Consumers: does it fail?",
        panels=(
            Panel(
                title="Retry share",
                about="Share of attempts that failed and are tried again. Below a tenth is good. Above it help the"
                " target: retries make an overloaded one worse. No line while nothing is handled.",
                unit="percentunit",
                queries={CONSUMER: share},
                bad_from=0.1,
            ),
            Panel(
                title="Attempts by outcome",
                about="Attempts a second: `ok`, `retry` (again later), `dead_letter` (given up) and `frozen` (the"
                " target fails, so it does not count). Only `ok` is good.",
                unit="ops",
                queries={f"{CONSUMER} {{{{outcome}}}}": rate(f"{K}, outcome", "headrace_consumer_attempts_total")},
            ),
            *_held_back(),
            Panel(
                title="Keys that wait for another attempt",
                about="0 is good. Each such key waits with all its later records; other keys go on.",
                unit="short",
                queries={CONSUMER: total(K, "headrace_consumer_retrying_keys")},
            ),
            Panel(
                title="Parked keys",
                about="0 is good. Each is a key that fails, or is slow, with more records than fit in memory: they go"
                " through the retry topic in their order, and other keys go on.",
                unit="short",
                queries={CONSUMER: total(K, "headrace_consumer_parked_keys")},
            ),
            *_dead_letters(),
            Panel(
                title="Commits held back",
                about="For how long the oldest unfinished record has held back the commits of its partition. Seconds"
                " are good; minutes are a record that hangs or is tried again and again: see the log of the pods.",
                unit="s",
                queries={CONSUMER: most(K, "headrace_consumer_frontier_age_seconds")},
            ),
        ),
    )


def _held_back() -> tuple[Panel, ...]:
    return (
        Panel(
            title="Target away",
            about="0 is good. 1 while what the Consumer calls fails: records wait, one is tried now and then, and"
            " no attempt counts. See the log of the pods, and the target.",
            unit="short",
            queries={CONSUMER: most(K, "headrace_consumer_circuit_open")},
            bad_from=1,
        ),
        Panel(
            title="Store of handled messages away",
            about="0 is good, also without `delivery.deduplication`. 1 while its store does not answer: records"
            " wait, one asks now and then, and no attempt counts. See the log of the pods, and the store.",
            unit="short",
            queries={CONSUMER: most(K, "headrace_consumer_store_away")},
            bad_from=1,
        ),
        Panel(
            title="Records handled at once",
            about="How many may be in flight in all pods: `delivery.concurrency` of each is good; less after the"
            " target said that it has too much (429, 503) or answered too late.",
            unit="short",
            queries={CONSUMER: total(K, "headrace_consumer_in_flight_limit")},
        ),
    )


def _dead_letters() -> tuple[Panel, ...]:
    return (
        Panel(
            title="Dead letters arrived",
            about="None is good. Records given up, by reason: `max-attempts`, `non-retriable` (refused), `timeout` or"
            " `expired`. `headrace dlq list NAME` shows them.",
            unit="short",
            queries={f"{CONSUMER} {{{{reason}}}}": count(f"{K}, reason", "headrace_consumer_dead_letters_total")},
            shape="bars",
        ),
        Panel(
            title="Dead letters by Consumer",
            about="0 is good: neither redriven nor discarded. Mend the cause, then `headrace redrive NAME`.",
            unit="short",
            queries={CONSUMER: most(K, "headrace_dlq_outstanding_messages")},
        ),
    )


def _handling() -> Row:
    return Row(
        title="Consumers: how long does it take?",
        panels=(
            Panel(
                title="End to end",
                about="From a record's timestamp on its topic to its success. Steady is good; when it rises, Dwell time"
                " says whether records wait, Handler whether an attempt takes long.",
                unit="s",
                queries=quantiles("headrace_end_to_end_latency_seconds"),
            ),
            Panel(
                title="Dwell time",
                about="From a record's timestamp to the start of its first attempt. Near zero is good; else there are"
                " too few replicas, or keys wait behind failing records.",
                unit="s",
                queries=quantiles("headrace_consumer_dwell_seconds"),
            ),
            Panel(
                title="Handler",
                about="How long one attempt takes. Well below the handler's time-out is good; when it rises, look at"
                " the target or at your code.",
                unit="s",
                queries=quantiles("headrace_consumer_processing_duration_seconds"),
            ),
        ),
    )


def _scaling() -> Row:
    terms = {
        f"{CONSUMER} arriving": most(K, "headrace_autoscaler_arrivals_messages_per_second"),
        f"{CONSUMER} handled": most(K, "headrace_autoscaler_handled_messages_per_second"),
        f"{CONSUMER} one replica can": most(K, "headrace_autoscaler_capacity_messages_per_second"),
    }
    replicas = {
        f"{CONSUMER} {word}": most(K, f"headrace_consumer_{word}_replicas")
        for word in ("ready", "desired", "min", "max")
    }
    return Row(
        title="Consumers: why so many replicas?",
        panels=(
            Panel(
                title="Replicas",
                about="Ready equal to desired is good. Desired above ready: pods are starting or do not fit on the"
                " nodes. At max (scale.max or the number of partitions) no more will help.",
                unit="short",
                queries=replicas,
            ),
            Panel(
                title="Reason of the last decision",
                about="Steady is good. Learning: no replica was busy yet. MissingData: offsets could not be read,"
                " nothing changes. Settling: waits before the next change. Failing: records fail, more replicas would"
                " not help. NoGain: the last rise brought nothing, so something else limits.",
                unit="short",
                queries={f"{CONSUMER}: {{{{reason}}}}": most(f"{K}, reason", "headrace_autoscaler_reason")},
                shape="states",
            ),
            Panel(
                title="What the decision is made of",
                about="Records a second, as the autoscaler saw them. Handled at or above arriving is good. Replicas"
                " follow arriving, and what waits, divided by what one can.",
                unit="ops",
                queries=terms,
            ),
            Panel(
                title="In flight",
                about="Records being handled now. Below delivery.concurrency times replicas is good; at it all hands"
                " are busy.",
                unit="short",
                queries={CONSUMER: total(K, "headrace_consumer_in_flight")},
            ),
            Panel(
                title="Rebalances",
                about="A few when replicas change is good; a steady beat is pods that are lost again and again.",
                unit="short",
                queries={CONSUMER: count(K, "headrace_consumer_rebalances_total")},
                shape="bars",
            ),
            Panel(
                title="Commits by outcome",
                about="`ok` about once a second and partition is good. `failed` ones are repeated; records may come"
                " again after them.",
                unit="ops",
                queries={f"{CONSUMER} {{{{outcome}}}}": rate(f"{K}, outcome", "headrace_consumer_commits_total")},
            ),
        ),
    )


def _outcome(outcome: str) -> str:
    return f'outcome="{outcome}", {WHERE}'
