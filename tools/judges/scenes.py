"""Renders what the class-conditional demo was trained on: one shaded solid on a ground plane, 64x64 RGB.

Class c is shape c // 8 in colour c % 8. Size, place, turn, camera, light, and the tints of solid, ground and sky are random.
"""

import math

import torch
import torch.nn.functional as F

SHAPES = ["sphere", "cube", "cylinder", "cone", "torus", "diamond", "capsule", "cross"]
COLOURS = {
    "red": (0.85, 0.13, 0.12), "orange": (0.95, 0.5, 0.08), "yellow": (0.95, 0.85, 0.15), "green": (0.15, 0.65, 0.2),
    "cyan": (0.1, 0.75, 0.8), "blue": (0.12, 0.25, 0.85), "purple": (0.55, 0.15, 0.7), "gray": (0.55, 0.55, 0.55),
}  # fmt: skip
PALETTE = torch.tensor(list(COLOURS.values()))
# Height of the centre above the ground at scale 1; a torus that stands and a capsule that stands have others.
RESTING = torch.tensor([0.5, 0.4, 0.45, 0.45, 0.17, 0.725, 0.26, 0.55])
TORUS, CAPSULE = 4, 6
FAR = 1e9


def box(x, y, z, a, b, c, round_by=0.03):
    q = torch.stack((x.abs() - a + round_by, y.abs() - b + round_by, z.abs() - c + round_by), 1)
    return q.clamp(min=0).norm(dim=1) + q.max(1).values.clamp(max=0) - round_by


def solid(shape, x, y, z):
    """Signed distances to a solid that fits into a ball of radius 0.8."""
    if shape == 0:
        return (x * x + y * y + z * z).sqrt() - 0.5
    if shape == 1:
        return box(x, y, z, 0.4, 0.4, 0.4)
    if shape == 2:
        side, end = (x * x + z * z).sqrt() - 0.36, y.abs() - 0.45
        outside = torch.stack((side.clamp(min=0), end.clamp(min=0)), 1).norm(dim=1)
        return torch.maximum(side, end).clamp(max=0) + outside - 0.02
    if shape == 3:
        radius, height, base = (x * x + z * z).sqrt(), 1.0, 0.5
        slope = (radius * height + (y - 0.55) * base) / math.hypot(height, base)
        return torch.maximum(slope, -(y + 0.45)) - 0.015
    if shape == TORUS:
        return torch.stack(((x * x + z * z).sqrt() - 0.38, y), 1).norm(dim=1) - 0.17
    if shape == 5:
        return (x.abs() + y.abs() * 0.8 + z.abs() - 0.58) * 0.6
    if shape == CAPSULE:
        rest = y - y.clamp(-0.3, 0.3)
        return (x * x + rest * rest + z * z).sqrt() - 0.26
    bars = torch.minimum(box(x, y, z, 0.55, 0.17, 0.17), box(x, y, z, 0.17, 0.55, 0.17))
    return torch.minimum(bars, box(x, y, z, 0.17, 0.17, 0.55))


def distances(points, shapes):
    """Signed distances of points [n,3], in the solid's own space, to solids of these shapes."""
    result = torch.empty_like(points[:, 0])
    for shape in range(len(SHAPES)):
        mask = shapes == shape
        if mask.any():
            result[mask] = solid(shape, *points[mask].T)
    return result


def rotation(x, y, z):
    one, zero = torch.ones_like(x), torch.zeros_like(x)

    def matrix(*values):
        return torch.stack(values, 1).view(-1, 3, 3)

    around_x = matrix(one, zero, zero, zero, x.cos(), -x.sin(), zero, x.sin(), x.cos())
    around_y = matrix(y.cos(), zero, y.sin(), zero, one, zero, -y.sin(), zero, y.cos())
    around_z = matrix(z.cos(), -z.sin(), zero, z.sin(), z.cos(), zero, zero, zero, one)
    return around_y @ around_x @ around_z


class Solids:
    """One solid for each picture: where it is and how it is turned."""

    def __init__(self, shape, scale, turn, centre):
        self.shape, self.scale, self.turn, self.centre = shape, scale, turn, centre

    def march(self, origins, directions, picture, steps=28):
        """Distances along rays to the solid of each ray's picture, or FAR."""
        away = origins - self.centre[picture]
        along, square = (away * directions).sum(1), (away * away).sum(1)
        inside = along * along - square + (0.8 * self.scale[picture]) ** 2
        half = inside.clamp(min=0).sqrt()
        rows = ((inside > 0) & (half - along > 0)).nonzero()[:, 0]
        result = torch.full((len(origins),), FAR)
        if len(rows) == 0:
            return result
        owner = picture[rows]
        turn, scale, shape = self.turn[owner], self.scale[owner], self.shape[owner]
        start = torch.einsum("nij,ni->nj", turn, away[rows]) / scale[:, None]
        step = torch.einsum("nij,ni->nj", turn, directions[rows])
        t, end = (-along[rows] - half[rows]).clamp(min=0), half[rows] - along[rows]
        distance = torch.ones_like(t)
        for _ in range(steps):
            distance = distances(start + step * (t / scale)[:, None], shape) * scale
            t = t + distance
        hit = (distance.abs() < 0.02) & (t < end + 0.05)
        result[rows[hit]] = t[hit]
        return result

    def normals(self, points, picture):
        local = torch.einsum("nij,ni->nj", self.turn[picture], points - self.centre[picture]) / self.scale[picture, None]
        shape, nudges = self.shape[picture], torch.eye(3) * 0.01
        slopes = [distances(local + nudge, shape) - distances(local - nudge, shape) for nudge in nudges]
        return torch.einsum("nij,nj->ni", self.turn[picture], F.normalize(torch.stack(slopes, 1), dim=1))


@torch.no_grad()
def render(labels, generator, side=64, rays=2):
    """Pictures [n,3,side,side] in 0..1 of classes, with `rays` squared rays for each pixel."""
    count, shape = len(labels), labels // 8

    def uniform(low, high):
        return torch.rand(count, generator=generator) * (high - low) + low

    # The order of the draws is part of the data.
    scale, yaw = uniform(0.75, 1.25), uniform(0, 2 * math.pi)
    tipped, zero, right_angle = uniform(0, 1) < 0.5, torch.zeros(count), torch.full((count,), math.pi / 2)
    torus, capsule = shape == TORUS, shape == CAPSULE
    tilt = rotation(torch.where(torus & tipped, right_angle, zero), zero, torch.where(capsule & tipped, right_angle, zero))
    height = torch.where((torus & tipped), 0.55, torch.where(capsule & ~tipped, 0.56, RESTING[shape]))
    centre = torch.stack((uniform(-0.55, 0.55), height * scale, uniform(-0.5, 0.5)), 1)
    solids = Solids(shape, scale, rotation(zero, yaw, zero) @ tilt, centre)

    pitch = uniform(0.30, 0.55)
    eye = torch.stack((zero, 0.45 + 3.4 * pitch.sin(), -3.4 * pitch.cos()), 1)
    forward = F.normalize(torch.tensor([0.0, 0.45, 0.0]) - eye, dim=1)
    rightward = F.normalize(torch.cross(torch.tensor([0.0, 1.0, 0.0]).expand(count, 3), forward, dim=1), dim=1)
    upward = torch.cross(forward, rightward, dim=1)
    edge = side * rays
    ticks = ((torch.arange(edge) + 0.5) / edge * 2 - 1) * 0.38
    across, down = ticks[None, None, :, None], -ticks[None, :, None, None]
    rays_of = forward[:, None, None, :] + across * rightward[:, None, None, :] + down * upward[:, None, None, :]
    directions = F.normalize(rays_of, dim=-1).reshape(count, -1, 3)
    origins = eye[:, None, :].expand_as(directions)
    picture = torch.arange(count)[:, None].expand(count, edge * edge)

    azimuth, elevation = uniform(0, 2 * math.pi), uniform(0.7, 1.2)
    light = torch.stack((azimuth.cos() * elevation.cos(), elevation.sin(), azimuth.sin() * elevation.cos() - 0.6), 1)
    light = F.normalize(light, dim=1)
    colour = (PALETTE[labels % 8] + (torch.rand(count, 3, generator=generator) - 0.5) * 0.12).clamp(0.02, 1)
    hue = uniform(0, 1)[:, None] + torch.tensor([[0.0, 0.33, 0.67]])
    ground = 0.62 + 0.22 * torch.cos(2 * math.pi * hue) * uniform(0.1, 0.7)[:, None]
    sky = torch.stack((uniform(0.75, 0.95), uniform(0.8, 0.95), uniform(0.85, 1.0)), 1)[:, None, :]

    # The ground: lit, in the solid's shadow, darker around its foot, and lost in the fog far away.
    slope = directions[..., 1]
    t = torch.where(slope < -1e-3, -origins[..., 1] / slope.clamp(max=-1e-3), torch.full_like(slope, FAR))
    points = origins + directions * t.clamp(max=30)[..., None]
    fog = (1 - torch.exp(-(t.clamp(max=30) - 2).clamp(min=0) * 0.13))[..., None]
    flat_origins, flat_directions, flat_picture = origins.reshape(-1, 3), directions.reshape(-1, 3), picture.reshape(-1)
    hits = solids.march(flat_origins, flat_directions, flat_picture)
    feet = points.reshape(-1, 3) + torch.tensor([0, 1e-3, 0])
    near = (t.reshape(-1) < 12).nonzero()[:, 0]
    shaded = solids.march(feet[near], light[flat_picture[near]], flat_picture[near], 20) < FAR / 10
    shadow = torch.ones(len(feet))
    shadow[near[shaded]] = 0.45
    foot = ((points[..., [0, 2]] - centre[:, None, [0, 2]]) ** 2).sum(-1) / (0.25 * scale[:, None] ** 2)
    brightness = shadow.view(count, -1) * (1 - 0.35 * torch.exp(-foot))
    floor = ground[:, None, :] * (0.55 + 0.45 * light[:, 1][:, None, None]) * brightness[..., None]
    floor = floor * (1 - fog) + sky * fog
    image = torch.where((t < 25)[..., None], floor, sky.expand_as(floor)).reshape(-1, 3)

    # The solid: ambient, diffuse and a highlight.
    rows = ((hits < FAR / 10) & (hits < t.reshape(-1) + 0.05)).nonzero()[:, 0]
    owner = flat_picture[rows]
    normals = solids.normals(flat_origins[rows] + flat_directions[rows] * hits[rows, None], owner)
    diffuse = (normals * light[owner]).sum(1).clamp(min=0)
    highlight = (normals * F.normalize(light[owner] - flat_directions[rows], dim=1)).sum(1).clamp(min=0) ** 40
    ambient = 0.35 + 0.2 * normals[:, 1]
    image[rows] = colour[owner] * (ambient + 0.75 * diffuse)[:, None] + 0.45 * highlight[:, None]
    image = image.clamp(0, 1).view(count, edge, edge, 3).permute(0, 3, 1, 2)
    return F.avg_pool2d(image, rays)
