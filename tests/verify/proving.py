"""Runs the prover against gateways in this process, and gathers what it found."""

from gateway.verify import recipes
from gateway.verify.gate import Access
from gateway.verify.run import Options, Run, prove
from tests.gateways import STOREFRONT, TRUSTED, TRUSTED_SECRET, Site

TRUSTED_ACCESS = Access(STOREFRONT, client_id=TRUSTED, client_secret=TRUSTED_SECRET)
PUBLIC_ACCESS = Access(STOREFRONT)


def silent(_text: str, _count: int) -> None:
    """Show no progress."""


async def proven(
    site: Site, access: Access = TRUSTED_ACCESS, seeds: recipes.Seeds | None = None, options: Options | None = None
) -> Run:
    """Attack a gateway that runs in this process."""
    return await prove(
        site.url, site.config, seeds or recipes.built_in(), access, options or Options(concurrency=4), silent
    )


def found(proof: Run) -> set[tuple[str, str]]:
    """Return route and vector of every leak."""
    return {(leak.cell.route, leak.cell.vector) for leak in proof.leaks}


def leaky_routes(proof: Run) -> set[str]:
    """Return the routes that leak."""
    return {leak.cell.route for leak in proof.leaks}
