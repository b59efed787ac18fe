"""A real Apache Kafka on loopback, from nothing but Python packages: for the demo and the tests."""
