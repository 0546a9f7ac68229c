"""Painters of skin and cut flesh: colours, freckles, pores and seeds over a traced surface."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from scripts.fruit_photos.bodies import Surface
from scripts.fruit_photos.colours import linear, ramp, smoothstep
from scripts.fruit_photos.light import Skin
from scripts.fruit_photos.textures import Floats, cells, noise, texel_of

Painter = Callable[[Surface, np.random.Generator], Skin]
Rng = np.random.Generator


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


def _towards_sun(surface: Surface, rng: Rng) -> Floats:
    """1 where the skin faced the sun on the tree to -1 where it faced away, whichever way that was."""
    lean = rng.normal(0, 1, 3).astype(np.float32)
    sunny: Floats = lean @ surface.normal / np.float32(np.linalg.norm(lean))
    return sunny


def apple(ground: Sequence[str], blush: Sequence[str], cover: tuple[float, float]) -> Painter:
    """Ground colour, a streaky blush over a `cover` share of it, pale dots, a russet stem pit."""

    def paint(surface: Surface, rng: Rng) -> Skin:
        base = ramp(0.5 + 0.2 * clouds(surface, rng, 1.6), tinted(rng, *ground))
        side = _towards_sun(surface, rng)
        reach = np.float32(rng.uniform(*cover))
        streak = streaks(surface, rng, rng.uniform(70, 120))
        red = smoothstep(-0.35, 0.35, reach * 2.6 - 1.3 + 0.45 * side + 0.12 * streak + 0.1 * clouds(surface, rng, 1.4))
        depth = np.clip(0.55 + 0.18 * streak + 0.25 * side, 0, 1)
        albedo = mix(base, ramp(depth, tinted(rng, *blush)), red)
        dots = speckle(surface, rng, 48, 0.22, 0.6, rng.uniform(90, 130))
        albedo = mix(albedo, linear("#e8dca8"), dots * np.float32(rng.uniform(0.08, 0.4)))
        pit = smoothstep(0.955, 0.995, surface.along)
        albedo = mix(albedo, linear("#7d6a34"), pit * 0.75)
        albedo = albedo * (1 - 0.55 * smoothstep(0.965, 1.0, np.abs(surface.along)))
        return Skin(albedo, gloss=rng.uniform(0.25, 0.55), polish=rng.uniform(0.35, 0.75), glow=0.12)

    return paint


def citrus(colours: Sequence[str], flesh: Sequence[str], unripe: str, depth: float) -> Painter:
    """Pitted rind with an unripe tinge here and there; the cut face shows segments."""

    def paint(surface: Surface, rng: Rng) -> Skin:
        slope, inside = pores(surface, rng, depth)
        broad = clouds(surface, rng, 2.0)
        albedo = ramp(0.5 + 0.17 * broad - 0.3 * inside, tinted(rng, *colours))
        tinge = smoothstep(rng.uniform(0.8, 2.6), 3.0, broad + 0.8 * clouds(surface, rng, 1.4))
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
    sacs = noise(0.8).height.ravel()[texel_of(angle * 60, radius * 45, 1.0, rng)]
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
    felt = noise(0.35).height.ravel()[texel_of(*flat_map(surface), 170, rng)]
    hair = streaks(surface, rng, 130)
    amount = 0.5 + 0.12 * felt + 0.1 * hair + 0.12 * clouds(surface, rng, 1.7)
    albedo = ramp(amount, tinted(rng, "#4a3218", "#7a5a30", "#a98a54"))
    albedo = albedo * (1 - 0.6 * smoothstep(0.965, 0.995, np.abs(surface.along)))
    bump = np.stack([felt, hair]) * np.float32(0.07)
    skin = Skin(albedo, gloss=0.05, polish=0.1, bump=bump, glow=0.25, fuzz=rng.uniform(0.3, 1.1))
    return _cut(skin, surface, _kiwi_flesh(surface, rng)) if surface.cut.any() else skin


def _kiwi_flesh(surface: Surface, rng: Rng) -> Floats:
    radius, angle = _on_face(surface)
    wobble = radius * (1 + 0.05 * np.sin(angle * 2 + rng.uniform(0, 6)))
    rays = noise(0.9).height.ravel()[texel_of(angle * 50, radius * 14, 1.0, rng)]
    green = ramp(0.45 + 0.2 * rays * smoothstep(0.2, 0.5, radius) + 0.3 * (0.7 - wobble), tinted(rng, "#4f7a1c", "#86b030", "#b9d35f"))
    flesh = mix(green, linear("#eef0c0"), smoothstep(0.33, 0.2, wobble + 0.03 * rays))
    count = int(rng.integers(26, 38))
    turn = (angle / (2 * np.pi) * count) % 1 - 0.5
    which = np.floor(angle / (2 * np.pi) * count).astype(int) % count
    ring = rng.uniform(0.36, 0.56, count).astype(np.float32)[which]
    seed = np.hypot(turn * radius * (2 * np.pi / count) / 0.028, (wobble - ring) / 0.062)
    flesh = mix(flesh, linear("#17130d"), smoothstep(1.15, 0.8, seed))
    return mix(flesh, linear("#6b4f2a"), smoothstep(0.955, 0.985, radius))


def banana(surface: Surface, rng: Rng) -> Skin:
    """Yellow with soft ridges, greenish or freckled by ripeness, dark at both ends."""
    ripe = rng.uniform(-1, 1)
    ridge = np.cos(surface.around * 5 + rng.uniform(0, 6))
    colours = tinted(rng, "#c79a1e", "#e9c234", "#f4d85a", spread=0.04)
    albedo = ramp(0.5 + 0.14 * clouds(surface, rng, 1.6) + 0.1 * ridge, colours)
    ends = smoothstep(0.45, 1.0, np.abs(surface.along))
    albedo = mix(albedo, linear("#9aa83a"), ends * np.float32(np.clip(0.35 - 0.6 * ripe, 0, 0.9)))
    edge = smoothstep(0.86, 1.0, ridge) * smoothstep(-0.5, 1.5, clouds(surface, rng, 1.2))
    albedo = mix(albedo, linear("#8c6420"), edge * 0.45)
    spots = speckle(surface, rng, 32, 0.3, float(np.clip(0.05 + 0.5 * ripe, 0, 0.5)), 260)
    albedo = mix(albedo, linear("#5a3a16"), spots * 0.8)
    bruise = smoothstep(1.3, 2.2, clouds(surface, rng, 1.3)) * np.float32(max(ripe, 0))
    albedo = mix(albedo, linear("#6a4518"), bruise * 0.7)
    stem = smoothstep(0.74, 0.86, surface.along)
    albedo = mix(albedo, linear("#8d8a3c"), stem * 0.75)
    dark = np.maximum(smoothstep(0.955, 0.99, surface.along), smoothstep(-0.93, -0.975, surface.along))
    albedo = mix(albedo, linear("#2b1d10"), dark * 0.92)
    lift = np.sin(surface.around * 5 + rng.uniform(0, 0.4)) * np.float32(0.16)
    nx, ny, _ = surface.normal
    return Skin(albedo, gloss=0.16, polish=0.25, bump=np.stack([-ny, nx]) * lift, glow=0.22)


def pear(colours: Sequence[str], blush: float) -> Painter:
    """Fine brown dots, russet at the ends, and up to `blush` of a red cheek."""

    def paint(surface: Surface, rng: Rng) -> Skin:
        broad = clouds(surface, rng, 1.8)
        albedo = ramp(0.5 + 0.18 * broad, tinted(rng, *colours))
        cheek = smoothstep(0.0, 1.0, _towards_sun(surface, rng) + 0.15 * broad)
        albedo = mix(albedo, linear("#a8492c"), cheek * np.float32(max(rng.uniform(-blush, blush), 0)))
        russet = smoothstep(0.3, 1.6, clouds(surface, rng, 1.0)) * np.float32(rng.uniform(0, 0.5))
        ends = smoothstep(0.9, 1.0, surface.along) * 0.5 + smoothstep(-0.95, -1.0, surface.along) * 0.9
        albedo = mix(albedo, linear("#8a6a36"), np.clip(russet + ends, 0, 1))
        dots = speckle(surface, rng, 56, 0.26, 0.8, rng.uniform(120, 170))
        albedo = mix(albedo, linear("#6d5428"), dots * np.float32(rng.uniform(0.2, 0.5)))
        return Skin(albedo, gloss=rng.uniform(0.1, 0.28), polish=rng.uniform(0.2, 0.5), glow=0.2)

    return paint


def bloomed(colours: Sequence[str], bloom: str, glow: float, crease: bool) -> Painter:
    """Dark skin under a waxy bloom that fingers wiped off in places: plum, grape."""

    def paint(surface: Surface, rng: Rng) -> Skin:
        albedo = ramp(0.5 + 0.2 * clouds(surface, rng, 1.6), tinted(rng, *colours, spread=0.1))
        wax = smoothstep(-1.6, 1.8, clouds(surface, rng, 1.5)) * np.float32(rng.uniform(0.05, 0.6))
        albedo = mix(albedo, linear(bloom), wax * 0.6)
        dots = speckle(surface, rng, 48, 0.2, 0.4, 110)
        albedo = mix(albedo, linear("#c0a890"), dots * 0.15)
        bump = None
        if crease:
            fold = np.exp(-((surface.around / np.float32(0.16)) ** 2)) * smoothstep(1.0, 0.9, np.abs(surface.along))
            albedo = albedo * (1 - 0.45 * fold)
            bump = _along_skin(surface, surface.around * fold * np.float32(4), 0 * fold)
        gloss = rng.uniform(0.25, 0.6)
        return Skin(albedo, gloss=gloss, polish=rng.uniform(0.4, 0.85), bump=bump, glow=glow)

    return paint


def strawberry(surface: Surface, rng: Rng) -> Skin:
    """Red, paler at the shoulders, seeds in dimples along turns round the axis."""
    broad = clouds(surface, rng, 1.8)
    albedo = ramp(0.5 + 0.2 * broad, tinted(rng, "#8e0f12", "#c4161c", "#dc3a2a"))
    pale = smoothstep(rng.uniform(0.45, 0.7), 1.02, surface.along + 0.05 * broad)
    albedo = mix(albedo, linear("#f0c9a0"), pale * np.float32(rng.uniform(0.2, 0.9)))
    rows, columns = rng.uniform(9, 12), int(rng.integers(12, 16))
    angle = np.arccos(np.clip(surface.along, -1, 1))
    row = angle * np.float32(rows / np.pi * 1.25)
    turn = surface.around * np.float32(columns / (2 * np.pi)) + 0.5 * (np.floor(row) % 2) + 0.07 * broad
    across, down = turn % 1 - 0.5, row % 1 - 0.5
    wide = np.maximum(np.sin(angle) * np.float32(2 * np.pi / columns), 0.05)
    x, y = across * wide / np.float32(0.042), down / np.float32(0.24)
    away = np.hypot(x, y)
    clear = smoothstep(0.12, 0.3, np.sin(angle))
    dimple = smoothstep(2.0, 0.9, away) * clear
    albedo = albedo * (1 - 0.4 * dimple)
    seed = smoothstep(1.1, 0.75, away) * clear
    albedo = mix(albedo, linear(rng.choice(["#e3b94f", "#d9a441", "#b98a35"])), seed * 0.9)
    ring = smoothstep(2.1, 1.6, away) * smoothstep(0.8, 1.4, away) * clear
    bump = _along_skin(surface, x, -y) / np.maximum(away, 0.1) * ring * np.float32(-0.45)
    return Skin(albedo, gloss=rng.uniform(0.35, 0.6), polish=rng.uniform(0.5, 0.8), bump=bump, glow=0.25)


def _along_skin(surface: Surface, eastward: Floats, upward: Floats) -> Floats:
    """Slopes (2, N) in the view plane of slopes round the axis and towards the stem."""
    north = surface.axis[:, None] - surface.normal * (surface.axis @ surface.normal)
    north /= np.sqrt((north * north).sum(0)) + np.float32(1e-3)
    east = np.cross(surface.normal, north, axis=0)
    return (east * eastward + north * upward)[:2]


def tomato(colours: Sequence[str]) -> Painter:
    """Even colour, greener towards the stem, wet shine."""

    def paint(surface: Surface, rng: Rng) -> Skin:
        broad = clouds(surface, rng, 1.9)
        albedo = ramp(0.5 + 0.15 * broad, tinted(rng, *colours))
        green = smoothstep(rng.uniform(0.7, 0.9), 1.05, surface.along + 0.06 * broad)
        albedo = mix(albedo, linear("#b0a03a"), green * np.float32(rng.uniform(0.0, 0.8)))
        albedo = albedo * (1 - 0.5 * smoothstep(0.96, 1.0, surface.along))
        return Skin(albedo, gloss=rng.uniform(0.5, 0.9), polish=rng.uniform(0.65, 1.0), glow=0.15)

    return paint
