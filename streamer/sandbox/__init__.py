"""A Flatfile account on loopback: every endpoint that streamer reads, and nothing of streamer."""
