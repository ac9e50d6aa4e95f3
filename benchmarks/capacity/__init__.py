"""How well capacity is found: live searches of servers whose capacity is known by construction."""
