"""What painters paint with: textures laid over a traced surface, tints, and ways to mix."""

import numpy as np

from scripts.fruit_photos.colours import linear, smoothstep
from scripts.fruit_photos.textures import Floats, Rng, cells, noise, texel_of
from scripts.fruit_photos.tracing import Surface


def flat_map(surface: Surface) -> tuple[Floats, Floats]:
    """View plane coordinates stretched towards the outline, so that a texture keeps its scale over the curved skin."""
    x, y, _ = surface.view
    nx, ny, nz = surface.normal
    stretch = np.float32(0.57) * (1 - nz)
    return x + nx * stretch, y + ny * stretch


def speckle(surface: Surface, rng: Rng, across: int, size: float, share: float, scale: float = 150) -> Floats:
    """Round dots in [0, 1] on a random `share` of irregular cells, `size` in cell widths."""
    texel = texel_of(*flat_map(surface), scale, rng)
    field = cells(across)
    chosen = field.shade.ravel()[texel] < share
    return chosen * smoothstep(size, size * 0.5, field.pit.height.ravel()[texel])


def clouds(surface: Surface, rng: Rng, falloff: float, scale: float = 110) -> Floats:
    """Noise of mean 0 and deviation 1 over the skin."""
    return noise(falloff).height.ravel()[texel_of(*flat_map(surface), scale, rng)]


def pores(surface: Surface, rng: Rng, depth: float, scale: float = 150) -> tuple[Floats, Floats]:
    """Slopes (2, N) of a pitted skin and the depth of each point in its pit (1 at the bottom)."""
    texel = texel_of(*flat_map(surface), scale, rng)
    pit = cells(56).pit
    inside = pit.height.ravel()[texel]
    steep = np.float32(depth) * (1 - smoothstep(0.25, 0.6, inside))
    slope = np.stack([pit.slope_x.ravel()[texel] * steep, -pit.slope_y.ravel()[texel] * steep])
    return slope, 1 - smoothstep(0.0, 0.5, inside)


def streaks(surface: Surface, rng: Rng, count: float) -> Floats:
    """Noise drawn out from stem to tip, `count` texels of it a radian."""
    texel = texel_of(surface.around * np.float32(count), surface.along * np.float32(34), 1.0, rng)
    return noise(1.3).height.ravel()[texel]


def tinted(rng: Rng, *colours: str, spread: float = 0.06) -> list[Floats]:
    """Linear colours, all shifted together in brightness and hue as one fruit differs from the next."""
    shift = np.exp(rng.normal(0, spread, 3) + rng.normal(0, spread * 1.5)).astype(np.float32)
    return [linear(colour) * shift for colour in colours]


def mix(under: Floats, over: Floats, amount: Floats) -> Floats:
    """Colours (3, N) with a colour (3,) or colours (3, N) laid over them by amounts (N,) in [0, 1]."""
    return under + (over.reshape(3, -1) - under) * amount


def towards_sun(surface: Surface, rng: Rng) -> Floats:
    """1 where the skin faced the sun on the tree to -1 where it faced away, whichever way that was."""
    lean = rng.normal(0, 1, 3).astype(np.float32)
    sunny: Floats = lean @ surface.normal / np.float32(np.linalg.norm(lean))
    return sunny


def along_skin(surface: Surface, eastward: Floats, upward: Floats) -> Floats:
    """Slopes (2, N) in the view plane of slopes round the axis and towards the stem."""
    north = surface.axis[:, None] - surface.normal * (surface.axis @ surface.normal)
    north /= np.sqrt((north * north).sum(0)) + np.float32(1e-3)
    east = np.cross(surface.normal, north, axis=0)
    return (east * eastward + north * upward)[:2]
