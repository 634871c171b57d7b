"""Three replicas behind one address: what one has learned of a customer, an order or a log-out, no other tells.

It takes as long as the prover does, and so is no part of `make test`: `make attacks` names it.
"""

from pathlib import Path

from gateway.verify import recipes
from gateway.verify.run import Options, prove
from tests.balancer import balanced
from tests.fakes.commerce import Commerce
from tests.gateways import Replicas
from tests.gateways import site as run_site
from tests.postgres import Server
from tests.verify.proving import TRUSTED_ACCESS, silent


async def test_nothing_leaks_between_replicas(upstream: Commerce, server: Server, tmp_path: Path) -> None:
    """Every attack of the prover, each connection at the next of three that share PostgreSQL: no leak, and no doubt."""
    async with run_site(upstream, tmp_path, replicas=Replicas(3, server)) as site:
        places = [(one.listen.host, one.listen.port) for one in site.gateways]
        async with balanced(places) as url:
            run = await prove(url, site.config, recipes.built_in(), TRUSTED_ACCESS, Options(concurrency=4), silent)
    assert run.leaks == []
    assert run.outcome.inconclusive == 0
    assert run.requests > 1000
