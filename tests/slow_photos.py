"""A photo within every limit that takes about four seconds to read: for tests of what happens meanwhile."""

from miradouro.core.spaces import Fit, Geometry, Resample
from PIL import Image

from tests.pictures import encode

SIDE = 6_000
LARGE = encode(Image.new("RGB", (SIDE, SIDE)), "PNG")  # 144 MB of pixels in 100 kB; 160 to 300 MiB while it is read
# The first keeps the photo from being shrunk before; each of the others is a look at every pixel.
MANY = [Geometry(Fit.SQUASH, size, size, 0, Resample.BICUBIC) for size in (SIDE // 3, *range(100, 115))]
