"""Counts that workers send home: a Spark accumulator of named numbers."""

from collections import defaultdict
from typing import TYPE_CHECKING

from pyspark.accumulators import AccumulatorParam

if TYPE_CHECKING:
    from pyspark import Accumulator, SparkContext

Tally = defaultdict[str, float]


class _Sum(AccumulatorParam[Tally]):
    def zero(self, value: Tally) -> Tally:
        return defaultdict(float)

    def addInPlace(self, value1: Tally, value2: Tally) -> Tally:
        for name, number in value2.items():
            value1[name] += number
        return value1


def tally_on(context: "SparkContext") -> "Accumulator[Tally]":
    """A tally that tasks add to; its value on the driver sums up what they did, repetitions too."""
    return context.accumulator(defaultdict(float), _Sum())
