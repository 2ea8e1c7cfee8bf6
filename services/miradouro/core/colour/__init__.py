"""The colours of photos: the colour spaces that files name, and the conversion to sRGB.

| module | holds |
|---|---|
| icc | ICC profiles: usable ones, cut to the needed tags; profiles made of primaries and a curve |
| coding | colour spaces by their numbers (cICP, nclx) and by gAMA and cHRM, as ICC profiles |
| conversion | profiles to conversions, by littleCMS |
"""
