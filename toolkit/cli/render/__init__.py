"""Events, plans and reports as text or JSON. Only `live` imports rich, which is slow to load."""
