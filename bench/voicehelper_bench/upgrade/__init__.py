"""A good release and a bad one through real cells while every tenant has a client; waves beside all at once.

The platform is a throwaway one: cells are processes, a release is an installed copy of the code. The bad one starts and
says that it is ready, and answers each request of a tenant, and so the routed probe, with an error.
"""

from voicehelper_bench.upgrade.run import run

__all__ = ["run"]
