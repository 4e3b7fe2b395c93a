"""Objects on an S3 server: a bucket and an account per cell.

``client`` signs and sends, ``accounts`` is what differs from product to product, ``slice`` is the slice.
"""

from voicehelper_operator.slices.s3.slice import S3ObjectsSlice

__all__ = ["S3ObjectsSlice"]
