#!/bin/sh
# Makes sure that exiftool is there, the independent reader of metadata: as root it installs Debian's, else it says what is missing.
command -v exiftool >/dev/null && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq && apt-get install -y -qq --no-install-recommends libimage-exiftool-perl >/dev/null && exit 0
fi
echo 'exiftool is missing (on Debian: apt-get install libimage-exiftool-perl): tests/integration/test_metadata_against_exiftool.py fails' >&2
[ -z "$CI" ]
