package org.opensearch.protobufs;

/** Named in signatures of the k-NN plug-in, and never called over HTTP. */
public final class QueryContainer {
    /** Kinds of query, none here. */
    public enum QueryContainerCase {}
}
