#!/usr/bin/env bash
# Puts one small photo (up to 700 KB) into `miradouro up` by curl:
#   put_event.sh PHOTO [URL [TOKEN_FILE]]
set -euo pipefail
photo=$1 url=${2:-http://127.0.0.1:7351} token_file=${3:-$HOME/.local/share/miradouro/token}

header() { printf 'Authorization: Bearer %s\n' "$(cat "$token_file")"; } # not an argument: other users see those
event() {
    cat <<JSON
{"events": [{
  "eventId": "$(date +%s%N)",
  "kind": "PHOTO_EVENT_KIND_UPLOADED",
  "collection": "photos",
  "photoId": "$(basename "$photo")",
  "version": "$(date +%s%3N)",
  "title": "Put by curl",
  "data": "$(base64 "$photo" | tr -d '\n')"
}]}
JSON
}

curl --silent --show-error --fail-with-body -H @<(header) -H 'Content-Type: application/json' --data-binary @<(event) "${url%/}/v1/events"
