"""Small tessellations, written down as Neper does."""

TWO_TETRAHEDRA = """\
***tess
 **format
   {version}
 **general
   3 standard
 **cell
  2
{cell} **vertex
 5
   1  0.000000000000 0.000000000000 0.000000000000     0
   2  1.000000000000 0.000000000000 0.000000000000     0
   3  0.000000000000 1.000000000000 0.000000000000     0
   4  -0.000000000000 0.000000000000 1.000000000000     0
   5  1.000000000000 1.000000000000 1.000000000000     0
 **edge
 9
   1  1 2 0
   2  1 3 0
   3  1 4 0
   4  2 3 0
   5  2 4 0
   6  3 4 0
   7  2 5 0
   8  3 5 0
   9  4 5 0
 **face
 7
   1 3 1 3 2
     3 2 -4 -1
    0.000000000000 0.000000000000 0.000000000000 -1.000000000000
     0 0 0.000000000000 0.000000000000 0.000000000000
   2 3 1 2 4
     3 1 5 -3
    0.000000000000 0.000000000000 -1.000000000000 0.000000000000
     0 0 0.000000000000 0.000000000000 0.000000000000
   3 3 1 4 3
     3 3 -6 -2
    0.000000000000 -1.000000000000 0.000000000000 0.000000000000
     0 0 0.000000000000 0.000000000000 0.000000000000
   4 3 2 3 4
     3 4 6 -5
    0.577350269190 0.577350269190 0.577350269190 0.577350269190
     0 0 0.000000000000 0.000000000000 0.000000000000
   5 3 2 3 5
     3 4 8 -7
    0.577350269190 0.577350269190 0.577350269190 -0.577350269190
     0 0 0.000000000000 0.000000000000 0.000000000000
   6 3 3 4 5
     3 6 9 -8
    0.577350269190 -0.577350269190 0.577350269190 0.577350269190
     0 0 0.000000000000 0.000000000000 0.000000000000
   7 3 4 2 5
     3 -5 7 -9
    0.577350269190 0.577350269190 -0.577350269190 0.577350269190
     0 0 0.000000000000 0.000000000000 0.000000000000
 **polyhedron
 2
   1 4 1 2 3 4
   2 4 5 6 7 -4
{tail}***end
"""
"""A corner of a cube and the tetrahedron on its slanted face: volumes 1/6 and 1/3."""

_DOMAIN_START = """\
 **domain
  *general
   poly
  *vertex
   1
   1  0.000000000000 0.000000000000 0.000000000000 f1f2f3
      1 1
  *edge
   1
"""

DOMAIN = {
    "2.0": _DOMAIN_START
    + """\
   1 f1f2
     1 1
     1 2
  *face
   1
   1 3 1 2 3
     3 1 2 3
     0.000000000000 0.000000000000 0.000000000000 -1.000000000000
     f1
     1 1
""",
    "3.4": _DOMAIN_START
    + """\
   1 2 1 2
     f1f2
     1 1
  *face
   1
   1 3 1 2 3
     3 1 2 3
     plane
     4 0.000000000000 0.000000000000 0.000000000000 -1.000000000000
     f1
     1 1
""",
    "3.5": _DOMAIN_START
    + """\
   1 2 1 2
     line
     0
     f1f2
     1 1
  *face
   1
   1 3 1 2 3
     3 1 2 3
     plane
     4 0.000000000000 0.000000000000 0.000000000000 -1.000000000000
     f1
     1 1
""",
}
"""Some of a domain in each format: what differs between them."""
DOMAIN["3.3"] = DOMAIN["3.4"]


def two_tetrahedra(version="3.5", *, cell="", tail=None):
    """Return the text of the file, with these lines in **cell and after **polyhedron."""
    return TWO_TETRAHEDRA.format(
        version=version, cell=cell, tail=DOMAIN[version] if tail is None else tail
    )


def tessellation(vertices, faces, points, surfaces):
    """Return the text of a file: faces list vertices, and surfaces ±faces, from 1."""
    numbers = {}
    for face in faces:
        for a, b in zip(face, face[1:] + face[:1], strict=True):
            numbers.setdefault((min(a, b), max(a, b)), len(numbers) + 1)
    lines = ["***tess", " **format", "   3.5", " **general", "   3 standard", " **cell"]
    lines += [f"  {len(surfaces)}", " **vertex", f"  {len(vertices)}"]
    lines += [f" {k} {x!r} {y!r} {z!r} 0" for k, (x, y, z) in enumerate(vertices, 1)]
    lines += [" **edge", f" {len(numbers)}"]
    lines += [f" {k} {a} {b} 0" for (a, b), k in numbers.items()]
    lines += [" **face", f" {len(faces)}"]
    for k, (face, point) in enumerate(zip(faces, points, strict=True), 1):
        sides = [
            numbers[min(a, b), max(a, b)] * (1 if a < b else -1)
            for a, b in zip(face, face[1:] + face[:1], strict=True)
        ]
        lines += [f" {k} {len(face)} {' '.join(map(str, face))}"]
        lines += [f"  {len(sides)} {' '.join(map(str, sides))}", "  0 0 0 1", f"  1 {point}"]
    lines += [" **polyhedron", f" {len(surfaces)}"]
    lines += [f" {k} {len(s)} {' '.join(map(str, s))}" for k, s in enumerate(surfaces, 1)]
    return "\n".join([*lines, "***end", ""])


def bent_interface(point):
    """Return a unit cube in two cells; the face between them is bent, and cut at `point`."""
    corners = [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)]
    heights = [(0.0, 0.4, 1.0), (0.0, 0.6, 1.0), (0.0, 0.4, 1.0), (0.0, 0.6, 1.0)]
    vertices = [(x, y, heights[k][level]) for level in range(3) for k, (x, y) in enumerate(corners)]
    low, middle, high = [1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12]
    walls = [
        [lower[k], lower[(k + 1) % 4], upper[(k + 1) % 4], upper[k]]
        for lower, upper in ((low, middle), (middle, high))
        for k in range(4)
    ]
    faces = [low[::-1], middle, high, *walls]
    flat = "0 0.0 0.0 0.0"
    points = [flat, point, *[flat] * 9]
    return tessellation(vertices, faces, points, [[1, 2, 4, 5, 6, 7], [-2, 3, 8, 9, 10, 11]])
