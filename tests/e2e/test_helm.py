"""The chart's own test, as its README says to run it, over the pipeline that the demo left."""

from __future__ import annotations

import pytest

from tests.demo.watching import Watch
from tests.e2e import world
from tests.waiting import until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(2000)]


def test_a_record_goes_through_and_its_consumer_with_it(watch: Watch) -> None:
    """It says where the record went; no pod of it is left but its own, which has the log."""
    said = watch.reach.run("helm", "test", "headrace", "-n", "headrace-system", "--logs", timeout=400)

    assert "A record went from headrace-test.shop of KafkaConnection kafka through a Consumer's pod" in said
    labels = "app.kubernetes.io/name=headrace-test"
    assert not world.kubectl("get", "roles,rolebindings,serviceaccounts", "-A", "-l", labels, "-o", "name")
    of_it = "headrace.dev/consumer=headrace-test"
    until("its Consumer's pods are gone", lambda: not world.listed("shop", "pods", of_it))
