"""What a campaign showed: its verdict, a text for people, and JSON."""

from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice
from typing import Any

from benchmarks.faults.campaign import Outcome
from benchmarks.faults.leaks import MAY_GROW, MAY_REMAIN, Sample, slope, typical
from benchmarks.scrape import lateness_quantile

_MB = 1 << 20


def part(outcome: Outcome, name: str) -> list[Sample]:
    """Return the samples of one part of the campaign."""
    ends = list(outcome.marks.values())
    at = list(outcome.marks).index(name)
    return outcome.watch.samples[ends[at - 1] if at else 0 : ends[at]]


def figures(outcome: Outcome) -> dict[str, Any]:
    """Return everything, for JSON: seconds and bytes."""
    ledger, storm = outcome.ledger, outcome.storm
    assert outcome.first is not None
    assert outcome.last is not None
    beside = sorted(ledger.beside)
    return {
        "plan": asdict(outcome.plan),
        "probes": ledger.probes,
        "seconds": outcome.seconds,
        "sites": outcome.sites,
        "other": ledger.other,
        "ledger": ledger.rows(),
        "others": [one | {"replay": _replay(outcome, one["behaviour"])} for one in ledger.others],
        **_growth(outcome),
        "samples": [asdict(sample) for sample in outcome.watch.samples],
        "lateness": {
            f"p{share}": lateness_quantile(outcome.first, outcome.last, share / 100) for share in (50, 99)
        },
        "skipped": outcome.last.total("sitemedic_exporter_probes_skipped_total"),
        "own_faults": outcome.last.total("sitemedic_exporter_probe_errors_total"),
        "tracebacks": outcome.log.count("Traceback"),
        "beside": {
            "probes": len(beside), "failures": ledger.beside_failures,
            "p50": beside[len(beside) // 2], "p99": beside[int(len(beside) * 0.99)], "max": beside[-1],
        },
        "reloads": {
            "taken_up": storm.taken_up if storm else 0,
            "refused": storm.refused if storm else 0,
            "faults": [*outcome.lost, *(storm.faults if storm else ())],
        },
    }  # fmt: skip


def _growth(outcome: Outcome) -> dict[str, Any]:
    """Return what was held: in the calm before and after, and in the first and last fifth of the load."""
    samples = outcome.watch.samples
    warm = samples[outcome.marks["warm-up"] : outcome.marks["after the storm"]]
    fifth = max(1, len(warm) // 5)
    moments = {
        "before": typical(part(outcome, "calm before")),
        "warm": typical(warm[:fifth]),
        "end": typical(warm[-fifth:]),
        "after": typical(part(outcome, "calm after")),
    }
    return {
        "descriptors": {
            **{name: descriptors for name, (_, descriptors) in moments.items()},
            "most": max(sample.descriptors for sample in samples),
            "held": outcome.held,
        },
        "resident_bytes": {
            **{name: resident for name, (resident, _) in moments.items()},
            "most": max(sample.resident_bytes for sample in samples),
            "per_100000_probes": slope(warm) * 100_000,
        },
    }


def complaints(found: dict[str, Any]) -> list[str]:
    """Say what must not be; nothing where all is well."""
    descriptors, memory = found["descriptors"], found["resident_bytes"]
    grown = memory["end"] - memory["warm"]
    wrong = []
    if found["other"]:
        wrong.append(f"{found['other']} probes had another reason than docs/reasons.md says")
    if descriptors["after"] > descriptors["before"] + MAY_REMAIN:
        wrong.append(f"descriptors leak: {descriptors['before']} before, {descriptors['after']} after")
    if grown > MAY_GROW and memory["per_100000_probes"] > MAY_GROW:
        wrong.append(f"memory leaks: it grew by {grown / _MB:.0f} MB once it was warm")
    if found["beside"]["failures"]:
        wrong.append(f"{len(found['beside']['failures'])} probes of sites that were well failed")
    if found["own_faults"] or found["tracebacks"]:
        wrong.append(f"{found['own_faults']:g} faults of its own, {found['tracebacks']} tracebacks")
    wrong += found["reloads"]["faults"]
    return wrong


def lines(found: dict[str, Any], wrong: list[str]) -> Iterator[str]:
    """Write it for people."""
    yield f"{'behaviour':42} {'reason':12} {'count':>7}"
    for row in found["ledger"]:
        other = "" if row["reason"] == row["wanted"] else f"   wanted {row['wanted']}"
        yield f"{row['behaviour']:42} {row['reason']:12} {row['count']:7,}{other}"
    yield ""
    for one in islice(found["others"], 20):
        yield f"other: {one['site']}: {one['reason']} ({one['detail']}), wanted {one['wanted']}"
        yield f"  {one['replay']}"
    memory, descriptors = found["resident_bytes"], found["descriptors"]
    beside, reloads, late = found["beside"], found["reloads"], found["lateness"]
    yield (
        f"{found['probes']:,} probes of {found['sites']:,} sites in {found['seconds']:.0f} s; "
        f"{found['other']} with another reason"
    )
    moments = ("before", "warm", "end", "most", "after")
    yield "memory, MB: " + ", ".join(f"{name} {memory[name] / _MB:.1f}" for name in moments)
    yield f"  slope once warm: {memory['per_100000_probes'] / _MB:+.2f} MB in 100,000 probes"
    yield "descriptors: " + ", ".join(f"{name} {descriptors[name]}" for name in moments)
    yield (
        f"sites beside: {beside['probes']:,} probes, {len(beside['failures'])} failed, "
        + ", ".join(f"{name} {beside[name] * 1000:.1f} ms" for name in ("p50", "p99", "max"))
    )
    yield (
        f"lateness: p50 {late['p50'] * 1000:.0f} ms, p99 {late['p99'] * 1000:.0f} ms; "
        f"{found['skipped']:g} probes left out"
    )
    yield f"reloads: {reloads['taken_up']} taken up, {reloads['refused']} broken ones refused"
    yield ""
    yield from (f"WRONG: {one}" for one in wrong)
    yield "All is well." if not wrong else f"{len(wrong)} things are wrong."


def _replay(outcome: Outcome, behaviour: str) -> str:
    seed = outcome.plan.seed
    return f"./sitemedic dev faults --only {behaviour} --seed {seed} --probes 200 --rate 20 --reloads 0"
