"""Reads an OpenMetrics page on standard input with the strict parser of
prometheus_client, which raises on anything that the specification forbids."""

import sys

from prometheus_client.openmetrics.parser import text_string_to_metric_families

page = sys.stdin.buffer.read().decode("utf-8")
families = list(text_string_to_metric_families(page))
samples = [sample for family in families for sample in family.samples]
if not samples:
    sys.exit("the page has no samples")
names = {(sample.name, tuple(sorted(sample.labels.items()))) for sample in samples}
if len(names) != len(samples):
    sys.exit("the page has a series twice")
