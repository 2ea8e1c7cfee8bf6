"""An example for every operation of the HTTP API, by operationId; a test runs each against `miradouro up`.

`bearer` is the shell function of docs/http-api.md that prints the header with the token.
"""

_SERVER = "http://127.0.0.1:7351"
_JSON = "-H 'Content-Type: application/json'"

EXAMPLES = {
    "search": f"""bearer | curl -H @- {_JSON} -d '{{"keyword": {{"words": ["cat"]}}, "limit": 5}}' {_SERVER}/v1/search""",
    "searchByPhoto": f"bearer | curl -H @- --data-binary @holiday.jpg '{_SERVER}/v1/search/photo?limit=5'",
    "getPhoto": f"bearer | curl -H @- {_SERVER}/v1/photos/photos/lisbon/tram.jpg",
    "stats": f"bearer | curl -H @- {_SERVER}/v1/stats",
    "putEvents": (
        f"""bearer | curl -H @- {_JSON} -d '{{"events": [{{"eventId": "7", "kind": "PHOTO_EVENT_KIND_DELETED", """
        f""""collection": "uploads", "photoId": "old.jpg", "version": "2"}}]}}' {_SERVER}/v1/events"""
    ),
    "listFailures": f"bearer | curl -H @- '{_SERVER}/v1/failures?pageSize=20'",
    "original": f"bearer | curl -H @- -o tram.jpg {_SERVER}/photos/photos/lisbon/tram.jpg",
    "thumbnail": f"bearer | curl -H @- -o small.jpg '{_SERVER}/thumbnails/photos/lisbon/tram.jpg?size=640'",
}
