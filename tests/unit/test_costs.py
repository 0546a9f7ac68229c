"""What `fruits costs` says: sums that can be done by hand, from prices that say where they are from."""

import json
import re
from datetime import date
from itertools import pairwise
from pathlib import Path

import pytest
from click.testing import CliRunner

from scripts.costs import PAGE, page_with
from scripts.deployment import costs, emr
from scripts.deployment.costs import LARGE, PLATFORMS, SIZES, SMALL, first, machines, month, total
from scripts.deployment.plan import Workers
from scripts.deployment.prices import prices, serverless_hour
from scripts.fruits import fruits

ROOT = Path(__file__).parents[2]
BENCHMARKS = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")


def test_a_worker_of_emr_serverless_costs_its_cores_and_its_memory() -> None:
    assert serverless_hour(2, 4) == pytest.approx(2 * 0.052624 + 4 * 0.0057785)


def test_an_hour_of_the_stream_is_a_driver_and_its_workers() -> None:
    one, two = serverless_hour(1, 4), serverless_hour(2, 4)
    assert (machines("emr").idle, machines("emr").full) == pytest.approx((one + two, one + 4 * two))


def test_a_million_small_photographs_by_hand() -> None:
    hours = 1_000_000 / 62.5 / 8 / 3600
    assert costs.hours_to_ingest(1_000_000, SMALL, "emr") == pytest.approx(hours)
    parts = first(1_000_000, SMALL, "emr")
    assert parts["machines"] == pytest.approx((hours + 2 / 60) * machines("emr").full)
    # A PUT and a GET each, one listing that finds them and one that finds no more, and what 34 micro-batches ask.
    puts = 1_000_000 + 2 * 1_000 + 135 + 34 * 30 + 95
    gets = 1_000_000 + 25 + 34 * 55 + 200
    keys = (puts + gets) / 100 * 0.03 / 10_000
    assert parts["requests"] == pytest.approx(puts * 0.005 / 1000 + gets * 0.0004 / 1000 + keys)


def test_what_photographs_ask_of_s3_is_most_of_what_small_ones_cost() -> None:
    parts = first(10_000_000, SMALL, "emr")
    assert parts["requests"] > total(parts) / 2


@pytest.mark.parametrize("platform", PLATFORMS)
def test_more_photographs_cost_more_and_ten_times_as_many_no_more_than_ten_times(platform: str) -> None:
    sums = [total(first(size, LARGE, platform)) for size in SIZES]
    assert all(few < many <= 10 * few for few, many in pairwise(sums))


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_stream_that_idles_costs_more_than_one_each_hour_and_that_more_than_none(platform: str) -> None:
    up, seldom, hourly, off = (total(month(100_000, LARGE, platform, how)) for how in ("up", "seldom", "hourly", "off"))
    assert up > seldom > hourly > off


def test_a_stream_that_lists_pays_for_each_page_of_each_look() -> None:
    # 100 pages take 13.3 s, so a look each 14.3 s.
    looks = 730 * 3600 / 14.3
    assert month(100_000, LARGE, "emr", "up")["requests"] == pytest.approx(looks * 100 * 0.005 / 1000, rel=0.01)


def test_a_stream_with_a_queue_pays_for_what_it_asks_the_queue() -> None:
    asked = 730 * 3600 * 2 * 0.40 / 1e6
    assert month(1_000, LARGE, "ec2", "up")["requests"] == pytest.approx(asked, rel=0.05)


def test_when_nothing_runs_storage_and_alarms_are_paid_for_and_nothing_else() -> None:
    parts = month(1_000_000, LARGE, "emr", "off")
    assert (parts["machines"], parts["requests"]) == (0, 0)
    assert parts["storage"] == pytest.approx(1_000_000 * (3_000_000 + 2_900 + 2 * 600) / 1e9 * 0.023)


def test_what_watches_is_counted_in_the_template() -> None:
    template = (ROOT / "deploy" / "fruits.yaml").read_text(encoding="utf-8")
    sums = template.count("MetricStat:")
    alarms = template.count("Type: AWS::CloudWatch::Alarm")
    # An alarm on a sum of metrics is billed for each of them.
    assert alarms - (sums > 0) + sums == costs.ALARMED
    assert template.count("Type: AWS::Logs::MetricFilter") == costs.METRICS
    assert template.count("Type: AWS::KMS::Key") == costs.KEYS


def test_a_day_of_demonstration_stays_under_ten_euros() -> None:
    assert costs.eur(total(costs.demonstration())) < 10


def test_speed_is_what_the_benchmarks_say() -> None:
    assert "(125 of 148 images/s)" in BENCHMARKS
    assert "(30 of 52 images/s)" in BENCHMARKS
    assert (SMALL.per_core_second, LARGE.per_core_second) == (125 / 2, 30 / 2)
    assert re.search(r"all rows: whole refresh .* 67\.1 \|", BENCHMARKS)


@pytest.mark.parametrize("what", ["micro-batch", "start", "refresh"])
def test_requests_are_what_was_counted_and_rounded_up(what: str) -> None:
    found = re.search(rf"^\| a {what} \| (\S+) \| (\S+) \|$", BENCHMARKS, re.MULTILINE)
    assert found
    for counted, taken in zip(found.groups(), (costs.PUTS[what], costs.GETS[what]), strict=True):
        assert float(counted) <= taken < float(counted) + 10


def test_what_is_taken_for_a_worker_is_what_the_command_that_deploys_it_asks_for() -> None:
    words = emr.submit_parameters("bucket", "1", Workers(3, 5))

    def asked(kind: str, *figures: str) -> list[int]:
        return [int(re.findall(rf"spark\.{kind}\.{figure}=(\d+)", words)[0]) for figure in figures]

    hours = [
        serverless_hour(*asked(kind, "cores"), sum(asked(kind, "memory", "memoryOverhead")))
        for kind in ("driver", "executor")
    ]
    assert machines("emr", Workers(3, 5)).idle == pytest.approx(hours[0] + 3 * hours[1])


@pytest.mark.parametrize("name", [name for name in prices() if name != "assumptions"])
def test_each_price_says_where_it_is_from_and_when_it_was_read(name: str) -> None:
    section = prices()[name]
    assert len(section["source"]) > 20
    assert isinstance(section["read_on"], date)
    for figure in section["to_check"]:
        machine, _, price = figure.rpartition(".")
        assert price in (section[machine] if machine else section)


def test_what_is_to_be_checked_is_told_with_the_figures() -> None:
    ran = CliRunner().invoke(fruits, ["costs"])
    assert ran.exit_code == 0
    unsure = ran.stdout.rpartition("No page that could be read confirms")[2]
    assert "databricks.dbu" in unsure
    assert "emr_serverless" not in unsure


def test_figures_for_machines_are_the_same_sums() -> None:
    ran = CliRunner().invoke(fruits, ["costs", "--images", "1000", "--json"])
    told = json.loads(ran.stdout)["first"][0]
    assert told.pop("images") == 1000
    assert (told.pop("photographs"), told.pop("platform")) == (SMALL.name, "emr")
    assert told == pytest.approx(first(1000, SMALL, "emr"))


def test_the_page_has_the_tables_of_today() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert page_with(text) == text, "python -m scripts.costs writes them anew"
