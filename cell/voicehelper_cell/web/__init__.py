"""The BFF of the web: HTTP and server-sent events in, the services' gRPC contracts out.

Verifies the token again, admits its tenant, and makes the context of everything behind it. One file a surface.
"""
