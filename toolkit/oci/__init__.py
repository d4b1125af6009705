"""Registries and what they hold: names, documents, the HTTP client and the copy engine.

It imports nothing else of ours, no cloud and no console. Values first (`digest`, `descriptor`, `reference`,
`documents`, `filtered_index`), then the way to a registry (`endpoints`, `auth`, `docker_config`, `token_exchange`,
`connections`, `transport`, `responses`, `client`), then copying (`tree`, `document_cache`, `copy`). Everything is safe
to share between threads, and nothing here starts one.
"""
