"""README's "Many replicas": its commands take a store of one machine to a real PostgreSQL, where replicas go on."""

import asyncio
import os
import re
import subprocess
from pathlib import Path

from tests.docs.test_readme import GATEWAY, README
from tests.fakes.commerce import Commerce
from tests.postgres import Server, new_database
from tests.process.processes import extended, serving

PART = README.partition("### Many replicas")[2].partition("\n## ")[0]
BLOCK = re.compile(r"```sh\n(.*?)```", re.DOTALL)
EMAIL, PASSWORD = "ann@shop.example", "canary-password-ann"


async def test_its_commands_move_a_store(
    server: Server, environ: dict[str, str], upstream: Commerce, tmp_path: Path
) -> None:
    """Who registered before logs in at a replica that was only given the database's URL."""
    assert upstream.url == environ["UPSTREAM_URL"]
    old = {**environ, "GATEWAY_STORE_URL": f"sqlite:///{tmp_path}/gateway.db"}
    async with serving(old) as served:
        registered = await served.register(EMAIL, PASSWORD, "Ann")
        assert registered is not None
        assert registered.status == 201
    url = await new_database(server)
    (tmp_path / "password").write_text("any: this server asks for none\n")
    found = BLOCK.search(PART)
    assert found is not None
    script = found[1].replace("postgresql://gateway@db.shop.example/gateway", url)
    script = script.replace("/run/secrets/db", f"{tmp_path}/password")
    extended(tmp_path, "")
    path = f"{Path(GATEWAY).parent}:{os.environ['PATH']}"
    done = await asyncio.to_thread(
        subprocess.run,
        ["/bin/sh", "-eu"],
        input=script,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**old, "PATH": path},
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    async with serving({**environ, "GATEWAY_STORE_URL": url}) as replica:
        assert (await replica.login(EMAIL, PASSWORD)).status == 201
