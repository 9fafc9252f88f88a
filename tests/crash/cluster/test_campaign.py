"""The campaign on PostgreSQL, in a form of half a minute, and once with a defect that it has to find."""

from pathlib import Path

from tests.crash.cluster.campaign import Campaign, Options, document
from tests.crash.points import KINDS


async def run(directory: Path, options: Options) -> Campaign:
    campaign = Campaign(directory, options)
    await campaign.run()
    return campaign


async def test_everything_adds_up_after_each_outage_and_each_kill(tmp_path: Path) -> None:
    options = Options(
        short=True,
        seed=5,
        names=("fulfilment", "booking"),
        only=("process-killed", "server-killed", "disk-full", "moments"),
        stride=9,
        quiet=True,
    )
    campaign = await run(tmp_path, options)
    assert not campaign.wrong, "\n".join(campaign.wrong)
    assert [found.name for found in campaign.found] == list(options.only)
    assert all(found.sagas and (found.outages or found.fuses) for found in campaign.found), document(campaign)
    assert set(campaign.found[-1].fuses) == set(KINDS)
    assert campaign.found[0].resumes, "sagas were under way"


async def test_a_store_that_acknowledges_before_it_commits_is_found_out(tmp_path: Path) -> None:
    options = Options(short=True, seed=1, names=("fulfilment",), only=("moments",), liar=True, quiet=True)
    campaign = await run(tmp_path, options)
    assert any("acknowledged" in fault for fault in campaign.wrong), campaign.wrong
