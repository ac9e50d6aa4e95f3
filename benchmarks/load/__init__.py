"""The load side's speed: requests a second from one core, beside a bare Locust user."""
