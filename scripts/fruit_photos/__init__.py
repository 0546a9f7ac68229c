"""Drawn fruit photographs for the demo, tests and benchmarks: any number, by seed, from numpy and Pillow alone.

photos.py       files as users have them: sizes, formats, names, EXIF orientation
bad_objects.py  files that are no pictures
scene.py        fruit, ground and light put together; arrangement.py: how the fruit lies
kinds.py        the table of kinds, from shapes.py, skins.py, flesh.py and growths.py
bodies.py       solids; tracing.py: what a viewer sees of them; strips.py: stalks and leaves
backdrops.py, light.py, colours.py, textures.py, brushes.py: what the names say
"""

from scripts.fruit_photos.bad_objects import draw_bad_objects
from scripts.fruit_photos.photos import KINDS, FruitPhoto, draw_photos

__all__ = ["KINDS", "FruitPhoto", "draw_bad_objects", "draw_photos"]
