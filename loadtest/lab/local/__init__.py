"""The lab as local processes. May import the lab's processes, gateway, services and interface."""
