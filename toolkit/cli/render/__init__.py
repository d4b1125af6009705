"""What a user sees: events, plans and reports as text or JSON. Only `live` imports rich, which costs start-up time."""
