"""dnr plugin: a provider for OpenAI and any OpenAI-compatible server."""
