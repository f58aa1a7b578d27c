"""The icons, drawn: a handset and two speech bubbles' corner, in the two forms that Teams asks for.

Colour: 192 x 192, full background, the symbol inside the central 96 x 96 (Teams rounds the corners).
Outline: 32 x 32, white on transparent. The small colour icon, which Outlook and Microsoft 365 show: 32 x 32, the symbol
in colour on transparent.
"""

import io
from typing import Final

from PIL import Image, ImageDraw

ACCENT: Final = (70, 71, 117, 255)
WHITE: Final = (255, 255, 255, 255)
_SUPERSAMPLING: Final = 8


def colour() -> bytes:
    return _png(192, ACCENT, symbol=96)


def outline() -> bytes:
    return _png(32, _TRANSPARENT, symbol=26)


def small_colour() -> bytes:
    return _png(32, _TRANSPARENT, symbol=30, ink=ACCENT)


_Colour = tuple[int, int, int, int]
_TRANSPARENT: Final = (0, 0, 0, 0)


def _png(size: int, background: _Colour, symbol: int, ink: _Colour = WHITE) -> bytes:
    """Draw at a larger size and scale down, for smooth edges."""
    image = Image.new("RGBA", (size * _SUPERSAMPLING,) * 2, background)
    _draw_handset(
        draw=ImageDraw.Draw(image), middle=size * _SUPERSAMPLING / 2, size=symbol * _SUPERSAMPLING, ink=ink
    )
    image = image.resize((size, size), Image.Resampling.LANCZOS)
    if background[3] == 0:  # a single colour, with graded transparency
        inked = Image.new("RGBA", image.size, ink)
        inked.putalpha(image.getchannel("A"))
        image = inked
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def _draw_handset(draw: ImageDraw.ImageDraw, middle: float, size: float, ink: _Colour) -> None:
    half, width = size / 2, size * 0.13
    # Earpiece and mouthpiece, joined by an arc, and a dot for the link above.
    box = (middle - half + width / 2, middle - half * 0.55, middle + half - width / 2, middle + half * 1.35)
    draw.arc(box, 200, 340, fill=ink, width=round(width))
    for side in (-1, 1):
        centre = middle + side * (half - width)
        draw.rounded_rectangle(
            (centre - width, middle - half * 0.05, centre + width, middle + half * 0.5),
            radius=width * 0.6,
            fill=ink,
        )
    radius = width * 0.75
    draw.ellipse((middle - radius, middle - half, middle + radius, middle - half + 2 * radius), fill=ink)
