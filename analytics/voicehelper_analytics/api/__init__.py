"""The usage API: ``analytics.v1.UsageService`` over gRPC; health and metrics over HTTP."""
