"""Colours and shapes that tell labels apart, on paper and on a screen, also for those who see fewer colours."""

from typing import Final

COLOURS: Final = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
"""Okabe and Ito's (2008), but for black and yellow, which a dark or a light ground would swallow."""
REST: Final = "#8a8f95"
"""Of the many that have no colour of their own."""
