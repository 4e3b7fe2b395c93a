"""A tenant with many messages and passages moves between two cells while its clients work.

The platform is a throwaway one. Messages and passages are written into the stores by the benchmark (passages through
the product's own repository); vectors come to Milvus by the cell's own repair.
"""

from voicehelper_bench.move.run import run

__all__ = ["run"]
