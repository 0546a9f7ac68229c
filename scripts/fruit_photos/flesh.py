"""Painters of fruit that is also shown halved, with its flesh: citrus and kiwi."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from scripts.fruit_photos.brushes import clouds, flat_map, mix, pores, speckle, streaks, tinted
from scripts.fruit_photos.colours import linear, ramp, smoothstep
from scripts.fruit_photos.light import Skin
from scripts.fruit_photos.skins import Painter
from scripts.fruit_photos.textures import Floats, Rng, noise, texel_of
from scripts.fruit_photos.tracing import Surface


def citrus(colours: Sequence[str], flesh: Sequence[str], unripe: str, depth: float) -> Painter:
    """Pitted rind with an unripe tinge here and there; the cut face shows segments."""

    def paint(surface: Surface, rng: Rng) -> Skin:
        slope, inside = pores(surface, rng, depth)
        broad = clouds(surface, rng, 1.9)
        albedo = ramp(0.5 + 0.17 * broad - 0.3 * inside, tinted(rng, *colours))
        tinge = smoothstep(rng.uniform(0.8, 2.6), 3.0, broad + 0.8 * clouds(surface, rng, 1.3))
        ends = smoothstep(0.9, 1.0, np.abs(surface.along)) * np.float32(rng.uniform(0, 0.6))
        albedo = mix(albedo, linear(unripe), np.maximum(tinge * 0.7, ends))
        navel = smoothstep(0.990, 0.997, surface.along)
        albedo = mix(albedo, linear("#6e6a35"), navel * 0.8)
        scars = speckle(surface, rng, 14, 0.3, 0.12) * smoothstep(-0.5, 1.0, clouds(surface, rng, 1.0))
        albedo = mix(albedo, linear("#8a6a3a"), scars * np.float32(rng.uniform(0, 0.5)))
        skin = Skin(albedo, gloss=rng.uniform(0.14, 0.36), polish=rng.uniform(0.35, 0.65), bump=slope, glow=0.2)
        return _cut(skin, surface, _segments(surface, rng, flesh)) if surface.cut.any() else skin

    return paint


def _segments(surface: Surface, rng: Rng, flesh: Sequence[str]) -> Floats:
    """Cut citrus: rind, white pith, nine or so segments with juice sacs drawn out from the middle."""
    radius, angle = _on_face(surface)
    count = int(rng.integers(8, 12))
    turn = (angle / (2 * np.pi) * count + 0.06 * np.sin(angle * 3 + rng.uniform(0, 6))) % 1
    to_wall = np.minimum(turn, 1 - turn) * radius * np.float32(2 * np.pi / count)
    sacs = noise(1.0).height.ravel()[texel_of(angle * 60, radius * 45, 1.0, rng)]
    pulp = ramp(0.5 + 0.2 * sacs, tinted(rng, *flesh))
    pith = linear("#f3ead0")
    inside = smoothstep(0.012, 0.035, to_wall) * smoothstep(0.89, 0.85, radius) * smoothstep(0.06, 0.12, radius)
    return mix(np.repeat(pith[:, None], radius.size, 1), pulp, inside)


def _on_face(surface: Surface) -> tuple[Floats, Floats]:
    """Distance from the axis (about 1 at the rind) and angle of points on a cut face."""
    sine = np.sqrt(np.maximum(1 - surface.along**2, 0))
    length = np.sqrt((surface.view**2).sum(0))
    radius = sine * length
    return radius / max(float(np.quantile(radius[surface.cut], 0.995)), 1e-3), surface.around


def _cut(skin: Skin, surface: Surface, face: Floats) -> Skin:
    """Lay flesh over the part of the skin where the knife went through."""
    bump = None if skin.bump is None else skin.bump * ~surface.cut
    return replace(skin, albedo=np.where(surface.cut, face, skin.albedo), bump=bump)


def kiwi(surface: Surface, rng: Rng) -> Skin:
    """Brown felt; the cut face green with a pale core, rays and a ring of black seeds."""
    felt = noise(0.3).height.ravel()[texel_of(*flat_map(surface), 170, rng)]
    hair = streaks(surface, rng, 130)
    amount = 0.5 + 0.12 * felt + 0.1 * hair + 0.12 * clouds(surface, rng, 1.6)
    albedo = ramp(amount, tinted(rng, "#4a3218", "#7a5a30", "#a98a54"))
    albedo = albedo * (1 - 0.6 * smoothstep(0.965, 0.995, np.abs(surface.along)))
    bump = np.stack([felt, hair]) * np.float32(0.07)
    skin = Skin(albedo, gloss=0.05, polish=0.1, bump=bump, glow=0.25, fuzz=rng.uniform(0.3, 1.1))
    return _cut(skin, surface, _kiwi_flesh(surface, rng)) if surface.cut.any() else skin


def _kiwi_flesh(surface: Surface, rng: Rng) -> Floats:
    radius, angle = _on_face(surface)
    wobble = radius * (1 + 0.05 * np.sin(angle * 2 + rng.uniform(0, 6)))
    rays = noise(1.0).height.ravel()[texel_of(angle * 50, radius * 14, 1.0, rng)]
    green = ramp(
        0.45 + 0.2 * rays * smoothstep(0.2, 0.5, radius) + 0.3 * (0.7 - wobble),
        tinted(rng, "#4f7a1c", "#86b030", "#b9d35f"),
    )
    flesh = mix(green, linear("#eef0c0"), smoothstep(0.33, 0.2, wobble + 0.03 * rays))
    count = int(rng.integers(26, 38))
    turn = (angle / (2 * np.pi) * count) % 1 - 0.5
    which = np.floor(angle / (2 * np.pi) * count).astype(int) % count
    ring = rng.uniform(0.36, 0.56, count).astype(np.float32)[which]
    seed = np.hypot(turn * radius * (2 * np.pi / count) / 0.028, (wobble - ring) / 0.062)
    flesh = mix(flesh, linear("#17130d"), smoothstep(1.15, 0.8, seed))
    return mix(flesh, linear("#6b4f2a"), smoothstep(0.955, 0.985, radius))
