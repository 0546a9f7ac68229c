"""Painters of skin: colour, freckles, bloom and seeds of the fruit that is always shown whole."""

from collections.abc import Callable, Sequence

import numpy as np

from scripts.fruit_photos.brushes import along_skin, clouds, mix, speckle, streaks, tinted, towards_sun
from scripts.fruit_photos.colours import linear, ramp, smoothstep
from scripts.fruit_photos.light import Skin
from scripts.fruit_photos.textures import Floats, Rng
from scripts.fruit_photos.tracing import Surface

Painter = Callable[[Surface, Rng], Skin]


def apple(ground: Sequence[str], blush: Sequence[str], cover: tuple[float, float]) -> Painter:
    """Ground colour, a streaky blush over a `cover` share of it, pale dots, a russet stem pit."""

    def paint(surface: Surface, rng: Rng) -> Skin:
        base = ramp(0.5 + 0.2 * clouds(surface, rng, 1.6), tinted(rng, *ground))
        side = towards_sun(surface, rng)
        reach = np.float32(rng.uniform(*cover))
        streak = streaks(surface, rng, rng.uniform(70, 120))
        red = smoothstep(-0.35, 0.35, reach * 2.6 - 1.3 + 0.45 * side + 0.12 * streak + 0.1 * clouds(surface, rng, 1.3))
        depth = np.clip(0.55 + 0.18 * streak + 0.25 * side, 0, 1)
        albedo = mix(base, ramp(depth, tinted(rng, *blush)), red)
        dots = speckle(surface, rng, 48, 0.22, 0.6, rng.uniform(90, 130))
        albedo = mix(albedo, linear("#e8dca8"), dots * np.float32(rng.uniform(0.08, 0.4)))
        pit = smoothstep(0.955, 0.995, surface.along)
        albedo = mix(albedo, linear("#7d6a34"), pit * 0.75)
        albedo = albedo * (1 - 0.55 * smoothstep(0.965, 1.0, np.abs(surface.along)))
        return Skin(albedo, gloss=rng.uniform(0.25, 0.55), polish=rng.uniform(0.35, 0.75), glow=0.12)

    return paint


def banana(surface: Surface, rng: Rng) -> Skin:
    """Yellow with soft ridges, greenish or freckled by ripeness, dark at both ends."""
    ripe = rng.uniform(-1, 1)
    ridge = np.cos(surface.around * 5 + rng.uniform(0, 6))
    colours = tinted(rng, "#c79a1e", "#e9c234", "#f4d85a", spread=0.04)
    albedo = ramp(0.5 + 0.14 * clouds(surface, rng, 1.6) + 0.1 * ridge, colours)
    ends = smoothstep(0.45, 1.0, np.abs(surface.along))
    albedo = mix(albedo, linear("#9aa83a"), ends * np.float32(np.clip(0.35 - 0.6 * ripe, 0, 0.9)))
    edge = smoothstep(0.86, 1.0, ridge) * smoothstep(-0.5, 1.5, clouds(surface, rng, 1.3))
    albedo = mix(albedo, linear("#8c6420"), edge * 0.45)
    spots = speckle(surface, rng, 32, 0.3, float(np.clip(0.05 + 0.5 * ripe, 0, 0.5)), 260)
    albedo = mix(albedo, linear("#5a3a16"), spots * 0.8)
    bruise = smoothstep(1.3, 2.2, clouds(surface, rng, 1.3)) * np.float32(max(ripe, 0))
    albedo = mix(albedo, linear("#6a4518"), bruise * 0.7)
    stem = smoothstep(0.74, 0.86, surface.along)
    albedo = mix(albedo, linear("#8d8a3c"), stem * 0.75)
    dark: Floats = np.maximum(smoothstep(0.955, 0.99, surface.along), smoothstep(-0.93, -0.975, surface.along))
    albedo = mix(albedo, linear("#2b1d10"), dark * 0.92)
    lift = np.sin(surface.around * 5 + rng.uniform(0, 0.4)) * np.float32(0.16)
    nx, ny, _ = surface.normal
    return Skin(albedo, gloss=0.16, polish=0.25, bump=np.stack([-ny, nx]) * lift, glow=0.22)


def pear(colours: Sequence[str], blush: float) -> Painter:
    """Fine brown dots, russet at the ends, and up to `blush` of a red cheek."""

    def paint(surface: Surface, rng: Rng) -> Skin:
        broad = clouds(surface, rng, 1.9)
        albedo = ramp(0.5 + 0.18 * broad, tinted(rng, *colours))
        cheek = smoothstep(0.0, 1.0, towards_sun(surface, rng) + 0.15 * broad)
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
        wax = smoothstep(-1.6, 1.8, clouds(surface, rng, 1.6)) * np.float32(rng.uniform(0.05, 0.6))
        albedo = mix(albedo, linear(bloom), wax * 0.6)
        dots = speckle(surface, rng, 48, 0.2, 0.4, 110)
        albedo = mix(albedo, linear("#c0a890"), dots * 0.15)
        bump = None
        if crease:
            fold = np.exp(-((surface.around / np.float32(0.16)) ** 2)) * smoothstep(1.0, 0.9, np.abs(surface.along))
            albedo = albedo * (1 - 0.45 * fold)
            bump = along_skin(surface, surface.around * fold * np.float32(4), 0 * fold)
        gloss = rng.uniform(0.25, 0.6)
        return Skin(albedo, gloss=gloss, polish=rng.uniform(0.4, 0.85), bump=bump, glow=glow)

    return paint


def strawberry(surface: Surface, rng: Rng) -> Skin:
    """Red, paler at the shoulders, seeds in dimples along turns round the axis."""
    broad = clouds(surface, rng, 1.9)
    albedo = ramp(0.5 + 0.2 * broad, tinted(rng, "#8e0f12", "#c4161c", "#dc3a2a"))
    pale = smoothstep(rng.uniform(0.45, 0.7), 1.02, surface.along + 0.05 * broad)
    albedo = mix(albedo, linear("#f0c9a0"), pale * np.float32(rng.uniform(0.2, 0.9)))
    rows, columns = rng.uniform(9, 12), int(rng.integers(12, 16))
    angle = np.arccos(np.clip(surface.along, -1, 1))
    row = angle * np.float32(rows / np.pi * 1.25)
    turn: Floats = surface.around * np.float32(columns / (2 * np.pi)) + 0.5 * (np.floor(row) % 2) + 0.07 * broad
    across, down = turn % 1 - 0.5, row % 1 - 0.5
    wide: Floats = np.maximum(np.sin(angle) * np.float32(2 * np.pi / columns), 0.05)
    x, y = across * wide / np.float32(0.042), down / np.float32(0.24)
    away = np.hypot(x, y)
    clear = smoothstep(0.12, 0.3, np.sin(angle))
    dimple = smoothstep(2.0, 0.9, away) * clear
    albedo = albedo * (1 - 0.4 * dimple)
    seed = smoothstep(1.1, 0.75, away) * clear
    albedo = mix(albedo, linear(str(rng.choice(["#e3b94f", "#d9a441", "#b98a35"]))), seed * 0.9)
    ring = smoothstep(2.1, 1.6, away) * smoothstep(0.8, 1.4, away) * clear
    bump = along_skin(surface, x, -y) / np.maximum(away, 0.1) * ring * np.float32(-0.45)
    return Skin(albedo, gloss=rng.uniform(0.35, 0.6), polish=rng.uniform(0.5, 0.8), bump=bump, glow=0.25)


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
