#!/bin/sh
# Provides a Chromium for the tests of the page: installs Debian's as root there, elsewhere reports what is missing.
for name in chromium chromium-browser google-chrome; do
    command -v "$name" >/dev/null && exit 0
done
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium >/dev/null && exit 0
fi
echo 'Chromium is missing (on Debian: apt-get install chromium): the tests of the page, tests/ui, do not run' >&2
[ -z "$CI" ]
