"""Over HTTP: what the services of a lab say of themselves. Imports data, and no backend."""
