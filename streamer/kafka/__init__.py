"""The only place that sees aiokafka: bytes in, bytes out, every call bounded; knows no record."""
