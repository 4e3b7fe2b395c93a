"""Who changed what, in the transaction of the change."""
