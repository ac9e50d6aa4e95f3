"""The lab as local processes, limited through cgroups. May import the lab's gateway, services, interface."""
