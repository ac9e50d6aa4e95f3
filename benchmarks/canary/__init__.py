"""How fast a rollback is, and what users notice of a candidate that is killed, paused or failing."""
