"""The load side's speed: requests per second from one core, beside a bare Locust user."""
