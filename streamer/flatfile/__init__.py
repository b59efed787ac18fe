"""The Flatfile API, and nothing about Kafka."""
