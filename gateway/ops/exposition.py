"""Shows what was counted as Prometheus text, the numbers of several workers added up. It counts nothing itself.

What cannot be added up as it is shown is kept in another form: `Times` as counters, moments instead of ages.
"""

import os
from bisect import bisect_left
from collections import Counter as Counts
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import cache, partial
from itertools import accumulate
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Metric, generate_latest, values
from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString
from prometheus_client.values import MultiProcessValue

# From below the gateway's own cost (25 us of decisions) up to what clients wait for at most.
_BUCKETS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
# The buckets as Prometheus writes them; the last one takes what is above all bounds.
_PARTS: Final = (*map(floatToGoString, _BUCKETS), "+Inf")
_bucket: Final = partial(bisect_left, _BUCKETS)
_SUM: Final = "sum"
_FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"
EXPIRES_AT: Final = "gateway_credential_expires_at_seconds"
LOG_OUTS_AT: Final = "gateway_revocations_at_seconds"
SECONDS: Final = "gateway_request_seconds"
UPSTREAM_SECONDS: Final = "gateway_upstream_seconds"
_LABELS: Final = {SECONDS: ("route",), UPSTREAM_SECONDS: ("route", "upstream")}


def share(folder: str, worker: int) -> None:
    """Keep the numbers of this process in files of a folder, beside those of other workers; to be called first.

    A worker that takes the place of a dead one takes its number too, and counts on where that one ended.
    """
    os.environ[_FOLDER] = folder
    values.ValueClass = MultiProcessValue(lambda: worker)  # type: ignore[no-untyped-call]  # it has no types there


def forget(folder: str, worker: int) -> None:
    """Take back what a dead worker said of its present state; what it counted stays."""
    mark_process_dead(worker, folder)  # type: ignore[no-untyped-call]  # it has no types there


def expose(registry: CollectorRegistry, now: Callable[[], float]) -> tuple[bytes, str]:
    """Return what a registry holds as Prometheus text, and its content type; after `share` the sum of all workers.

    It reads files then: call it off the event loop; events may be counted meanwhile.
    """
    folder = os.environ.get(_FOLDER)
    source = _Files(Path(folder)) if folder else registry
    return generate_latest(_Shown(source, now)), CONTENT_TYPE_PLAIN_0_0_4


class Times:
    """A histogram of seconds, labelled as `_LABELS` says, that takes many at once; the client library's own cannot.

    Its numbers are counters, one for each bucket and one for the sum, so that those of several processes add up as
    all counters do; `_Shown` makes a histogram of them for whoever asks.
    """

    def __init__(self, name: str, text: str, registry: CollectorRegistry) -> None:
        counter = Counter(name, text, (*_LABELS[name], "part"), registry=registry)
        self._part: Final = cache(counter.labels)

    def observe(self, labels: tuple[str, ...], times: Sequence[float]) -> None:
        """Count times of one route."""
        if not times:
            return
        for bucket, count in Counts(map(_bucket, times)).items():
            self._part(*labels, _PARTS[bucket]).inc(count)
        self._part(*labels, _SUM).inc(sum(times))


class _Files(Collector):
    """The numbers of all workers, from the files of a folder, added up."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def collect(self) -> Iterable[Metric]:
        files = []
        for path in self._folder.glob("*.db"):
            # A worker that ends takes files with it. One that begins makes them empty at first, which the library does
            # not expect (`MmapedDict.read_all_values_from_file`): a scrape at that moment would fail.
            with suppress(FileNotFoundError):
                if path.stat().st_size:
                    files.append(str(path))
        merged: Iterable[Metric] = MultiProcessCollector.merge(files)  # type: ignore[no-untyped-call]  # it has no types
        return merged


class _Shown(Collector):
    """The families of a source as they are shown: with histograms, and the seconds to and since what has a time.

    Those are computed from the stored times when somebody asks, for gauges with a function do not exist in
    multiprocess mode.
    """

    def __init__(self, source: Collector | CollectorRegistry, now: Callable[[], float]) -> None:
        self._source = source
        self._now = now

    def collect(self) -> Iterator[Metric]:
        for family in self._source.collect():
            if family.name in _LABELS:
                yield _histogram(family, _LABELS[family.name])
                continue
            yield family
            if family.name == EXPIRES_AT:
                what = "Seconds until a credential expires; negative once it has."
                left = GaugeMetricFamily("gateway_credential_expiry_seconds", what, labels=("upstream", "credential"))
                for sample in family.samples:
                    left.add_metric(
                        (sample.labels["upstream"], sample.labels["credential"]), sample.value - self._now()
                    )
                yield left
            for sample in family.samples:
                if family.name == LOG_OUTS_AT:
                    yield GaugeMetricFamily(
                        "gateway_revocations_age_seconds",
                        "Seconds since the store was last heard of: as old is what is known of log-outs.",
                        value=self._now() - sample.value,
                    )


def _histogram(family: Metric, labels: tuple[str, ...]) -> HistogramMetricFamily:
    """Make a histogram of the counters of `Times`."""
    found: defaultdict[tuple[str, ...], dict[str, float]] = defaultdict(dict)
    for sample in family.samples:
        if sample.name.endswith("_total"):
            found[tuple(sample.labels[label] for label in labels)][sample.labels["part"]] = sample.value
    histogram = HistogramMetricFamily(family.name, family.documentation, labels=labels)
    for named, parts in found.items():
        # Each bucket of a histogram counts what is in the smaller ones too.
        counts = accumulate(parts.get(part, 0.0) for part in _PARTS)
        histogram.add_metric(named, list(zip(_PARTS, counts, strict=True)), parts.get(_SUM, 0.0))
    return histogram
