"""The requests by which two configurations are compared."""

from gateway.config.compile import key_ring, snapshot
from gateway.config.load import load
from gateway.config.probe import OTHER, OWN, Probe, Prober, places, probes
from gateway.routing import parse_template
from gateway.vocab.messages import CallerKind
from gateway.wiring import now
from tests.gateways import ROOT


def test_every_method_of_every_path_is_asked_and_answered() -> None:
    """In the demonstration each caller gets through wherever it may: no probe is refused for what it is made of."""
    config = load(ROOT / "config" / "demo.yaml", {"UPSTREAM_URL": "http://up.example"})
    compiled = snapshot(config, key_ring(config))
    prober, found = Prober(compiled, now()), places(compiled)
    assert len(found) == sum(len(route.methods) for route in compiled.routes.routes)
    for place, routes in found.items():
        for caller in CallerKind:
            answers = {prober.ask(place.method, probe, caller)["answer"] for probe in probes(routes)}
            reached = {"by the gateway itself"} if routes[0].endpoint else {"goes upstream"}
            if caller in routes[0].access:
                assert answers & reached, (place, caller, answers)
            else:
                assert answers == {"403 ACCESS_DENIED"}


def test_ids_are_the_customers_own_and_others() -> None:
    """A path without a parameter is asked once."""
    config = load(ROOT / "config" / "demo.yaml", {"UPSTREAM_URL": "http://up.example"})
    compiled = snapshot(config, key_ring(config))
    for routes in places(compiled).values():
        paths = {probe.target.partition("?")[0] for probe in probes(routes)}
        has_ids = any(part.is_parameter for part in parse_template(routes[0].path))
        assert len(paths) == (2 if has_ids else 1)
        assert {OWN, OTHER} <= {part for path in paths for part in path.split("/")} or not has_ids


def test_a_probe_says_what_it_asks() -> None:
    """With its body, where it has one."""
    assert [str(Probe("/a")), str(Probe("/a", {"data": {}}))] == ["/a", '/a {"data": {}}']
