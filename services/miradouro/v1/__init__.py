"""Generated wire types of protos/miradouro/v1; never edited, `make protos` makes them anew."""
