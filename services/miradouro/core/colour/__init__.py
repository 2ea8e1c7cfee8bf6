"""The colours of photos: what their files say of them, and the way from there to sRGB.

| module | holds |
|---|---|
| icc | ICC profiles: which are usable, without what is not needed; profiles made of primaries and a curve |
| coding | colour spaces by their numbers (cICP, nclx) and by gAMA and cHRM, as ICC profiles |
| conversion | profiles to conversions, by littleCMS |
"""
