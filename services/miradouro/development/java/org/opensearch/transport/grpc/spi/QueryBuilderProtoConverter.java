package org.opensearch.transport.grpc.spi;

/** Named by the k-NN plug-in, served by no repository, and never called over HTTP. */
public interface QueryBuilderProtoConverter {}
