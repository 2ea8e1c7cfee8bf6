"""Translates a query into the body of one `_search` request, and the response into matches."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from miradouro.adapters.opensearch.documents import document_of, feature_of, pair
from miradouro.adapters.opensearch.mapping import UNREAD, field_of, vector_field
from miradouro.adapters.opensearch.scores import distance_of, least_score, space_type
from miradouro.adapters.opensearch.text_search import text_query
from miradouro.core.errors import InvalidArgument
from miradouro.core.microseconds import local_microseconds, microseconds
from miradouro.core.query import (
    MAX_RANKED,
    AttributeIn,
    Condition,
    EverythingClause,
    Facet,
    FacetCount,
    FacetCounts,
    FacetField,
    FileNamePrefix,
    InBox,
    IndexQuery,
    KeywordClause,
    Match,
    Matches,
    Near,
    NoneOf,
    Order,
    OwnerIs,
    TagIs,
    TakenBetween,
    TextClause,
    VectorClause,
)
from miradouro.core.spaces import Space

Body = dict[str, Any]
_WITHOUT_TIME = -(2**63)  # OpenSearch's sort value of photos without a time, which are last
_LIVE: Body = {"term": {"deleted": False}}
_FACET_FIELDS = {FacetField.TAG: "tags", FacetField.OWNER: "owner", FacetField.CAMERA: "camera", FacetField.YEAR: "taken_local"}
_EXACT_COUNT = 40_000  # up to so many distinct values OpenSearch's count is nearly exact
# Values of a facet that each shard returns in addition to four times the requested ones; and the number of the second request.
_FACET_VALUES, _MANY_FACET_VALUES = 100, 50_000


@dataclass(frozen=True)
class Plan:
    """The body of the request and how to read its response. `space` is None for words; `body` is None when nothing matches."""

    query: IndexQuery
    body: Body | None
    space: Space | None = None
    is_exact: bool = True
    counts_apart: bool = False  # a k-NN query returns only the nearest photos: a global aggregation counts all that pass


def plan(query: IndexQuery, space: Space | None, *, scans: bool) -> Plan:
    """The request for a query. `space` is that of a vector clause; `scans` allows an exact search because it has few vectors.

    Raises InvalidArgument for a window beyond MAX_RANKED, and for `after` in an order that pages by offset.
    """
    if query.limit < 1 or query.offset < 0 or query.offset + query.limit > MAX_RANKED:
        raise InvalidArgument("limit", f"offset {query.offset:,} + limit {query.limit:,} is not within 1 to {MAX_RANKED:,}")
    if query.after and (query.offset or not query.pages_by_key):
        raise InvalidArgument("after", "an answer in this order has pages by offset, or no offset; leave one out")
    filters = [_LIVE, *(_condition(one) for one in query.conditions)]
    match query.clause:
        case VectorClause():
            assert space is not None
            return _vector_plan(query, query.clause, space, filters, scans=scans)
        case KeywordClause():
            should = [
                {"rank_feature": {"field": f"tag_scores.{feature_of(word)}", "linear": {}, "boost": weight}}
                for word, weight in query.clause.weighted.items()
                if word
            ]
            found: Body | None = {"should": should, "minimum_should_match": 1} if should else None
        case TextClause():
            found = text_query(query.clause)
        case EverythingClause():
            found = {}
    if found is None:
        return Plan(query, None)
    return Plan(query, _body(query, {"bool": {**found, "filter": [*filters, *found.get("filter", ())]}}, facets=query.facets))


def counting_more(plan: Plan, answer: Body | None) -> Plan | None:
    """The same query with more facet values per shard; None when the counts in the response are exact."""
    if answer is None or plan.body is None:
        return None
    counted = _counted(plan, answer)
    facets = [counted[f"facet_{i}"] for i in range(len(plan.query.facets))]
    if not any(facet.get("values", {}).get("doc_count_error_upper_bound") for facet in facets):
        return None
    body = copy.deepcopy(plan.body)
    for i, facet in enumerate(plan.query.facets):
        if facet.field is not FacetField.YEAR:
            _counted(plan, body, "aggs")[f"facet_{i}"]["aggs"]["values"]["terms"]["shard_size"] = _MANY_FACET_VALUES
    return replace(plan, body=body)


def read(plan: Plan, answer: Body | None) -> Matches:
    """The response as matches."""
    query = plan.query
    if answer is None:
        return Matches((), 0, True, False, True, tuple(FacetCounts(facet.field, (), 0) for facet in query.facets))
    hits = answer["hits"]
    matches = tuple(_match(plan, hit) for hit in hits["hits"])
    aggregations = _counted(plan, answer)
    total = int(aggregations["doc_count"] if plan.counts_apart else hits["total"]["value"])
    clause = query.clause
    within = isinstance(clause, VectorClause) and clause.max_distance is not None
    return Matches(
        matches=matches,
        total=total,
        total_is_exact=plan.is_exact or not within,
        truncated=within and total > MAX_RANKED,
        exact=plan.is_exact,
        facets=tuple(_facet_counts(facet, aggregations[f"facet_{i}"]) for i, facet in enumerate(query.facets)),
    )


def _counted(plan: Plan, parent: Body, name: str = "aggregations") -> Body:
    """The aggregations of the facets: in a response, or in a request with `name` "aggs"."""
    found: Body = parent.get(name, {})
    if plan.counts_apart:
        found = found["all"]["aggs"]["passing"]["aggs"] if name == "aggs" else found["all"]["passing"]
    return found


def _vector_plan(query: IndexQuery, clause: VectorClause, space: Space, filters: list[Body], *, scans: bool) -> Plan:
    """A k-NN search where it suffices. An order by time and facets within a radius need every distance: an exact search."""
    filters = [*filters, {"term": {"spaces": space.name}}]
    vector = clause.vector.tolist()
    counts_within = bool(query.facets) and clause.max_distance is not None
    if scans or clause.exact or query.order is Order.TAKEN or counts_within:
        body = _body(query, _scripted(space, vector, filters), facets=query.facets)
        if clause.max_distance is not None:
            body["min_score"] = least_score(clause.max_distance, space, scripted=True)
        return Plan(query, body, space)
    knn: Body = {"vector": vector}
    if clause.max_distance is not None:
        knn["min_score"] = least_score(clause.max_distance, space, scripted=False)
        # With a radius the total is the number of hits.
        body = _body(query, _approximate(space, knn, filters))
        return Plan(query, body, space, is_exact=False)
    knn["k"] = query.offset + query.limit
    body = _body(query, _approximate(space, knn, filters))
    passing: Body = {"filter": {"bool": {"filter": filters}}}
    if query.facets:
        passing["aggs"] = _aggregations(query.facets)
    body["aggs"] = {"all": {"global": {}, "aggs": {"passing": passing}}}
    return Plan(query, body, space, is_exact=False, counts_apart=True)


def _approximate(space: Space, knn: Body, filters: list[Body]) -> Body:
    knn_query: Body = {"knn": {vector_field(space): {**knn, "filter": {"bool": {"filter": filters}}}}}
    return _nested(space, knn_query) if space.regions else knn_query


def _scripted(space: Space, vector: Sequence[float], filters: list[Body]) -> Body:
    """An exact search: the plug-in's script computes every distance."""
    script = {
        "source": "knn_score",
        "lang": "knn",
        "params": {"field": vector_field(space), "query_value": vector, "space_type": space_type(space)},
    }
    if not space.regions:
        return {"script_score": {"query": {"bool": {"filter": filters}}, "script": script}}
    nested = _nested(space, {"script_score": {"query": {"match_all": {}}, "script": script}})
    return {"bool": {"must": [nested], "filter": filters}}


def _nested(space: Space, query: Body) -> Body:
    path = field_of(space)
    inner = {"size": 1, "_source": False, "docvalue_fields": [f"{path}.number"]}
    return {"nested": {"path": path, "score_mode": "max", "query": query, "inner_hits": inner}}


def _body(query: IndexQuery, query_body: Body, *, facets: Sequence[Facet] = ()) -> Body:
    body: Body = {
        "query": query_body,
        "size": query.limit,
        "track_total_hits": True,
        "sort": _sort(query),
        "track_scores": True,
        "_source": {"excludes": list(UNREAD)} if query.with_documents else ["photo_id"],
    }
    if query.offset:
        body["from"] = query.offset
    if query.after is not None:
        body["search_after"] = _after(query)
    if facets:
        body["aggs"] = _aggregations(facets)
    return body


def _sort(query: IndexQuery) -> list[Body]:
    by_id: Body = {"photo_id": "asc"}
    if query.order is Order.TAKEN:
        return [{"taken_us": {"order": "desc", "missing": "_last"}}, by_id]
    return [by_id] if isinstance(query.clause, EverythingClause) else [{"_score": "desc"}, by_id]


def _after(query: IndexQuery) -> list[Any]:
    after = query.after
    assert after is not None
    if query.order is Order.TAKEN:
        taken = _WITHOUT_TIME if after.taken_at is None else microseconds(after.taken_at, field="after.taken_at")
        return [taken, after.photo_id]
    return [after.photo_id] if isinstance(query.clause, EverythingClause) else [after.score, after.photo_id]


def _condition(condition: Condition) -> Body:
    match condition:
        case TagIs(label):
            return {"term": {"tags": label}}
        case OwnerIs(owner):
            return {"term": {"owner": owner}}
        case AttributeIn(name, values):
            return {"terms": {"attribute_pairs": [pair(name, value) for value in values]}}
        case TakenBetween(start, end):
            ranges = [_range(bound, relation) for bound, relation in ((start, "gte"), (end, "lt")) if bound is not None]
            return {"bool": {"filter": [{"exists": {"field": "taken_us"}}, *ranges]}}
        case Near(center, radius_m):
            point = {"lat": center.latitude, "lon": center.longitude}
            return {"geo_distance": {"distance": f"{radius_m!r}m", "place": point}}
        case InBox(south_west, north_east):
            west, east = south_west.longitude, north_east.longitude
            spans = [(west, east)] if west <= east else [(west, 180.0), (-180.0, east)]
            latitudes = {"range": {"latitude": {"gte": south_west.latitude, "lte": north_east.latitude}}}
            longitudes = [{"range": {"longitude": {"gte": start, "lte": end}}} for start, end in spans]
            return {"bool": {"filter": [latitudes], "should": longitudes, "minimum_should_match": 1}}
        case FileNamePrefix(prefix):
            return {"prefix": {"file_name": prefix}} if prefix else {"match_all": {}}
        case NoneOf(conditions):
            return {"bool": {"must_not": [_condition(one) for one in conditions]}}


def _range(bound: datetime, relation: str) -> Body:
    """A bound of `TakenBetween`: an aware time applies to the instant, a naive one to the wall clock."""
    if bound.tzinfo is None:
        return {"range": {"taken_local_us": {relation: local_microseconds(bound)}}}
    return {"range": {"taken_us": {relation: microseconds(bound, field="taken")}}}


def _aggregations(facets: Sequence[Facet]) -> Body:
    found: Body = {}
    for i, facet in enumerate(facets):
        field = _FACET_FIELDS[facet.field]
        if facet.field is FacetField.YEAR:
            found[f"facet_{i}"] = {"date_histogram": {"field": field, "calendar_interval": "year", "min_doc_count": 1}}
            continue
        filled: Body = {"filter": {"bool": {"must_not": [{"term": {field: ""}}]}}}
        filled["aggs"] = {
            "values": {"terms": {"field": field, "size": facet.size, "shard_size": 4 * facet.size + _FACET_VALUES}},
            "distinct": {"cardinality": {"field": field, "precision_threshold": _EXACT_COUNT}},
        }
        filled["aggs"]["values"]["terms"]["order"] = [{"_count": "desc"}, {"_key": "asc"}]
        found[f"facet_{i}"] = filled
    return found


def _facet_counts(facet: Facet, aggregation: Body) -> FacetCounts:
    if facet.field is FacetField.YEAR:
        years = [FacetCount(bucket["key_as_string"][:4], bucket["doc_count"]) for bucket in aggregation["buckets"]]
        years.sort(key=lambda count: (-count.photos, count.value))
        return FacetCounts(facet.field, tuple(years[: facet.size]), len(years))
    counts = tuple(FacetCount(bucket["key"], bucket["doc_count"]) for bucket in aggregation["values"]["buckets"])
    are_all = not aggregation["values"]["sum_other_doc_count"]
    return FacetCounts(facet.field, counts, len(counts) if are_all else int(aggregation["distinct"]["value"]))


def _match(plan: Plan, hit: Body) -> Match:
    source, score = hit["_source"], float(hit["_score"] or 0.0)
    distance = region = None
    if plan.space is not None:
        distance = distance_of(score, plan.space, scripted=plan.is_exact)
        score = 1 - distance / 2
        if plan.space.regions:
            path = field_of(plan.space)
            [inner] = hit["inner_hits"][path]["hits"]["hits"]
            region = plan.space.regions[int(inner["fields"][f"{path}.number"][0])]
    elif isinstance(plan.query.clause, EverythingClause):
        score = 0.0
    document = document_of(source) if plan.query.with_documents else None
    return Match(source["photo_id"], score, distance, region, document)
