"""Making a demo anew: founded, then filled."""

from random import Random

from casework.clock import Clock
from casework.demo.directory import DemoDirectory
from casework.demo.filling import fill, plan_cases
from casework.demo.founding import found_demo
from casework.demo.people import Authenticator
from casework.demo.progress import Progress
from casework.deployment import assemble, dismantle
from crypto.password import DEFAULT_PARAMS, KdfParams

CASES = 200
_SEED = 63


async def build(
    directory: DemoDirectory,
    authenticator: Authenticator,
    progress: Progress,
    *,
    cases: int = CASES,
    params: KdfParams = DEFAULT_PARAMS,
) -> None:
    """Fill an empty demo directory: the same people's stories each time, under other ids, keys and passwords."""
    clock: Clock = authenticator.clock
    founded = await found_demo(directory, clock, params, progress)
    deployment = await assemble(directory.settings(), clock, params)
    try:
        await deployment.shreds.create()
        random = Random(_SEED)  # noqa: S311 - stories, not secrets
        planned = plan_cases(random, cases, clock.now())
        await fill(deployment, founded, authenticator, planned, progress)
    finally:
        await dismantle(deployment)
